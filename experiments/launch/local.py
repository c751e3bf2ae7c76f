"""Runs on this machine: each in a process of its own, several at once where they are small."""

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
from typing import NamedTuple, TextIO

from experiments.launch.exit_codes import BUSY, FAILED, INTERRUPTED
from experiments.launch.finished import finished
from experiments.launch.stopping import Interrupted, Running, code_of, end, exit_code, interruptions
from experiments.planning.grid import Planned
from experiments.training.environment import BOUND, environment
from experiments.training.failures import modified, record_failure

MOST_JOBS = 8  # small runs at once on a machine with many cores, where one accelerator may serve them all
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


def jobs_at_once(jobs: int | None, small: bool) -> int:
    """Runs at the same time: those asked for, else one, and of small runs one a core."""
    return jobs or (min(MOST_JOBS, os.cpu_count() or 1) if small else 1)


def run_all(runs: Sequence[Planned], limits: Limits) -> list[Ended]:
    """Run them, the others also after a failure; return how each ended.

    Several runs at once share the cores without sharing threads: small recurrent steps gain nothing from a second
    thread, and a whole second run is gained instead. Their speed is not recorded.

    Raises:
        SystemExit: Interrupted: the runs have finished their step and saved.
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
                print_time_left(len(ended), len(runs), time.monotonic() - begun, jobs)
        except (KeyboardInterrupt, Interrupted) as interruption:
            running.stop()
            pool.shutdown(cancel_futures=True)
            raise SystemExit(code_of(interruption)) from None
    return ended


def print_time_left(done: int, of: int, seconds: float, jobs: int = 1) -> None:
    """Print how long the others will take if they take as long as those before; those under way are half done."""
    if others := of - done:
        half = min(jobs - 1, others) / 2
        minutes = seconds / (done + half) * (others - half) / 60
        say(f"      {done} of {of} done, about {minutes:.0f} min left for the other {others}\n")


def run_one(planned: Planned, position: str, threads: int, running: Running, minutes: float = 0.0) -> int:
    """Run in a process of its own; its output goes to the terminal and to the run's log.

    Args:
        planned: The run.
        position: For example [3/24].
        threads: Of the process.
        running: The process is added to it.
        minutes: After which it is stopped and counts as failed; 0 for no limit.

    Returns:
        0 finished, 1 failed (recorded in failure.json), BUSY if another process has the run, 130 or 143 interrupted.
    """
    # The end of a line in the same write as the line: other threads print too.
    say(f"{position} {planned.label}\n")
    recorded = modified(planned.key)
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
        watched(process, minutes, late),
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
    code = exit_code(process)
    if code in (0, BUSY) or (code in INTERRUPTED and not late.is_set()):
        return code
    if finished([planned])[0]:  # and killed when nothing was left to do but to end
        return 0
    if late.is_set():
        error = f"TimeoutError: it took more than {minutes:g} min (TIMEOUT)"
    else:  # a mistake in the configuration is found before there is a folder
        error = said[-1].strip() if code == FAILED and said else how_it_died(code)
    record_failure(planned.key, error, "".join(said), recorded)
    return FAILED


def say(text: str) -> None:
    """Print; runs continue where the terminal is gone."""
    with contextlib.suppress(OSError):
        print(text, end="", flush=True)


def log_of(planned: Planned) -> TextIO:
    """The run's log, to write to; where it cannot be opened the run will report why."""
    try:
        planned.key.log.parent.mkdir(parents=True, exist_ok=True)
        return planned.key.log.open("a", encoding="utf-8")
    except OSError:
        return open(os.devnull, "w", encoding="utf-8")


@contextmanager
def watched(process: subprocess.Popen[str], minutes: float, late: threading.Event) -> Iterator[None]:
    """End a process that takes longer than `minutes`, and set `late`.

    What it left behind when it ended, processes of other devices, is killed where the block has not ended with it.
    """
    over = threading.Event()

    def watch() -> None:
        try:
            process.wait(60 * minutes or None)
        except subprocess.TimeoutExpired:
            late.set()
            end(process)
        if not over.wait(LINGER):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def how_it_died(code: int) -> str:
    """An exit code in words."""
    if code == 128 + signal.SIGKILL:
        return "killed by SIGKILL, as the system does when memory runs out: fewer JOBS, or smaller batches, need less"
    if code - 128 in {*signal.Signals}:
        return f"killed by {signal.Signals(code - 128).name}"
    return f"exit code {code}"
