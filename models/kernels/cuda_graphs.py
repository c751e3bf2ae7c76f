"""One launch for a whole step: forward and backward of each shape of batch, captured once and replayed (CUDA graphs).

A small network's step is a thousand kernels of a few microseconds each: the host takes longer to launch them than an
accelerator to run them.
"""

import gc
import warnings
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

Outputs = tuple[Tensor, Tensor]
Function = Callable[..., Outputs]
MOST = 128  # shapes that are captured: each takes memory, and the first are those met most
ALIGNED = 64  # elements: each gradient begins where kernels can read several at once

# Work on fixed tensors -> what does the same work again on whatever they hold by then
Capture = Callable[[Callable[[], None]], Callable[[], None]]


class Replays:
    """Runs a function of a network and some tensors; from the second meeting of their shapes on, replays it.

    Replayed, nothing of Python runs: the function must not read a number of a tensor, and what depends on the batch
    must be one of the tensors. A capture that fails is reported once, and everything is launched one by one again.

    Args:
        network: Its parameters get the gradients.
        function: Of the network, tensors and settings: a loss, and a number that needs no gradient.
        capture: How it is captured.
    """

    def __init__(self, network: nn.Module, function: Function, capture: Capture) -> None:
        self.network, self.function, self.capture = network, function, capture
        self.captured: dict[Hashable, Step] = {}
        self.failure = ""
        self.gradients = Gradients(list(network.parameters()))
        self._met: set[Hashable] = set()

    def __call__(self, *tensors: Tensor, **settings: Hashable) -> Outputs:
        shapes = (*(tensor.shape for tensor in tensors), *settings.items())
        step = self.captured.get(shapes) or Step(self.network, self.function, tensors, settings, self.gradients)
        if shapes in self._met and shapes not in self.captured and not self.failure and len(self.captured) < MOST:
            self._capture(shapes, step)
        self._met.add(shapes)
        outputs: Outputs = _Replay.apply(step, tensors, self.gradients.wanted)
        return outputs

    def _capture(self, shapes: Hashable, step: "Step") -> None:
        try:
            step.replay = self.capture(step.work)
        except RuntimeError as error:
            cause = error.__context__ or error  # the end of a broken capture raises an error of its own
            self.failure = str(cause).splitlines()[0]
            self.captured.clear()
            warnings.warn(
                f"A step could not be captured, so each kernel is launched by itself: {self.failure}", stacklevel=2
            )
        else:
            self.captured[shapes] = step


class Gradients:
    """The gradients of a step of any shape, side by side in one tensor: one kernel scales or clips them all.

    They become the parameters' own, unless a parameter has one already, to which they are added.
    """

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self.parameters = parameters
        sizes = [p.numel() + -p.numel() % ALIGNED for p in parameters]
        self.together = torch.zeros(sum(sizes), dtype=parameters[0].dtype, device=parameters[0].device)
        parts = self.together.split(sizes)
        self.each = [part[: p.numel()].view_as(p) for part, p in zip(parts, parameters, strict=True)]
        self.wanted = self.together.new_zeros((), requires_grad=True)  # so that a loss can be backpropagated
        self.norms: Tensor | None = None  # of those that are the parameters' own; None after a sum
        self.turn = 0  # steps so far; only the last one's gradients are there

    def keep(self) -> None:
        """Gradients of an earlier batch of the update are about to be overwritten."""
        self.turn += 1
        for p, fixed in zip(self.parameters, self.each, strict=True):
            if p.grad is not None and p.grad is fixed:
                p.grad = p.grad.clone()

    def hand_over(self, found: Sequence[bool], norms: Tensor, scale: Tensor) -> None:
        """Those that a step found, times a factor.

        Args:
            found: Whether the step found a gradient for each parameter.
            norms: Of each that it found.
            scale: The factor, one number.
        """
        self.together.mul_(scale)
        summed = any(p.grad is not None for p in self.parameters)
        self.norms = None if summed else norms * scale.abs()
        for p, fixed, its in zip(self.parameters, self.each, found, strict=True):
            if its and p.grad is None:
                p.grad = fixed
            elif its and p.grad is not None:
                p.grad.add_(fixed)


class Step:
    """The function and its gradients for tensors of one shape: from fixed tensors, into fixed tensors.

    Args:
        network, function: See `Replays`.
        example: Tensors of this shape.
        settings: Further arguments of the function.
        gradients: Where those of the network's parameters are put.
    """

    def __init__(
        self,
        network: nn.Module,
        function: Function,
        example: tuple[Tensor, ...],
        settings: dict[str, Hashable],
        gradients: Gradients,
    ) -> None:
        self.network, self.function, self.settings, self.gradients = network, function, settings, gradients
        self.inputs = [tensor.clone() for tensor in example]
        self.outputs: tuple[Tensor, ...] = ()
        self.found: list[bool] = []
        self.replay: Callable[[], None] = self.work

    @torch.enable_grad()
    def work(self) -> None:
        loss, number = self.function(self.network, *self.inputs, **self.settings)
        with torch.autocast(loss.device.type, enabled=False):
            new = torch.autograd.grad(loss, self.gradients.parameters, allow_unused=True)
        self.found = [gradient is not None for gradient in new]
        fixed = [tensor for tensor, its in zip(self.gradients.each, self.found, strict=True) if its]
        torch._foreach_copy_(fixed, [gradient for gradient in new if gradient is not None])
        self.outputs = loss.detach(), number, torch.stack(torch._foreach_norm(fixed))


class _Replay(torch.autograd.Function):
    """A replayed step as an operation; going back from it hands over the gradients that it found."""

    @staticmethod
    def forward(ctx: Any, step: Step, tensors: tuple[Tensor, ...], wanted: Tensor) -> Outputs:
        step.gradients.keep()
        for fixed, given in zip(step.inputs, tensors, strict=True):
            fixed.copy_(given)
        step.replay()
        ctx.step, ctx.turn = step, step.gradients.turn
        loss, number, ctx.norms = (output.clone() for output in step.outputs)  # the next replay overwrites them
        ctx.mark_non_differentiable(number)
        return loss, number

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> tuple[None, ...]:
        if ctx.turn != ctx.step.gradients.turn:
            raise RuntimeError("The gradients of this loss are gone: backpropagate a loss once, before the next step.")
        ctx.turn = None
        ctx.step.gradients.hand_over(ctx.step.found, ctx.norms, given[0])
        return None, None, None


class CUDAGraphs:
    """Captures with a CUDA graph; all shapes share one pool of memory.

    torch's `make_graphed_callables` captures a forward and a backward pass apart, keeps the gradients of every shape,
    and keeps the graph of autograd alive, with which each gradient is summed up on another stream than its step's.
    """

    def __init__(self) -> None:
        self.pool: Any = torch.cuda.graph_pool_handle()

    def __call__(self, work: Callable[[], None]) -> Callable[[], None]:
        casts_kept, drawn, collects = torch.is_autocast_cache_enabled(), torch.cuda.get_rng_state(), gc.isenabled()
        torch.set_autocast_cache_enabled(False)  # weights cast in one replay would be stale in the next
        gc.disable()  # a graph that is collected while another is captured ends that capture (pytorch#161037)
        graph = torch.cuda.CUDAGraph()
        try:
            # The outer stream is current again even where the end of the capture raises.
            with torch.cuda.stream(torch.cuda.current_stream()), torch.cuda.graph(graph, pool=self.pool):
                work()
        except RuntimeError:
            # torch 2.11's generator believes itself in the capture that broke off, and does not draw; its clone does
            generator = torch.cuda.default_generators[torch.cuda.current_device()]
            generator.graphsafe_set_state(generator.clone_state())
            raise
        finally:
            torch.set_autocast_cache_enabled(casts_kept)
            torch.cuda.set_rng_state(drawn)  # a resumed run captures later, and must draw the same dropout
            if collects:
                gc.enable()
        return graph.replay


def capture_on(device: torch.device) -> Capture | None:
    """How steps are captured on a device, where they can be."""
    return CUDAGraphs() if device.type == "cuda" else None
