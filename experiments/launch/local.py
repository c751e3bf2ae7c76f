"""How runs are carried out: each in a process of its own, several at once where they are small."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, NamedTuple, TextIO

from experiments.launch.exit_codes import BUSY, FAILED, INTERRUPTED, mistake
from experiments.planning.grid import Planned
from experiments.record.write import write_failure
from experiments.run import BOUND, finished
from experiments.training.environment import environment

MOST_JOBS = 8  # long-range runs at once on a machine with many cores, where one accelerator may serve them all
GRACE = 60.0  # seconds in which a run that was asked to end may finish its step and save
LINGER = 15.0  # seconds that processes started by a run may outlive it
LAST_LINES = 30  # of what a run said that go into the record of its failure


class Ended(NamedTuple):
    """A run whose process has ended without being interrupted, and its exit code: 0, FAILED or BUSY."""

    planned: Planned
    code: int


@dataclass(frozen=True)
class Limits:
    """What runs may take.

    Args:
        jobs: Runs at once.
        minutes: Of one run, after which it is stopped and counts as failed; 0 for no limit.
    """

    jobs: int = 1
    minutes: float = 0.0


def jobs_at_once(text: str, experiment: str) -> int:
    """How many runs go on at once: what is asked for, else one, and of the small long-range runs one a core."""
    if text and not (text.isdigit() and int(text)):
        raise mistake(f"JOBS is {text!r}; write a whole number above 0.")
    return int(text) if text else 1 if experiment == "bleu" else min(MOST_JOBS, os.cpu_count() or 1)


def minutes_of(text: str) -> float:
    """The time limit of a run; none if `text` is empty."""
    try:
        minutes = float(text or 0)
    except ValueError:
        minutes = -1.0
    if not 0 <= minutes < float("inf"):
        raise mistake(f"TIMEOUT is {text!r}; write the minutes that one run may take, for example TIMEOUT=90.")
    return minutes


def run_all(runs: Sequence[Planned], limits: Limits) -> list[Ended]:
    """Run them, going on after a failure; return how each ended.

    Several runs at once share the cores without sharing threads: small recurrent steps gain nothing from a second
    thread, and a whole second run is gained instead. Nothing is said of their speed.

    Raises:
        SystemExit: Somebody interrupted: the runs have finished their step and saved.
    """
    begun = time.monotonic()
    ended: list[Ended] = []
    running = Running()
    jobs = min(limits.jobs, max(1, len(runs)))
    with ThreadPoolExecutor(jobs) as pool, interruptions():
        threads = max(1, (os.cpu_count() or 1) // jobs)
        futures = {}
        try:
            for number, planned in enumerate(runs, 1):
                position = f"[{number}/{len(runs)}]"
                futures[pool.submit(run_one, planned, position, threads, running, limits.minutes)] = planned
            for future in as_completed(futures):
                ended.append(Ended(futures[future], future.result()))
                if ended[-1].code in INTERRUPTED:
                    raise Interrupted(ended[-1].code)
                tell_time_left(len(ended), len(runs), time.monotonic() - begun)
        except (KeyboardInterrupt, Interrupted) as interruption:
            running.stop()
            pool.shutdown(cancel_futures=True)
            raise SystemExit(interruption.code if isinstance(interruption, Interrupted) else 130) from None
    return ended


def tell_time_left(done: int, of: int, seconds: float) -> None:
    """Say how long the others will take if they take as long as those before."""
    if others := of - done:
        say(f"      {done} of {of} done, about {seconds / done * others / 60:.0f} min left for the other {others}\n")


class Interrupted(Exception):
    """Somebody asked for an end: of a run, or of all of them."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@contextmanager
def interruptions() -> Iterator[None]:
    """Inside, a request to end (SIGTERM, or a terminal that is closed) is raised, so that runs can save first.

    What was told to ignore a closed terminal (nohup) goes on ignoring it.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # who asks twice does not want to wait
        raise Interrupted(128 + signal.SIGTERM)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in asked}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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


def run_one(planned: Planned, position: str, threads: int, running: Running, minutes: float = 0.0) -> int:
    """Run in a process of its own; what it says goes to the terminal and to the run's log.txt.

    Args:
        planned: The run.
        position: For example [3/24].
        threads: Of the process.
        running: Is told of the process.
        minutes: After which it is stopped and counts as failed; 0 for no limit.

    Returns:
        0 finished, 1 failed (recorded in failure.json), BUSY if another process has the run, 130 or 143 interrupted.
    """
    # The end of a line in the same write as the line: other threads print too.
    say(f"{position} {planned.label}\n")
    recorded = modified(planned)
    said: deque[str] = deque(maxlen=LAST_LINES)
    late = threading.Event()
    command = [sys.executable, "-m", "experiments.run", *planned.arguments]
    with (
        log_of(planned) as log,
        subprocess.Popen(
            command,
            env={**environment(threads), BOUND: "1"},
            stdin=subprocess.PIPE,  # held open: when this process dies, however it dies, the run sees the end and saves
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches the suite alone, which lets the run finish its step
        ) as process,
        time_limit(process, minutes, late),
        no_survivors(process),
    ):
        running.add(process)
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            say(f"      {line}")
            with contextlib.suppress(OSError):  # a full disk is the run's to report
                log.write(line)
                log.flush()
        process.wait()
    code = process.returncode if process.returncode >= 0 else 128 - process.returncode
    if late.is_set() and code and not finished(planned.arguments):
        return failed(planned, f"TimeoutError: it took more than {minutes:g} min (TIMEOUT)", said, recorded)
    if code in (0, BUSY, *INTERRUPTED):
        return code
    if finished(planned.arguments):  # and killed when there was nothing left to do but to end
        return 0
    said_why = code == FAILED and said  # a configuration with a mistake, say, before there was a folder to record in
    return failed(planned, said[-1].strip() if said_why else how_it_died(code), said, recorded)


def say(text: str) -> None:
    """Print, also where the terminal is gone: runs go on without it."""
    with contextlib.suppress(OSError):
        print(text, end="", flush=True)


def log_of(planned: Planned) -> TextIO:
    """The run's log, to write to; where it cannot be opened the run will tell why."""
    try:
        planned.key.log.parent.mkdir(parents=True, exist_ok=True)
        return planned.key.log.open("a", encoding="utf-8")
    except OSError:
        return open(os.devnull, "w", encoding="utf-8")


@contextmanager
def time_limit(process: subprocess.Popen[str], minutes: float, late: threading.Event) -> Iterator[None]:
    """End a process that takes longer, and set `late`."""

    def stop() -> None:
        late.set()
        end(process)

    timer = threading.Timer(60 * minutes, stop)
    timer.daemon = True
    if minutes:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def no_survivors(process: subprocess.Popen[str]) -> Iterator[None]:
    """Take down what a process left behind, when it has ended and the block goes on: processes of other devices."""
    over = threading.Event()

    def watch() -> None:
        process.wait()
        if not over.wait(LINGER):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def end(process: subprocess.Popen[Any]) -> None:
    """Ask a process to finish its step and end; take it down with its children if it does not."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def how_it_died(code: int) -> str:
    """An exit code in words."""
    if code == 128 + signal.SIGKILL:
        return "killed by SIGKILL, as the system does when memory runs out: fewer JOBS, or smaller batches, need less"
    if code > 128:
        return f"killed by {signal.Signals(code - 128).name}"
    return f"exit code {code}"


def modified(planned: Planned) -> int | None:
    """When the record of a failure was written, in nanoseconds; None if there is none."""
    record = planned.key.folder / "failure.json"
    return record.stat().st_mtime_ns if record.exists() else None


def failed(planned: Planned, error: str, said: Sequence[str], recorded: int | None) -> int:
    """Record a failure, unless the run did that itself since `recorded`; return the exit code of a failure."""
    if modified(planned) == recorded:
        try:
            write_failure(planned.key, error, "".join(said), planned.arguments)
        except OSError as full:
            say(f"      the failure of {planned.label} could not be recorded: {full}\n")
    return FAILED
