"""Tuning: as many trials for every model, all from one space, judged on validation data alone.

    python -m experiments.tuning.tune --suite full --tasks "copy recall" --models "lstm transformer" --trials 8

The first trials are the same points for every model; a tree-structured Parzen estimator (Bergstra et al. 2011) proposes
the others from the results so far. The best values go to configs/long_range/SUITE/tuned/TASK/MODEL.yaml, which the
published runs of that model and of its variants read; MODEL.trials.json beside it lists every trial.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout
from jsonargparse import ArgumentError, auto_cli

from experiments.launch.local import jobs_at_once
from experiments.planning.grid import Planned, plan_long_range, row_of, tuned_as
from experiments.record.keys import config_hash
from experiments.record.read import read_object
from experiments.record.write import write_atomically
from experiments.run import build_parser, identity, one_sentence
from experiments.tuning.space import OPTIMISATION, SEED, SHARED_POINTS, SPACE, sweep_definition
from experiments.tuning.trials import (
    COMPLETE_FIRST,
    FEWEST,
    NEVER_BEFORE,
    REPORTS,
    SHARE,
    Runner,
    Search,
    Subject,
    run_trial,
)


def subjects(
    suite: str, tasks: Sequence[str], models: Sequence[str], root: str, settings: Sequence[str]
) -> list[Subject]:
    """Every task with every model of a suite; variants are left out, because they take their model's values.

    Raises:
        ValueError: If a task or model is not in the suite, a variant is named, or a configuration is wrong.
    """
    for name in models:
        if "-" in name:
            raise ValueError(f"MODELS names {name!r}, a variant, which takes its model's values: name the model alone.")
    row = row_of(suite, "long-range")
    for task in tasks:
        if tuned_as(row, task) != task:
            raise ValueError(f"TASKS names {task!r}, which takes its values from {tuned_as(row, task)}: name that.")
    planned = plan_long_range(suite, list(tasks), list(models), [SEED], root, list(settings))
    base = [one for one in planned if one.key.variant == "base"]
    return [subject(one) for one in base if tuned_as(row, one.key.task) == one.key.task]


def subject(planned: Planned) -> Subject:
    """What is tuned for a planned run, after its configuration has been checked."""
    base = replace(planned, configs=tuple(path for path in planned.configs if "tuned" not in path.parts))
    try:
        config = build_parser().parse_args(base.arguments)
    except ArgumentError as error:
        raise ValueError(f"{base.label}: {one_sentence(error)}") from None
    common = identity(config)
    del common["run"]
    for name in SPACE:
        del common["model"]["init_args"]["optimisation"][name]
    trained = {
        "config": common,
        "space": repr(SPACE),
        "seed": SEED,
        "share": SHARE,
        "fewest": FEWEST,
        "reports": REPORTS,
    }
    curriculum = config.data.init_args.curriculum_steps
    return Subject(base, config.trainer.max_steps, curriculum, config_hash(trained))


def tune(searches: Sequence[Search], jobs: int, run: Runner, stopped: threading.Event) -> list[str]:
    """Run what is missing of every search, `jobs` searches at a time and each one trial after another.

    Returns:
        What went wrong, a sentence each. A search with a result writes it nevertheless.
    """
    progress = Progress(sum(len(search.missing) for search in searches))
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(tune_one, search, run, stopped, progress) for search in searches]
        try:
            wait(futures)
        except KeyboardInterrupt:
            stopped.set()
            raise
    return [problem for future in futures for problem in future.result()]


def tune_one(search: Search, run: Runner, stopped: threading.Event, progress: "Progress") -> list[str]:
    label = search.subject.label
    if not search.missing:
        print(f"{label}: all {search.trials} trials were run already", flush=True)
    for number in search.missing:
        if stopped.is_set():
            return []
        row = search.attempt(number, run)
        progress.say(search, row)
        if row["outcome"] == "interrupted":
            stopped.set()
            return []
    problems = [f"{label} trial {row['number']}: {row['error']}" for row in search.rows() if row["error"]]
    if search.best is None:
        return [*problems, f"{label}: no trial finished, so {search.subject.tuned} was left as it is"]
    write_tuned(search)
    return problems


class Progress:
    """A line for each trial: its result, the best so far and the time left for all."""

    def __init__(self, trials: int) -> None:
        self.left, self.done, self._began, self._lock = trials, 0, time.monotonic(), threading.Lock()

    def say(self, search: Search, row: dict[str, Any]) -> None:
        with self._lock:
            self.left, self.done = self.left - 1, self.done + 1
            minutes = (time.monotonic() - self._began) / self.done * self.left / 60
            loss, best = row["validation_loss"], search.best
            print(
                f"{search.subject.label} trial {row['number'] + 1}/{search.trials}"
                f"  learning rate {row['learning_rate']:g}  initialisation scale {row['initialisation_scale']:g}"
                f"  {row['outcome']}",
                "" if loss is None else f"at validation loss {loss:.4f}",
                "" if best is None else f" best {best['validation_loss']:.4f}",
                f" about {minutes:.0f} min left",
                flush=True,
            )


def write_tuned(search: Search) -> None:
    """Write the chosen values as a configuration, and beside it every trial they were chosen from."""
    subject, best, rows = search.subject, search.best, search.rows()
    assert best is not None
    trials = subject.tuned.with_suffix(".trials.json")
    record = {
        "suite": subject.base.key.suite,
        "task": subject.base.key.task,
        "model": subject.base.key.model,
        "command": subject.command(search.trials),
        "chosen": best["number"],
        "chosen_by": "lowest last val/loss of a finished trial",
        "space": {name: {**asdict(values), "distribution": "log-uniform"} for name, values in SPACE.items()},
        "sampler": f"{SHARED_POINTS} points of a scrambled Sobol sequence, then TPE",
        "pruner": f"median of complete trials, after {COMPLETE_FIRST} of them and {NEVER_BEFORE:.0%} of a trial",
        "seed": SEED,
        "steps": subject.steps,
        "share_of_steps": subject.steps / subject.max_steps,
        "date": max(row["date"] for row in rows),
    }
    each = ",\n  ".join(json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows)  # a line for each trial
    text = json.dumps(record, indent=1, ensure_ascii=False).removesuffix("\n}")
    write_atomically(trials, f'{text},\n "trials": [\n  {each}\n ]\n}}\n')
    loss = f"{best['validation_loss']:.4f} after {subject.steps} steps"
    head = f"# {record['command']}\n# The lowest validation loss of {len(rows)} trials, {loss}: {trials.name}.\n"
    values: Any = {name: best[name] for name in SPACE}
    for part in reversed(OPTIMISATION.split(".")):
        values = {part: values}
    write_atomically(subject.tuned, head + yaml.safe_dump(values, sort_keys=False))


def unequal(found: Sequence[Subject]) -> list[str]:
    """A sentence for each task whose models were not all given the same number of trials."""
    said = []
    for folder in sorted({subject.tuned.parent for subject in found}):
        records = [read_object(path, {"model": str, "trials": list}) for path in sorted(folder.glob("*.trials.json"))]
        counts = {record["model"]: len(record["trials"]) for record in records}
        if len(set(counts.values())) > 1:
            listed = ", ".join(f"{model} {count}" for model, count in counts.items())
            said.append(f"{folder.name}: models differ in their number of trials ({listed}); tune all with one TRIALS")
    return said


def write_sweep(found: Sequence[Subject], trials: int, path: Path) -> None:
    """Write a Weights & Biases sweep over the same space.

    Raises:
        ValueError: If more than one model and task are to be tuned: a sweep has one command.
    """
    if len(found) != 1:
        raise ValueError(f"a sweep tunes one model on one task, not {len(found)}: name one in TASKS and one in MODELS.")
    head = f"# The search of {found[0].command(trials)}\n# wandb sweep {path}; then wandb agent with the id it prints\n"
    definition = sweep_definition(found[0].trial("sweep", (), trials), trials)
    write_atomically(path, head + yaml.safe_dump(definition, sort_keys=False, width=1000))


def main(
    suite: str = "quick",
    tasks: str = "",
    models: str = "",
    trials: int = 4,
    devices: str = "",
    precision: str = "",
    jobs: str = "",
    root: str = "runs",
    sweep: str = "",
) -> None:
    """Tune models on long-range tasks; what is empty keeps the suite's own setting.

    Args:
        suite: Which grid.
        tasks: Long-range tasks, separated by blanks.
        models: Models, separated by blanks.
        trials: Settings to try for every model on every task.
        devices: Devices of a run.
        precision: auto, 32-true or bf16-mixed.
        jobs: Searches at the same time; by default one a core.
        root: Folder of the run store.
        sweep: Only write a Weights & Biases sweep definition, to this file.
    """
    given = {"--trainer.devices": devices, "--trainer.precision": precision}
    settings = [f"{option}={value}" for option, value in given.items() if value]
    cores = os.cpu_count() or 1
    stopped = threading.Event()
    try:
        if trials < 1:
            raise ValueError(f"TRIALS is {trials}; it must be at least 1.")
        found = subjects(suite, tasks.split(), models.split(), root, settings)
        if sweep:
            write_sweep(found, trials, Path(sweep))
            return
        at_once = min(jobs_at_once(jobs, "long-range"), max(1, len(found)))
        with ExitStack() as locks:
            for one in found:
                locks.enter_context(alone(one))
            searches = [Search(one, trials) for one in found]
            run = partial(run_trial, threads=max(1, cores // at_once), stopped=stopped)
            problems = tune(searches, at_once, run, stopped)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from None
    except KeyboardInterrupt:
        stopped.set()
    if stopped.is_set():
        print("interrupted; the same command goes on with the trials that are missing", file=sys.stderr)
        raise SystemExit(130)
    for sentence in (*unequal(found), *problems):
        print(sentence, file=sys.stderr)
    if problems:
        raise SystemExit(1)


def alone(subject: Subject) -> FileLock:
    """Keep other processes from the same search.

    Raises:
        ValueError: If another process is at it.
    """
    lock = FileLock(subject.folder.with_name(f".{subject.folder.name}.lock"), timeout=0)
    subject.folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(f"another process is tuning {subject.label}; wait for it or end it.") from None
    return lock


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    auto_cli(main, as_positional=True)
