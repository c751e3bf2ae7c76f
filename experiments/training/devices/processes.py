"""One process for each device of this machine, started and ended together by torch's elastic launcher."""

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from experiments.training.failures import Failure

PROGRAM = ("-m", "experiments.run")
OURS = "one-run"  # names the group in the environment of processes that were started here
SAVING = "50"  # seconds for processes that are told to end to finish their step and save
KNOCK_ON = 5.0  # seconds within which the others fail when one of them is killed


def started_here() -> bool:
    """Whether this process was started by `run_in_processes`."""
    return os.environ.get("TORCHELASTIC_RUN_ID") == OURS


def run_in_processes(count: int, arguments: Sequence[str]) -> None:
    """Carry out `experiments.run` in `count` processes that train together; when one fails, the others are ended.

    Raises:
        Failure: That of the process that failed first.
        KeyboardInterrupt, SIGTERMException: The run was interrupted; the processes have saved and ended.
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
    """Divide the cores among `count` processes and keep torch's launcher quiet; afterwards all is as it was."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    handlers, variables = {number: signal.getsignal(number) for number in numbers}, dict(os.environ)
    threads = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
    os.environ["OMP_NUM_THREADS"] = str(max(1, threads // count))
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", SAVING)
    logging.disable(logging.ERROR)  # the exceptions hold what it would log
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        os.environ.clear()
        os.environ.update(variables)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def interruption_of(code: int) -> BaseException:
    """The exception behind an exit code of 130 or 143."""
    return KeyboardInterrupt() if code == 128 + signal.SIGINT else SIGTERMException()


def first_of(failed: ChildFailedError) -> BaseException:
    """The error of the process that failed first; the others fail because it is gone, or are told to end."""
    rank, failure = min(failed.failures.items(), key=lambda item: time_of(item[1]))
    if Path(failure.error_file).exists():
        return Failure(**json.loads(Path(failure.error_file).read_text(encoding="utf-8"))["failure"])
    if failure.exitcode in (128 + signal.SIGINT, 128 + signal.SIGTERM):
        return interruption_of(failure.exitcode)
    how = f"was killed by {failure.signal_name()}" if failure.exitcode < 0 else f"ended with code {failure.exitcode}"
    return Failure("ProcessFailed", f"the process of rank {rank} {how}", "", False)


def time_of(failure: ProcessFailure) -> float:
    """When a process failed, in seconds: when it wrote its error, or when its end was noticed, to the second.

    One that was killed could not write, and the others miss it before that is noticed; SIGTERM they get only then.
    """
    if Path(failure.error_file).exists():
        return Path(failure.error_file).stat().st_mtime
    killed = failure.exitcode < 0 and failure.exitcode != -signal.SIGTERM
    return failure.timestamp + 1 - (KNOCK_ON if killed else 0.0)


def pass_on(failure: Failure) -> None:
    """Write the error of this process where the one that started it reads it; torch's `@record` keeps less of it."""
    about = {"message": failure.error, "timestamp": int(time.time()), "failure": asdict(failure)}
    Path(os.environ["TORCHELASTIC_ERROR_FILE"]).write_text(json.dumps(about), encoding="utf-8")
