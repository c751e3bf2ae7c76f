"""How runs are carried out: each in a process of its own, several at once where they are small."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

from experiments.environment import environment
from experiments.plan import Planned

MOST_JOBS = 8  # long-range runs at once on a machine with many cores, where one accelerator may serve them all


def jobs_at_once(text: str, experiment: str) -> int:
    """How many runs go on at once: what is asked for, else one, and of the small long-range runs one a core."""
    if text and not (text.isdigit() and int(text)):
        raise SystemExit(f"error: JOBS is {text!r}; write a whole number above 0.")
    return int(text) if text else 1 if experiment == "bleu" else min(MOST_JOBS, os.cpu_count() or 1)


def run_all(runs: list[Planned], jobs: int = 1) -> list[Planned]:
    """Run `jobs` at a time, going on after a failure; return those that failed.

    Several runs at once share the cores without sharing threads: small recurrent steps gain nothing from a second
    thread, and a whole second run is gained instead. Nothing is said of their speed.
    """
    begun = time.monotonic()
    failed = []
    running = Running()
    jobs = min(jobs, max(1, len(runs)))
    with ThreadPoolExecutor(jobs) as pool:
        threads = max(1, (os.cpu_count() or 1) // jobs)
        futures = {}
        for number, planned in enumerate(runs, 1):
            futures[pool.submit(run_one, planned, f"[{number}/{len(runs)}]", threads, running)] = planned
        try:
            for done, future in enumerate(as_completed(futures), 1):
                code = future.result()
                if code in (130, 143):
                    raise Interrupted(code)
                if code:
                    failed.append(futures[future])
                others = len(runs) - done
                left = (time.monotonic() - begun) / done * others
                if others:
                    print(f"      about {left / 60:.0f} min left for the other {others}\n", end="", flush=True)
        except (KeyboardInterrupt, Interrupted) as interruption:
            running.stop()
            pool.shutdown(cancel_futures=True)
            raise SystemExit(interruption.code if isinstance(interruption, Interrupted) else 130) from None
    return failed


class Interrupted(Exception):
    """A run ended because somebody asked it to."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


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


def run_one(planned: Planned, position: str, threads: int, running: Running) -> int:
    """Run in a process of its own; what it says goes to the terminal and to the run's log.txt."""
    # The end of a line in the same write as the line: other threads print too.
    print(f"{position} {planned.label}\n", end="", flush=True)
    planned.key.log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "experiments.run", *planned.arguments]
    with (
        planned.key.log.open("a", encoding="utf-8") as file,
        subprocess.Popen(
            command,
            env=environment(threads),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C reaches the suite alone, which lets the run finish its step
        ) as process,
    ):
        running.add(process)
        assert process.stdout is not None
        for line in process.stdout:
            print(f"      {line}", end="", flush=True)
            file.write(line)
    return process.returncode
