"""A capture for the CPU, where there are no CUDA graphs: the work is done again on the same tensors."""

from collections.abc import Callable

import torch


def run_again(work: Callable[[], None]) -> Callable[[], None]:
    with torch.random.fork_rng():
        work()  # as a capture does, for its shapes
    return work
