"""One launch for a whole step: forward and backward of each shape of batch, captured once and replayed (CUDA graphs).

A small network's step is a thousand kernels of a few microseconds each: the host takes longer to launch them than an
accelerator to run them.
"""

import warnings
from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch import Tensor, nn

Outputs = tuple[Tensor, ...]
Function = Callable[..., Outputs]
MOST = 128  # shapes that are captured: each takes memory, and the first are those met most

# (module, example tensors) -> a function of tensors of these shapes, with the module's outputs and gradients
Capture = Callable[[nn.Module, Outputs], Function]


class Replays:
    """Runs a function of a network and some tensors; from the second meeting of their shapes on, replays it.

    Replayed, nothing of Python runs: the function must not read a number of a tensor, and what depends on the batch
    must be one of the tensors. A capture that fails is reported once, and everything is launched one by one again.

    Args:
        network: Its parameters get the gradients.
        function: Of the network and tensors.
        capture: How it is captured.
    """

    def __init__(self, network: nn.Module, function: Function, capture: Capture) -> None:
        self.network, self.function, self.capture = network, function, capture
        self.captured: dict[Hashable, Function] = {}
        self.failure = ""
        self._met: set[Hashable] = set()

    def __call__(self, *tensors: Tensor) -> Outputs:
        shapes = tuple(tensor.shape for tensor in tensors)
        if shapes not in self.captured and not self._can_capture(shapes, tensors):
            return self.function(self.network, *tensors)
        # The outputs are overwritten by the next replay, while the logs still read them.
        return tuple(output.clone() for output in self.captured[shapes](*tensors))

    def _can_capture(self, shapes: Hashable, tensors: Outputs) -> bool:
        met = shapes in self._met
        self._met.add(shapes)
        if not met or self.failure or len(self.captured) == MOST:
            return False
        try:
            self.captured[shapes] = self.capture(_OfTensors(self.network, self.function), tensors)
        except RuntimeError as error:
            self.failure = str(error).splitlines()[0]
            warnings.warn(
                f"A step could not be captured, so each kernel is launched by itself: {self.failure}", stacklevel=2
            )
        return not self.failure


class _OfTensors(nn.Module):
    """The function as a module of the network: what is captured are its tensors' gradients."""

    def __init__(self, network: nn.Module, function: Function) -> None:
        super().__init__()
        self.network, self.function = network, function

    def forward(self, *tensors: Tensor) -> Outputs:
        return self.function(self.network, *tensors)


class CUDAGraphs:
    """Captures with torch's CUDA graphs; all shapes share one pool of memory."""

    def __init__(self) -> None:
        self.pool: Any = torch.cuda.graph_pool_handle()

    def __call__(self, module: nn.Module, example: Outputs) -> Function:
        casts_kept, drawn = torch.is_autocast_cache_enabled(), torch.cuda.get_rng_state()
        torch.set_autocast_cache_enabled(False)  # weights cast in one replay would be stale in the next
        try:
            inputs = tuple(tensor.clone() for tensor in example)
            return torch.cuda.make_graphed_callables(  # type: ignore[return-value]
                module,
                inputs,
                num_warmup_iters=1,  # the shape has been met: kernels are loaded and chosen
                allow_unused_input=True,
                pool=self.pool,
            )
        finally:
            torch.set_autocast_cache_enabled(casts_kept)
            torch.cuda.set_rng_state(drawn)  # a resumed run captures later, and must draw the same dropout


def capture_on(device: torch.device) -> Capture | None:
    """How steps are captured on a device, where they can be."""
    return CUDAGraphs() if device.type == "cuda" else None
