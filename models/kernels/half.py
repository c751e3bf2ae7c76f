"""Gradients that do not vanish in recurrent layers under bf16.

cuDNN's recurrent layers know no bf16: under autocast they compute in fp16, whose smallest normal number is 6e-5, and
most gradients of a mean over thousands of tokens lie below it. Within a layer they are scaled by a power of two, which
loses no bit, and outside they are as they were; other layers compute in bf16, whose range is that of single precision.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

SCALE = 4096.0


def with_scaled_gradients(kernel: Callable[..., tuple[Tensor, ...]], *given: Tensor) -> tuple[Tensor, ...]:
    """kernel(*given) in single precision, its gradients 4,096 times as large within as outside."""
    outputs = kernel(*_Scaled.apply(1 / SCALE, *given))
    scaled: tuple[Tensor, ...] = _Scaled.apply(SCALE, *(output.float() for output in outputs))
    return scaled


class _Scaled(torch.autograd.Function):
    """The same tensors; their gradients times a factor."""

    @staticmethod
    def forward(ctx: Any, factor: float, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.factor = factor
        ctx.set_materialize_grads(False)
        return tuple(tensor.view_as(tensor) for tensor in tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        return None, *(None if gradient is None else gradient * ctx.factor for gradient in gradients)
