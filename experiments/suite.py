"""A suite is a grid of runs: each in a process of its own, one after another, finished ones skipped.

python -m experiments.suite bleu --suite quick --models "lstm transformer" --seeds "0 1"
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from jsonargparse import auto_cli

from experiments.run import finished
from experiments.store import RunKey

HERE = Path(__file__).parent
MOST_JOBS = 8  # long-range runs at once on a machine with many cores, where one accelerator may serve them all
# glibc gives freed memory back to the kernel and takes page faults to get it again at every step: without this a
# step of the attention decoder took 351 ms, with it 233 ms (once each, on a noisy two-core machine).
KEEP_MEMORY = "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=17179869184:glibc.malloc.top_pad=67108864"


@dataclass(frozen=True)
class Planned:
    """One run of the grid: its name, the configuration files it is made of and what overrides them."""

    key: RunKey
    configs: tuple[Path, ...]
    overrides: tuple[str, ...]

    @property
    def arguments(self) -> list[str]:
        named = {**self.key.identity, "root": self.key.root, "command": self.key.command}
        run = [f"--run.{name}={value}" for name, value in named.items()]
        return [*(word for path in self.configs for word in ("-c", str(path))), *self.overrides, *run]

    @property
    def label(self) -> str:
        return f"{self.key.task} {self.key.model} {self.key.variant} seed {self.key.seed}"


def read_suite(name: str) -> dict[str, Any]:
    """The grid of a suite, by experiment.

    Raises:
        ValueError: If there is no such suite.
    """
    path = HERE / "suites" / f"{name}.yaml"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml")))
        raise ValueError(f"SUITE is {name!r}, but {path} does not exist; the suites are {known}.")
    grid: dict[str, Any] = yaml.safe_load(path.read_text())
    return grid


def plan_bleu(
    suite: str, models: list[str], seeds: list[int], direction: str, root: str, settings: list[str]
) -> Iterator[Planned]:
    """The translation runs of a suite; empty lists and an empty direction take the suite's own.

    Raises:
        ValueError: If a model has no configuration in this suite, or the direction is malformed.
    """
    row = row_of(suite, "bleu")
    folder = HERE / "configs" / "bleu" / suite
    direction = direction or row["direction"]
    source, dash, target = direction.partition("-")
    if not (source and dash and target):
        raise ValueError(f"DIRECTION is {direction!r}; write it as source-target, for example en-de.")
    languages = (
        f"--data.init_args.corpus.source_language={source}",
        f"--data.init_args.corpus.target_language={target}",
    )
    for seed in seeds or row["seeds"]:
        for name in models or row["models"]:
            config = model_file(folder, name, suite)
            model, _, variant = name.partition("-")
            command = f"make bleu SUITE={suite} MODELS={name} SEEDS={seed} DIRECTION={direction}"
            task = f"{row['corpus']}-{direction}"
            key = RunKey(suite, "bleu", task, model, variant or "base", int(seed), root, command)
            yield Planned(key, (folder / "common.yaml", config), (*languages, *settings))


def plan_long_range(
    suite: str, tasks: list[str], models: list[str], seeds: list[int], root: str, settings: list[str]
) -> Iterator[Planned]:
    """The long-range runs of a suite, all of one seed before the next; empty lists take the suite's own.

    A run is made of the suite's common file, the task's, the model's, the variant's and, last, the values that
    tuning chose for this task and model. A variant shares the values of its model, so that it differs by itself alone.

    Raises:
        ValueError: If a task or a model has no configuration in this suite.
    """
    row = row_of(suite, "long-range")
    folder = HERE / "configs" / "long_range" / suite
    known = sorted(path.stem for path in (folder / "tasks").glob("*.yaml"))
    for task in tasks:
        if task not in known:
            raise ValueError(f"TASKS names {task!r}, not in SUITE={suite}: choose from {', '.join(known)}.")
    usual = next(iter(row["tasks"].values()))  # for a task of one's own, which the suite does not list
    for seed in seeds or row["seeds"]:
        for task in tasks or row["tasks"]:
            for name in models or row["tasks"].get(task, usual):
                model, _, variant = name.partition("-")
                configs = [folder / "common.yaml", folder / "tasks" / f"{task}.yaml"]
                configs += [model_file(folder / "models", each, suite) for each in dict.fromkeys((model, name))]
                tuned = folder / "tuned" / tuned_as(row, task) / f"{model}.yaml"
                configs += [tuned] if tuned.exists() else []
                command = f"make long-range SUITE={suite} TASKS={task} MODELS={name} SEEDS={seed}"
                key = RunKey(suite, "long-range", task, model, variant or "base", int(seed), root, command)
                yield Planned(key, tuple(configs), tuple(settings))


def tuned_as(row: Mapping[str, Any], task: str) -> str:
    """The task whose trials choose this task's values: its own, unless the suite names a shorter one of its kind."""
    return str(row.get("tuned_as", {}).get(task, task))


def row_of(suite: str, experiment: str) -> dict[str, Any]:
    """What a suite says of an experiment."""
    grid = read_suite(suite)
    if experiment not in grid:
        raise ValueError(f"SUITE={suite} has no experiment {experiment!r}; it has {', '.join(grid)}.")
    row: dict[str, Any] = grid[experiment]
    return row


def model_file(folder: Path, name: str, suite: str) -> Path:
    path = folder / f"{name}.yaml"
    if not path.exists() or name == "common":
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml") if p.stem != "common"))
        raise ValueError(f"MODELS names {name!r}, not in SUITE={suite}: choose from {known}.")
    return path


def main(
    experiment: Literal["bleu", "long-range"],
    suite: str = "quick",
    tasks: str = "",
    models: str = "",
    seeds: str = "",
    direction: str = "",
    devices: str = "",
    nodes: str = "",
    precision: str = "",
    data_dir: str = "",
    jobs: str = "",
    root: str = "runs",
) -> None:
    """Run an experiment of a suite; what is empty keeps the suite's own setting.

    Args:
        experiment: Which question to ask.
        suite: Which grid: smoke, quick or full.
        tasks: Long-range tasks, separated by blanks.
        models: Model configurations, separated by blanks.
        seeds: Seeds, separated by blanks.
        direction: Languages of the translation as source-target.
        devices: Devices on each node.
        nodes: Number of machines.
        precision: auto, 32-true or bf16-mixed.
        data_dir: Folder of downloaded corpora.
        jobs: Runs at the same time; by default one, and for the small long-range runs one a core.
        root: Folder of the run store.
    """
    given = {"--trainer.devices": devices, "--trainer.num_nodes": nodes, "--trainer.precision": precision}
    settings = [f"{option}={value}" for option, value in given.items() if value]
    try:
        if experiment == "bleu":
            settings += [f"--data.init_args.data_dir={data_dir}"] if data_dir else []
            runs = list(plan_bleu(suite, models.split(), as_seeds(seeds), direction, root, settings))
        else:
            runs = list(plan_long_range(suite, tasks.split(), models.split(), as_seeds(seeds), root, settings))
    except ValueError as error:
        raise SystemExit(f"error: {error}") from None
    left = [planned for planned in runs if not finished(planned.arguments)]
    if len(left) < len(runs):
        print(f"finished already: {len(runs) - len(left)} of {len(runs)} {experiment} runs", flush=True)
    failed = run_all(left, jobs_at_once(jobs, experiment))
    if failed:
        print(f"\n{len(failed)} of {len(left)} runs failed:", file=sys.stderr)
        for planned in failed:
            print(f"  {planned.label}: see {planned.key.log}", file=sys.stderr)
        raise SystemExit(1)


def jobs_at_once(text: str, experiment: str) -> int:
    """How many runs go on at once: what is asked for, else one, and of the small long-range runs one a core."""
    if text and not (text.isdigit() and int(text)):
        raise SystemExit(f"error: JOBS is {text!r}; write a whole number above 0.")
    return int(text) if text else 1 if experiment == "bleu" else min(MOST_JOBS, os.cpu_count() or 1)


def as_seeds(text: str) -> list[int]:
    """ "0 1 2" -> [0, 1, 2]."""
    try:
        return [int(seed) for seed in text.split()]
    except ValueError:
        raise ValueError(
            f"SEEDS is {text!r}; write whole numbers separated by blanks, for example SEEDS='0 1 2'."
        ) from None


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
                left = (time.monotonic() - begun) / done * (len(runs) - done)
                if done < len(runs):
                    print(f"      about {left / 60:.0f} min left for the other {len(runs) - done}", flush=True)
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
    print(f"{position} {planned.label}", flush=True)
    planned.key.log.parent.mkdir(parents=True, exist_ok=True)
    tunables = [os.environ.get("GLIBC_TUNABLES", ""), KEEP_MEMORY]
    environment = {
        "OMP_NUM_THREADS": str(threads),
        **os.environ,
        "GLIBC_TUNABLES": ":".join(filter(None, tunables)),
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "experiments.run", *planned.arguments]
    with (
        planned.key.log.open("a", encoding="utf-8") as file,
        subprocess.Popen(
            command,
            env=environment,
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


if __name__ == "__main__":
    auto_cli(main, as_positional=True)
