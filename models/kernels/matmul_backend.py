"""Which library multiplies single-precision matrices on a CPU.

MKL keeps to AVX2 on processors that are not Intel's, where oneDNN uses AVX-512: 200 against 330 to 450 GFLOP/s for
(900, 256) x (256, 6000) on two cores of an AMD EPYC. There torch's LSTM is oneDNN's and everything else MKL's, so to
leave it at that would also favour the LSTM. In 32 bits a step of the Transformer then takes 0.72 of the time, one of
the attention network 0.65.

torch hands such products to oneDNN only together with the permission to round their factors to bf16, so oneDNN is first
asked whether it does; without bf16 matrix units it does not.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

MATMUL = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]


@contextmanager
def onednn_matmul(wanted: bool = True) -> Iterator[None]:
    """Single-precision matrix products on a CPU by oneDNN in this block, if it neither rounds nor is unwanted."""
    before = MATMUL.fp32_precision
    if not wanted:
        MATMUL.fp32_precision = "none"
    elif onednn_is_exact():
        MATMUL.fp32_precision = "bf16"
    try:
        yield
    finally:
        MATMUL.fp32_precision = before


def call_with_mkl(function: Callable[..., Tensor], query: Tensor, *others: Tensor | None) -> Tensor:
    """function(query, *others) as MKL computes it, forward and backward: to set up a small product costs oneDNN more.

    Inside `onednn_matmul` torch's attention kernel took seven times as long without this.
    """
    # Asking while compiling would cut the graph in two; compiled code does not come here.
    if torch.compiler.is_compiling() or query.device.type != "cpu" or MATMUL.fp32_precision != "bf16":
        return function(query, *others)
    with onednn_matmul(False):
        if not torch.is_grad_enabled():
            return function(query, *others)
        output: Tensor = _CallWithMKL.apply(function, query, *others)
    return output


class _CallWithMKL(torch.autograd.Function):
    """Keeps the function's own graph and walks back through it under the setting of the forward pass."""

    @staticmethod
    def forward(ctx: Any, function: Callable[..., Tensor], *inputs: Tensor | None) -> Tensor:
        ctx.inputs = [x if x is None else x.detach().requires_grad_(x.requires_grad) for x in inputs]
        with torch.enable_grad():
            ctx.output = function(*ctx.inputs)
        output: Tensor = ctx.output.detach()
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        asked = [x for x in ctx.inputs if x is not None and x.requires_grad]
        with onednn_matmul(False):
            found = iter(torch.autograd.grad(ctx.output, asked, gradient))
        return None, *(next(found) if x is not None and x.requires_grad else None for x in ctx.inputs)


@cache
def onednn_is_exact() -> bool:
    """Whether oneDNN keeps all 24 bits of a factor, in kernels for small and for large matrices."""
    before, MATMUL.fp32_precision = MATMUL.fp32_precision, "bf16"
    try:
        return all(_keeps_last_bit(size) for size in (16, 64, 256, 1024))
    finally:
        MATMUL.fp32_precision = before


def _keeps_last_bit(size: int) -> bool:
    """Whether a product with the identity gives back 1 + 2^-23."""
    last_bit_set = torch.full((size, size), 1 + torch.finfo(torch.float).eps)
    return torch.equal(last_bit_set @ torch.eye(size), last_bit_set)
