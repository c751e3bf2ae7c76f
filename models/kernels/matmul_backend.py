"""The library of single-precision matrix products on a CPU: oneDNN instead of MKL.

On processors other than Intel's MKL uses AVX2 where oneDNN uses AVX-512: 200 against 330 to 450 GFLOP/s for
(900, 256) x (256, 6000) on two cores of an AMD EPYC. torch's LSTM always runs on oneDNN, everything else on MKL, so the
default also favours the LSTM. With oneDNN a Transformer step in 32 bits takes 0.72 of the time, one of the attention
network 0.65.

torch gives such products to oneDNN only with the permission to round their factors to bf16; `onednn_is_exact` tests
whether oneDNN does round. On CPUs without bf16 matrix units it does not.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor

MATMUL = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]


@contextmanager
def onednn_matmul(wanted: bool = True) -> Iterator[None]:
    """Run single-precision matrix products on a CPU with oneDNN in this block, if `wanted` and if they are exact."""
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
    """function(query, *others) with MKL, and the backward pass of its last operation too.

    oneDNN has more overhead for each product, and attention has many small ones: without this torch's attention kernel
    takes seven times as long inside `onednn_matmul`.
    """
    # Compiled code does not reach this function; reading the setting while compiling would break the graph.
    if torch.compiler.is_compiling() or query.device.type != "cpu" or MATMUL.fp32_precision != "bf16":
        return function(query, *others)
    with onednn_matmul(False):
        output = function(query, *others)
    if node := output.grad_fn:
        before: list[str] = []

        def multiply_with_mkl(gradients: Sequence[Tensor]) -> None:
            before.append(MATMUL.fp32_precision)
            MATMUL.fp32_precision = "none"

        def as_before(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
            MATMUL.fp32_precision = before.pop()

        node.register_prehook(multiply_with_mkl)
        node.register_hook(as_before)
    return output


@cache
def onednn_is_exact() -> bool:
    """Whether oneDNN keeps all 24 bits of a factor, in its kernels for small and for large matrices."""
    before, MATMUL.fp32_precision = MATMUL.fp32_precision, "bf16"
    try:
        return all(_keeps_last_bit(size) for size in (16, 64, 256, 1024))
    finally:
        MATMUL.fp32_precision = before


def _keeps_last_bit(size: int) -> bool:
    """Whether a product with the identity returns 1 + 2^-23."""
    last_bit_set = torch.full((size, size), 1 + torch.finfo(torch.float).eps)
    return torch.equal(last_bit_set @ torch.eye(size), last_bit_set)
