"""Peak memory and kernels of one call, from torch's profiler."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

# Operations that decide the speed of a model, as torch names them, and what they are.
ATTENTION = {
    "aten::_scaled_dot_product_flash_attention_for_cpu": "flash (CPU)",
    "aten::_scaled_dot_product_flash_attention": "flash",
    "aten::_scaled_dot_product_efficient_attention": "memory-efficient",
    "aten::_scaled_dot_product_cudnn_attention": "cuDNN",
    "aten::_scaled_dot_product_attention_math": "math",
}
RECURRENCE = {"aten::mkldnn_rnn_layer": "oneDNN layer", "aten::_cudnn_rnn": "cuDNN"}
STEPWISE = {"aten::lstm", "aten::gru", "aten::rnn_tanh"}  # where none of the fused kernels is found inside them


def peak_memory(run: Callable[[], object], device: torch.device) -> int:
    """Bytes that tensors made by a call hold at their peak, beyond what was there before.

    On a CPU the profiler's account of every allocation is added up: the process's own size shows what the
    allocator keeps, not what the step needs. Scratch memory inside oneDNN's kernels is not seen.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        return torch.cuda.max_memory_allocated(device) - before
    events = [event for event in _events(run, memory=True) if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def kernels(run: Callable[[], object]) -> dict[str, str]:
    """Which attention and recurrent kernels a call ran, in words; nothing where it ran neither."""
    ran = {event.name() for event in _events(run, memory=False)}
    attention = [words for name, words in ATTENTION.items() if name in ran]
    recurrence = [words for name, words in RECURRENCE.items() if name in ran]
    if not recurrence and ran & STEPWISE:
        recurrence = ["torch's loop over steps"]
    found = {"attention kernel": attention, "recurrent kernel": recurrence}
    return {what: " and ".join(words) for what, words in found.items() if words}


def _events(run: Callable[[], object], memory: bool) -> list[Any]:
    with _silenced_stderr(), profile(activities=[ProfilerActivity.CPU], profile_memory=memory) as watched:
        run()
    assert watched.profiler is not None
    return list(watched.profiler.kineto_results.events())


@contextmanager
def _silenced_stderr() -> Iterator[None]:
    """The profiler's library writes to the terminal that it starts and stops, whatever its log level."""
    kept, silence = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(silence)
