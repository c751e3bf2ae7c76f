"""Gradients that neither vanish nor overflow in recurrent layers under bf16.

cuDNN's recurrent layers know no bf16: under autocast they compute in fp16, whose normal numbers lie between 6e-5 and
65,504, and most gradients of a mean over thousands of tokens lie below. Within a layer they are scaled by the power of
two that makes the largest of those that enter about 1/16, which loses no bit and leaves room for sums over many tokens,
and outside they are as they were; other layers compute in bf16, whose range is that of single precision.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

LARGEST = -4  # power of two


def with_scaled_gradients(kernel: Callable[..., tuple[Tensor, ...]], *given: Tensor) -> tuple[Tensor, ...]:
    """kernel(*given) in single precision, its gradients scaled within and as they are outside."""
    factor: list[Tensor] = []  # found in the backward pass, which meets the outputs first
    outputs = kernel(*_Scaled.apply(factor, *given))
    scaled: tuple[Tensor, ...] = _Scaled.apply(factor, *(output.float() for output in outputs))
    return scaled


class _Scaled(torch.autograd.Function):
    """The same tensors; gradients that enter are multiplied by a factor, those that leave are divided by it."""

    @staticmethod
    def forward(ctx: Any, factor: list[Tensor], *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.factor = factor
        ctx.set_materialize_grads(False)
        return tuple(tensor.view_as(tensor) for tensor in tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        given = [gradient for gradient in gradients if gradient is not None]
        if ctx.factor:
            scale = 1 / ctx.factor.pop()
        else:
            largest = torch.stack(torch._foreach_norm(given, torch.inf)).amax()
            power = LARGEST - torch.frexp(largest).exponent  # of zero the exponent is 0
            scale = torch.exp2(power.clamp(-100, 100).float())
            ctx.factor.append(scale)
        return None, *(None if gradient is None else gradient * scale for gradient in gradients)
