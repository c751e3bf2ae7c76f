"""One process for each device: started together, watched, and ended together."""

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import torch
import torch.distributed as dist
from lightning.fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

T = TypeVar("T")

PROGRAM = ("-m", "experiments.run")
OURS = "one-run"  # names the group in the environment of processes that were started here
SAVING = "50"  # seconds for processes that are told to end to finish their step and save
KNOCK_ON = 5.0  # seconds within which the others fail when one of them is killed
POLL = 0.5


@dataclass
class Failure(Exception):
    """What kept a run from its end.

    Args:
        kind: Of exception.
        message: What went wrong.
        trace: Where, as Python tells it; empty for a process that was killed.
        expected: Whether the message alone says what to do.
    """

    kind: str
    message: str
    trace: str
    expected: bool

    @property
    def error(self) -> str:
        return f"{self.kind}: {self.message}"


def cluster() -> ClusterEnvironment:
    """Who has started this process: torchrun or this module, SLURM's srun, or somebody who wants one process only."""
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        return SLURMEnvironment(auto_requeue=False)  # the job script does that
    return LightningEnvironment()


def started_here() -> bool:
    """Whether this process was started by `run_in_processes`."""
    return os.environ.get("TORCHELASTIC_RUN_ID") == OURS


def count_to_start(devices: int, nodes: int) -> int:
    """How many processes this one has to start; 0 where it trains itself.

    Raises:
        ValueError: Not as many processes were started as there are devices.
    """
    started = cluster()
    if started.creates_processes_externally:
        if started.world_size() != devices * nodes:
            raise ValueError(
                f"trainer.devices is {devices} on each of {nodes} machines (trainer.num_nodes), but "
                f"{started.world_size()} processes were started: start as many."
            )
        return 0
    if nodes > 1:
        raise ValueError(
            f"trainer.num_nodes is {nodes}, but nothing has started processes on other machines: start this command on "
            "each of them with torchrun, or with srun as in experiments/launch/slurm.sh."
        )
    return devices if devices > 1 else 0


def run_in_processes(count: int, arguments: Sequence[str]) -> None:
    """Carry out `experiments.run` in `count` processes that train together; when one fails, the others are ended.

    Raises:
        Failure: That of the process that failed first.
        KeyboardInterrupt, SIGTERMException: Somebody interrupted; the processes have saved and ended.
    """
    with surroundings(count), TemporaryDirectory() as errors:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=count,
            logs_specs=DefaultLogsSpecs(errors),
            run_id=OURS,
            rdzv_backend="c10d",
            rdzv_endpoint="127.0.0.1:0",
            local_addr="127.0.0.1",
            max_restarts=0,
            signals_to_handle="SIGTERM,SIGINT",
        )
        try:
            elastic_launch(config, sys.executable)(*PROGRAM, *arguments)
        except SignalException as interruption:
            raise interruption_of(128 + interruption.sigval) from None
        except ChildFailedError as failed:
            raise first_of(failed) from None


@contextmanager
def surroundings(count: int) -> Iterator[None]:
    """Share the cores among `count` processes and keep torch's launcher quiet; afterwards all is as it was."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    handlers, variables = {number: signal.getsignal(number) for number in numbers}, dict(os.environ)
    threads = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
    os.environ["OMP_NUM_THREADS"] = str(max(1, threads // count))
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", SAVING)
    logging.disable(logging.ERROR)  # what it has to say is in the exceptions
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        os.environ.clear()
        os.environ.update(variables)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def interruption_of(code: int) -> BaseException:
    """What an exit code of 130 or 143 was made of."""
    return KeyboardInterrupt() if code == 128 + signal.SIGINT else SIGTERMException()


def first_of(failed: ChildFailedError) -> BaseException:
    """What befell the process that failed first; the others fail because it is gone, or are told to end."""
    rank, failure = min(failed.failures.items(), key=lambda item: time_of(item[1]))
    if Path(failure.error_file).exists():
        return Failure(**json.loads(Path(failure.error_file).read_text(encoding="utf-8"))["failure"])
    if failure.exitcode in (128 + signal.SIGINT, 128 + signal.SIGTERM):
        return interruption_of(failure.exitcode)
    how = f"was killed by {failure.signal_name()}" if failure.exitcode < 0 else f"ended with code {failure.exitcode}"
    return Failure("ProcessFailed", f"the process of rank {rank} {how}", "", False)


def time_of(failure: ProcessFailure) -> float:
    """When a process failed, in seconds: as it has written down, or when its end was noticed, to the second.

    One that was killed could not write, and the others miss it before that is noticed; SIGTERM they get only then.
    """
    if Path(failure.error_file).exists():
        return Path(failure.error_file).stat().st_mtime
    killed = failure.exitcode < 0 and failure.exitcode != -signal.SIGTERM
    return failure.timestamp + 1 - (KNOCK_ON if killed else 0.0)


def tell(failure: Failure) -> None:
    """Write down what ends this process where the one that has started it looks for that."""
    about = {"message": failure.error, "timestamp": int(time.time()), "failure": asdict(failure)}
    Path(os.environ["TORCHELASTIC_ERROR_FILE"]).write_text(json.dumps(about), encoding="utf-8")


def end_with_parent() -> None:
    """End this process soon after the one that has started it, however that died."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def join(accelerator: str) -> None:
    """Find the other processes, where there are any."""
    started = cluster()
    if not started.creates_processes_externally:
        return
    if accelerator == "gpu":
        torch.cuda.set_device(started.local_rank())
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = started.main_address, str(started.main_port)
    backend = "nccl" if accelerator == "gpu" else "gloo"
    dist.init_process_group(backend, rank=started.global_rank(), world_size=started.world_size())


def leave() -> None:
    """From here on this process is alone: what it evaluates, it evaluates whole."""
    if dist.is_initialized():
        dist.destroy_process_group()


def is_first() -> bool:
    """Whether this process, of all that train together, is the one that writes."""
    return not dist.is_initialized() or dist.get_rank() == 0


def by_the_first(make: Callable[[], T]) -> T:
    """What `make` returns in the process of rank 0, which alone calls it, in all processes."""
    if not dist.is_initialized():
        return make()
    made: list[T | None] = [make() if is_first() else None]
    dist.broadcast_object_list(made)
    return made[0]  # type: ignore[return-value]
