"""Weak and strong scaling: the same step in one process and in several that exchange gradients, interleaved."""

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from datamodules.batch import Batch
from experiments.speed.record import Rows, log
from experiments.speed.settings import Devices, Settings
from experiments.speed.systems import Step, System, build, random_batch
from experiments.speed.timing import spread
from models import Seq2SeqModule
from models.kernels.gpu import use_equal_kernels

WARM_UPS = 2
KINDS = ("weak", "strong")
RESULT = "seconds.pt"
Seconds = dict[tuple[str, str, int], list[float]]  # of each round, by system, kind and number of processes


class Loss(nn.Module):
    """The loss of a batch as a forward pass, where DDP hooks in the exchange of gradients."""

    def __init__(self, module: Seq2SeqModule) -> None:
        super().__init__()
        self.module = module

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.module.loss(batch)


def run_devices(asked: Devices, settings: Settings, device: torch.device) -> tuple[dict[str, Rows], dict[str, Any]]:
    """Global tokens/s and efficiency for every system and number of processes; rows by system, what was held equal.

    The most processes that are needed are started once; the others wait where fewer are timed, so that all numbers of
    processes are interleaved under the same conditions.
    """
    most = max(asked.processes)
    threads = max(1, (os.cpu_count() or 1) // most)
    log(f"{most} processes of {threads} threads: {', '.join(asked.systems)}")
    with TemporaryDirectory() as folder:
        mp.spawn(run_process, args=(most, Path(folder), threads, asked, settings, device.type), nprocs=most)
        seconds: Seconds = torch.load(Path(folder, RESULT), weights_only=True)
    systems = [System(name, settings.precision) for name in asked.systems]
    found = {system.name: rows_of(system, asked, seconds, threads, device) for system in systems}
    held_equal = {
        "threads of a process": threads,
        "length": asked.length,
        "target tokens": f"{asked.tokens} on each process (weak) or on all together (strong)",
        "vocabulary": settings.vocabulary,
    }
    return found, held_equal


def rows_of(system: System, asked: Devices, seconds: Seconds, threads: int, device: torch.device) -> Rows:
    rows = Rows()
    for kind in KINDS:
        rates = {n: [tokens_of(kind, n, asked) / s for s in seconds[system.name, kind, n]] for n in asked.processes}
        alone = spread(rates[1]).median if 1 in rates else None
        for n, values in rates.items():
            rows.add_spread(f"{kind}_tokens_per_second", values, "tokens/s", "processes", n)
            if alone is not None:
                rows.add(f"{kind}_efficiency", spread(values).median / (n * alone), "share", "processes", n)
    rows.add("threads_per_process", threads, "threads")
    backend = "NCCL" if device.type == "cuda" else "gloo"
    rows.kernels |= {"precision": system.precision, "mode": "eager", "gradient exchange": f"DDP, {backend}"}
    return rows


def rows_on_each(kind: str, processes: int, asked: Devices) -> int:
    tokens = asked.tokens if kind == "weak" else asked.tokens // processes
    return max(1, tokens // asked.length)


def tokens_of(kind: str, processes: int, asked: Devices) -> int:
    """Target tokens of one step, all processes together."""
    return rows_on_each(kind, processes, asked) * processes * asked.length


def run_process(
    rank: int, world: int, folder: Path, threads: int, asked: Devices, settings: Settings, kind: str
) -> None:
    """One process: takes part in timings of more processes than its rank, and waits in others."""
    torch.set_num_threads(threads)
    use_equal_kernels()
    device = torch.device(kind, rank) if kind == "cuda" else torch.device("cpu")
    if kind == "cuda":
        torch.cuda.set_device(device)
    backend = "nccl" if kind == "cuda" else "gloo"
    dist.init_process_group(backend, init_method=f"file://{folder / 'rendezvous'}", rank=rank, world_size=world)
    groups = {n: dist.new_group(list(range(n))) for n in asked.processes}
    seconds: Seconds = {}
    for name in asked.systems:
        steps = {
            (part, n): distributed_step(
                name, rows_on_each(part, n, asked), asked.length, n, groups[n], settings, device
            )
            for n in asked.processes
            if rank < n
            for part in KINDS
        }
        for number in range(WARM_UPS + settings.clock.rounds):
            for part in KINDS:
                for n in asked.processes:
                    taken = timed(steps.get((part, n)), device)
                    if rank == 0 and number >= WARM_UPS:
                        seconds.setdefault((name, part, n), []).append(taken)
    if rank == 0:
        torch.save(seconds, folder / RESULT)
    dist.barrier()
    dist.destroy_process_group()


def timed(step: Callable[[], None] | None, device: torch.device) -> float:
    """Seconds of one step among the processes that take it; all start together."""
    dist.barrier()
    begun = time.perf_counter()
    if step is not None:
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    return time.perf_counter() - begun


def distributed_step(
    name: str, rows: int, length: int, processes: int, group: Any, settings: Settings, device: torch.device
) -> Callable[[], None]:
    """A training step of a system in a group of processes, each on a batch of its own."""
    system = System(name, settings.precision)
    torch.manual_seed(0)
    step = Step(build(settings.models[system.network], settings.vocabulary), system, device)
    step.module.replays = None  # devices exchange gradients while they are computed
    batch = random_batch(rows, length, length, settings.vocabulary, device)
    if processes > 1:
        step.loss = DistributedDataParallel(Loss(step.module), process_group=group)
    return partial(step.step, batch)
