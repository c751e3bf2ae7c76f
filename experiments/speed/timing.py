"""Timing of interleaved variants, so that a noisy machine affects all alike."""

import gc
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

Name = TypeVar("Name", bound=Hashable)
Run = Callable[[], object]
STEADY = 1.1  # a call that takes at most this much longer than the fastest before it is warm
MOST_WARM_UPS = 6


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of seconds per call over the rounds."""

    median: float
    q25: float
    q75: float
    rounds: int


def alternate(
    runs: Mapping[Name, Run], rounds: int, seconds: float, device: torch.device | None = None
) -> dict[Name, list[float]]:
    """Seconds per call of each run, once a round: A B C A B C ... in blocks of at least `seconds`.

    Each run is warmed up first, and a block is read off the clock once: on an accelerator between two events with one
    wait at the end, on a CPU from the system's steady clock. `torch.utils.benchmark` warms up before every block, which
    in alternation would be most of the time; on one block the two agree.

    Args:
        runs: What to time, by name.
        rounds: Blocks of each run.
        seconds: Least length of a block.
        device: Where the runs compute; a CPU unless stated.
    """
    device = device or torch.device("cpu")
    calls = {name: max(1, round(seconds / warm_up(run, device))) for name, run in runs.items()}
    taken: dict[Name, list[float]] = {name: [] for name in runs}
    collects = gc.isenabled()
    gc.disable()  # a collection would hit one run and not another
    try:
        for _ in range(rounds):
            for name, run in runs.items():
                taken[name].append(block(run, calls[name], device) / calls[name])
    finally:
        if collects:
            gc.enable()
    return taken


def warm_up(run: Run, device: torch.device) -> float:
    """Call until the time of a call is steady; return the shortest."""
    fastest = block(run, 1, device)
    for _ in range(MOST_WARM_UPS - 1):
        latest = block(run, 1, device)
        steady = latest <= STEADY * fastest and fastest <= STEADY * latest
        fastest = min(fastest, latest)
        if steady:
            break
    return fastest


def block(run: Run, calls: int, device: torch.device) -> float:
    """Seconds that `calls` calls take together."""
    if device.type == "cuda":
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(calls):
            run()
        end.record()
        torch.cuda.synchronize(device)
        return float(begin.elapsed_time(end)) / 1000
    begun = time.perf_counter()
    for _ in range(calls):
        run()
    return time.perf_counter() - begun


def spread(seconds: Sequence[float]) -> Spread:
    q25, median, q75 = np.quantile(seconds, [0.25, 0.5, 0.75]).tolist()
    return Spread(median, q25, q75, len(seconds))


def fits(run: Run) -> bool:
    """Whether a call fits into memory."""
    try:
        run()
    except (torch.OutOfMemoryError, MemoryError):
        pass
    except RuntimeError as error:
        if "allocate memory" not in str(error) and "not enough memory" not in str(error):
            raise
    else:
        return True
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return False
