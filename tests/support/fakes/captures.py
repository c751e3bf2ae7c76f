"""A capture for the CPU, where there are no CUDA graphs: the function runs again on the same buffers."""

from typing import Any

import torch
from torch import Tensor, nn


def run_again(module: nn.Module, example: tuple[Tensor, ...]) -> Any:
    """Stands for a capture: inputs are copied into the buffers of the example, outputs overwritten by the next run."""
    inputs = [tensor.clone() for tensor in example]
    with torch.random.fork_rng():
        outputs = [output.detach().clone() for output in module(*example)]

    def replay(*tensors: Tensor) -> tuple[Tensor, ...]:
        for buffer, tensor in zip(inputs, tensors, strict=True):
            assert buffer.shape == tensor.shape
            buffer.copy_(tensor)
        found = module(*inputs)
        for output, new in zip(outputs, found, strict=True):
            output.copy_(new.detach())
        return tuple(_Overwritten.apply(new, output) for new, output in zip(found, outputs, strict=True))

    return replay


class _Overwritten(torch.autograd.Function):
    """A tensor whose value lives in a buffer that the next replay overwrites."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, buffer: Tensor) -> Tensor:
        return buffer.view_as(buffer)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return gradient, None
