"""Tuning: the same settings tried for every model, each by a short run, judged on validation data alone.

    python -m experiments.tuning.tune --suite full --tasks "copy recall" --models "lstm transformer" --trials 8

A trial is an ordinary run of the suite SUITE-tuning; finished ones are skipped. All of them go, with the number of the
best, to configs/EXPERIMENT/SUITE/tuned/TASK/MODEL.json, from which the published runs of that model and of its variants
take their values.
"""

import math
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from jsonargparse import ArgumentError
from jsonargparse.typing import PositiveInt

from experiments.launch import command_line
from experiments.launch.exit_codes import BUSY, mistake
from experiments.launch.finished import finished
from experiments.launch.local import Limits, jobs_at_once, run_all
from experiments.planning.grid import (
    Planned,
    configs_of,
    plan_bleu,
    plan_tasks,
    shares_values,
    tasks_in,
    tuned_name,
    tuned_task,
)
from experiments.planning.parser import build_parser
from experiments.planning.yaml_files import one_sentence
from experiments.record.keys import TUNING
from experiments.record.read import read_failure, read_history, read_json, read_result
from experiments.record.schema import Trials
from experiments.record.write import as_lines, write_atomically
from experiments.tuning.space import SEED, SPACES, Range, points

SHARE = 0.25  # of the published run's steps
FEWEST = 600  # steps of a trial, where the published run has as many: fewer end on the plateau of most tasks
VALIDATIONS = 10  # of a trial

Row = dict[str, Any]


@dataclass(frozen=True)
class Search:
    """The trials of one model on one task.

    Args:
        base: Its published run as the suite plans it, without the values that an earlier tuning chose.
        number: How many settings are tried; those that diverge count.
        steps: Updates of a trial; the last of them is validated.
        share: Of the updates of the published run.
        shorter: Settings of all trials: fewer updates, no evaluation on test data.
        monitor: The validation metric that chooses, as it chooses the checkpoint of every run.
        mode: Whether the lowest (min) or the highest (max) value of it is the best.
    """

    base: Planned
    number: int
    steps: int
    share: float
    shorter: tuple[str, ...]
    monitor: str
    mode: str

    @property
    def label(self) -> str:
        return f"{self.base.key.task} {self.base.key.system}"

    @property
    def command(self) -> str:
        key = self.base.key
        what = " ".join(
            [f"EXPERIMENT={key.experiment}"] * (key.experiment != "long-range")
            + [f"TASKS={key.task}"] * (key.experiment != "bleu")
        )
        return f"make tune SUITE={key.suite} {what} MODELS={key.system} TRIALS={self.number}"

    @property
    def tuned(self) -> Path:
        """The file of its trials, which is the configuration of the chosen values."""
        key = self.base.key
        return configs_of(key.experiment, key.suite) / "tuned" / key.task / f"{key.system}.json"

    @property
    def space(self) -> Mapping[str, Range]:
        return SPACES[self.base.key.experiment]

    @property
    def points(self) -> list[dict[str, float]]:
        return points(self.base.key.experiment, self.number)

    @property
    def trials(self) -> list[Planned]:
        of = "" if self.base.key.variant == "base" else f"{self.base.key.variant}-"
        return [self.trial(f"{of}trial{number}", values) for number, values in enumerate(self.points)]

    def trial(self, variant: str, values: Mapping[str, float]) -> Planned:
        key = replace(self.base.key, suite=f"{self.base.key.suite}{TUNING}", variant=variant, command=self.command)
        chosen = (f"--{self.space[name].key}={value}" for name, value in values.items())
        return replace(self.base, key=key, overrides=(*self.base.overrides, *self.shorter, *chosen))

    def best(self, rows: Sequence[Row]) -> Row | None:
        """The finished trial with the best last value of the metric, among equals that with the least loss."""
        complete, sign = [row for row in rows if row["outcome"] == "finished"], 1 if self.mode == "min" else -1
        return min(complete, key=lambda row: (sign * row["reports"][-1][1], row["validation_loss"]), default=None)


def searches(
    experiment: str,
    suite: str,
    tasks: Sequence[str],
    models: Sequence[str],
    trials: int,
    root: str,
    settings: Sequence[str],
) -> list[Search]:
    """Every task with every model and variant of a suite, except those that take the values of another.

    Raises:
        ValueError: There are to be no trials, a task or model is not in the suite, or takes the values of another, or a
            configuration is wrong.
    """
    if trials < 1:
        raise ValueError(f"TRIALS is {trials}; it must be at least 1.")
    for name in models:
        if shares_values(name):
            raise ValueError(f"MODELS names {name!r}, which takes the values of {tuned_name(name)}: name that.")
    if experiment == "bleu":
        if tasks:
            raise ValueError(f"TASKS names {tasks[0]!r}, but EXPERIMENT=bleu has one task, that of SUITE={suite}.")
        planned = plan_bleu(suite, list(models), [SEED], "", root, list(settings))
        return [search(one, trials) for one in planned if not shares_values(one.key.system)]
    known = tasks_in(experiment, suite)
    for task in tasks:
        if (other := tuned_task(task, known)) != task and task in known:
            raise ValueError(f"TASKS names {task!r}, which takes the values of {other}: name that.")
    planned = plan_tasks(experiment, suite, list(tasks), list(models), [SEED], root, list(settings))
    own = (one for one in planned if tuned_task(one.key.task, known) == one.key.task)
    return [search(one, trials) for one in own if not shares_values(one.key.system)]


def search(planned: Planned, number: int) -> Search:
    """The search for a planned run, after its configuration has been checked."""
    base = replace(planned, configs=tuple(path for path in planned.configs if "tuned" not in path.parts))
    try:
        config = build_parser().parse_args(base.arguments)
    except ArgumentError as error:
        raise ValueError(f"{base.label}: {one_sentence(error)}") from None
    published, curriculum = config.trainer.max_steps, config.data.init_args.get("curriculum_steps")
    budget = min(published, max(FEWEST, round(SHARE * published)))
    every = max(1, budget // VALIDATIONS)
    steps = budget // every * every
    shorter = [f"--trainer.max_steps={steps}", f"--trainer.validate_every={every}", "--evaluate_tests=false"]
    if curriculum is not None:
        shorter.append(f"--data.init_args.curriculum_steps={round(curriculum * steps / published)}")
    trainer = config.trainer
    return Search(base, number, steps, steps / published, tuple(shorter), trainer.monitor, trainer.monitor_mode)


def tune(found: Sequence[Search], jobs: int) -> list[str]:
    """Run the trials that have no result, and write the best values of every search whose trials have all ended.

    Returns:
        What went wrong, a sentence each.
    """
    trials = [trial for one in found for trial in one.trials]
    left = [trial for trial, there in zip(trials, finished(trials), strict=True) if not there]
    if len(left) < len(trials):
        print(f"finished already: {len(trials) - len(left)} of {len(trials)} trials", flush=True)
    codes = {trial.key: code for trial, code in run_all(left, Limits(jobs))}
    problems = []
    names = found[0].space if found else ()
    lines = [f"{'task and model':40}  trials  {'  '.join(name.replace('_', ' ') for name in names)}  validation"]
    for one in found:
        rows = [result(one, number, codes.get(trial.key, 0)) for number, trial in enumerate(one.trials)]
        problems += [f"{one.label} trial {row['number']}: {row['error']}" for row in rows if row["error"]]
        if BUSY in [codes.get(trial.key) for trial in one.trials] or not (best := one.best(rows)):
            problems.append(f"{one.label}: no trial finished, or not all have ended, so {one.tuned} was left as it is")
            continue
        write_tuned(one, rows, best)
        values = "  ".join(f"{best['values'][name]:{len(name)}g}" for name in names)
        lines.append(f"{one.label:40}  {len(rows):6}  {values}  {one.monitor} {best['reports'][-1][1]:.4f}")
    print("\n".join(["", *lines]), flush=True)
    return problems


def result(one: Search, number: int, code: int) -> Row:
    """The result of a trial whose process ended with `code`; a finished trial loses its checkpoints."""
    trial, curves = one.trials[number], {"val/loss": [[0, math.nan]], one.monitor: [[0, math.nan]]}
    history = trial.key.folder / "metrics.jsonl"
    for row in read_history(history, growing=True) if history.exists() else ():
        if row["metric"] in curves:
            curves[row["metric"]].append([row["step"], row["value"]])
    last = {metric: reports[-1][1] for metric, reports in curves.items()}
    error = "another process is running it" if code == BUSY else recorded_error(trial) if code else ""
    diverged = error.startswith("Diverged: ") or not (code or all(map(math.isfinite, last.values())))
    complete = not (code or diverged)
    if not code:
        shutil.rmtree(trial.key.folder / "checkpoints", ignore_errors=True)  # nothing resumes from them
    return {
        "number": number,
        "values": one.points[number],
        "outcome": "finished" if complete else "diverged" if diverged else "failed",
        **{metric.replace("val/", "validation_"): value if complete else None for metric, value in last.items()},
        "steps": curves[one.monitor][-1][0],
        "reports": [[step, value if math.isfinite(value) else None] for step, value in curves[one.monitor][1:]],
        "error": None if complete or diverged else f"{error}; see {trial.key.log}",
        **(origin(trial.key.folder) if complete else {}),
    }


def recorded_error(trial: Planned) -> str:
    try:
        return read_failure(trial.key.folder)["error"]
    except (FileNotFoundError, ValueError) as error:
        return str(error)


def origin(folder: Path) -> Row:
    """Time, code and machine of a finished trial."""
    record = read_result(folder)
    code, machine = record["git"], record["machine"]
    seconds = datetime.fromisoformat(record["finished"]) - datetime.fromisoformat(record["started"])
    return {
        "seconds": seconds.total_seconds(),
        "date": record["finished"],
        "commit": f"{code['commit']}{', changed since' if code['dirty'] else ''}",
        "machine": f"{', '.join(machine['gpus']) or machine['cpu']}, {machine['cores']} cores",
    }


def write_tuned(one: Search, rows: Sequence[Row], best: Row) -> None:
    """Write every trial, and which was chosen."""
    record = {
        "suite": one.base.key.suite,
        "task": one.base.key.task,
        "model": one.base.key.system,
        "command": one.command,
        "chosen": best["number"],
        "chosen_by": f"{'lowest' if one.mode == 'min' else 'highest'} last {one.monitor} of a finished trial",
        "space": {name: asdict(values) for name, values in one.space.items()},
        "sampler": f"the first {one.number} points of a scrambled Sobol sequence, the same for every model",
        "pruner": "none",
        "seed": SEED,
        "steps": one.steps,
        "share_of_steps": one.share,
        "date": max(row["date"] for row in rows if "date" in row),
    }
    write_atomically(one.tuned, as_lines({**record, "trials": list(rows)}, 2) + "\n")


def unequal(found: Sequence[Search]) -> list[str]:
    """A sentence for each task whose models were not all given the same number of trials."""
    sentences = []
    for folder in sorted({one.tuned.parent for one in found}):
        files = sorted(folder.glob("*.json"))
        counts = {file.stem: len(read_json(file, Trials)["trials"]) for file in files}
        if len(set(counts.values())) > 1:
            listed = ", ".join(f"{model} {count}" for model, count in counts.items())
            sentences.append(
                f"{folder.name}: models differ in their number of trials ({listed}); tune all with one TRIALS"
            )
    return sentences


def main(
    experiment: Literal["long-range", "bleu", "language"] = "long-range",
    suite: str = "quick",
    tasks: str = "",
    models: str = "",
    trials: int = 4,
    devices: str = "",
    precision: str = "",
    jobs: PositiveInt | None = None,
    root: str = "runs",
) -> None:
    """Tune the models of an experiment; what is empty keeps the suite's own setting.

    Args:
        experiment: Whose models.
        suite: Which grid.
        tasks: Tasks of long-range or of language, separated by spaces.
        models: Models, separated by spaces.
        trials: Settings to try for every model on every task.
        devices: Devices of a run.
        precision: auto, 32-true or bf16-mixed.
        jobs: Trials at the same time; by default one, and of the small long-range and language runs one a core.
        root: Folder of the run store.
    """
    os.environ["WANDB_MODE"] = "disabled"  # a hundred short runs are no dashboard
    at_once = jobs_at_once(jobs, small=experiment != "bleu")
    given = {"--trainer.devices": devices, "--trainer.precision": precision}
    settings = [f"{option}={value}" for option, value in given.items() if value]
    try:
        found = searches(experiment, suite, tasks.split(), models.split(), trials, root, settings)
        problems = tune(found, at_once)
        notes = unequal(found)
    except ValueError as error:
        raise mistake(str(error)) from None
    for sentence in (*notes, *problems):
        print(sentence, file=sys.stderr)
    if problems:
        raise SystemExit(1)


if __name__ == "__main__":
    command_line.run(main)
