"""A pytest plugin: signals mean the same however the tests were started, and no test leaves a process behind."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest

PROC = Path("/proc")  # elsewhere than on Linux nothing is found
MARK = f"TESTS_OF_PROCESS={uuid4()}"  # in the environment of all that these tests start
GRACE = 20.0  # seconds for processes that are about to end
SHARED = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")  # one for all tests of a process


class Process(NamedTuple):
    pid: int
    command: str


def survive_hangup(number: int, frame: object) -> None:
    """Unlike SIG_IGN, which nohup sets, a handler is not inherited by the programs that a test starts."""


HANGUP: Callable[[int, object], None] | signal.Handlers = (
    survive_hangup if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else signal.SIG_DFL
)


@pytest.fixture(autouse=True)
def usual_signals() -> None:
    """Started by nohup or in the background of a script, Python begins with SIGHUP or SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, HANGUP)


def pids() -> set[int]:
    return {int(name) for name in os.listdir(PROC) if name.isdecimal()} if PROC.exists() else set()


def started_by_us(pid: int) -> Process | None:
    """The process, if a test started it (or a process that a test started), and it has not ended."""
    with suppress(OSError):
        state, parent = (PROC / f"{pid}/stat").read_text().rpartition(")")[2].split()[:2]
        command = (PROC / f"{pid}/cmdline").read_text(errors="replace").replace("\0", " ").strip()
        ours = int(parent) == os.getpid() or MARK.encode() in (PROC / f"{pid}/environ").read_bytes().split(b"\0")
        if ours and state != "Z" and not any(name in command for name in SHARED):
            return Process(pid, command)
    return None


def left_since(before: set[int]) -> list[Process]:
    return [process for pid in sorted(pids() - before) if (process := started_by_us(pid))]


@pytest.fixture(autouse=True)
def nothing_left_running(usual_signals: None) -> Iterator[None]:
    """Kills what a test left running, and fails the test."""
    os.environ.update([MARK.split("=")])
    before = pids()
    yield
    ends = time.monotonic() + GRACE
    while (left := left_since(before)) and time.monotonic() < ends:
        time.sleep(0.02)
    for process in left:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    if left:
        pytest.fail("left running, killed now: " + "; ".join(f"{pid} {command}" for pid, command in left))
