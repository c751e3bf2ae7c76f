"""Work done in several processes that train together: forked, so that a test need not wait for imports."""

import multiprocessing
import os
import socket
import warnings
from collections.abc import Callable
from typing import Any

from lightning.pytorch.utilities import rank_zero_only

SECONDS = 60  # after which processes that wait for each other have failed the test


def in_processes(world: int, work: Callable[..., object], *arguments: Any) -> list[int]:
    """Call `work` in `world` processes as torchrun would start them; return their exit codes by rank."""
    context = multiprocessing.get_context("fork")
    port = free_port()
    processes = [context.Process(target=begin, args=(rank, world, port, work, arguments)) for rank in range(world)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking a process with threads: ours have ended
        for process in processes:
            process.start()
    for process in processes:
        process.join(SECONDS)
    hanging = [rank for rank, process in enumerate(processes) if process.is_alive()]
    for process in processes:
        process.kill()
    assert not hanging, f"ranks {hanging} wait for others"
    return [process.exitcode or 0 for process in processes]


def begin(rank: int, world: int, port: int, work: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": world, "GROUP_RANK": 0}
    os.environ |= {name: str(number) for name, number in numbers.items()}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test"}
    rank_zero_only.rank = rank  # read from the environment at import otherwise
    work(*arguments)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
