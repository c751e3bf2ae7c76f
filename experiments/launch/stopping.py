"""How a launcher is stopped, and stops what it has started: everything may finish its step and save."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

GRACE = 60.0  # seconds in which a process that was asked to end may finish its step and save


class Interrupted(Exception):
    """An end was requested: of a run, or of all of them."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@contextmanager
def interruptions() -> Iterator[None]:
    """Inside, a request to end (SIGTERM, or a terminal that is closed) is raised, so that processes can save first.

    SIGHUP stays ignored where it was (nohup).
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # a second request does not wait
        raise Interrupted(128 + signal.SIGTERM)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class StopRequest:
    """Whether an end was requested (Ctrl-C, SIGTERM, a closed terminal): `code` is then the exit code for it.

    It is not raised: that would happen within a call of Ray's, which does not expect it. A second request is.
    """

    code = 0

    def __enter__(self) -> "StopRequest":
        self._before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        return self

    def listen(self) -> None:
        for number, handler in self._before.items():
            if handler != signal.SIG_IGN:
                signal.signal(number, self._hear)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.code = 128 + (signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)
        signal.signal(number, signal.default_int_handler)


class Running:
    """The processes that are running, so that an interruption reaches each of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: list[subprocess.Popen[str]] = []
        self._stopped = False

    def add(self, process: subprocess.Popen[str]) -> None:
        with self._lock:
            self._processes.append(process)
            if self._stopped:
                process.terminate()

    def stop(self) -> None:
        """Ask all to finish their step and end; one that starts later is ended too."""
        with self._lock:
            self._stopped = True
            for process in self._processes:
                if process.poll() is None:
                    process.terminate()


def end(process: subprocess.Popen[Any]) -> None:
    """Ask a process, the first of its session, to finish its step and end; then kill what is left of its group."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def code_of(interruption: BaseException) -> int:
    """The exit code for an interruption: that of the signal, 130 for Ctrl-C."""
    return interruption.code if isinstance(interruption, Interrupted) else 128 + signal.SIGINT


def exit_code(process: subprocess.Popen[Any]) -> int:
    """The exit code of a process that has ended, as a shell gives it: 128 and the signal for one that was killed."""
    return int(process.returncode if process.returncode >= 0 else 128 - process.returncode)
