"""The run store, read: one folder per run in, one tidy row per measured number out."""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

KEY = ("suite", "experiment", "task", "model", "variant", "seed")
MEASUREMENT = ("metric", "x_name", "x", "value", "unit", "n")
RECORD = {
    "config_hash": str,
    "command": str,
    "git": dict,
    "versions": dict,
    "machine": dict,
    "started": str,
    "finished": str,
    "held_equal": dict,
    "signatures": dict,
    "measurements": list,
}
ORIGIN = ("config_hash", "started", "finished", "measurements")
BLOCK = ("metric", "x_name", "x", "round", "value")
HISTORY = ("step", "seconds", "target_tokens", "metric", "value")
TRANSLATION = ("id", "source", "reference", "hypothesis", "score", "log_prob", "source_tokens", "truncated")
ATTENTION = ("test_set", "id", "source_tokens", "target_tokens", "maps")
TRIALS = ("chosen", "chosen_by", "space", "sampler", "pruner", "seed", "steps", "share_of_steps", "trials")
TRIAL = ("number", "learning_rate", "initialisation_scale", "outcome", "validation_loss", "steps")


class System(NamedTuple):
    """What is compared: a model and its variant, whatever the seed."""

    model: str
    variant: str


@dataclass(frozen=True)
class Run:
    """One run folder; `record` is what its JSON file says.

    `status` is finished, failed, interrupted, unreadable, or copied where the folder repeats another's numbers.
    """

    suite: str
    experiment: str
    task: str
    model: str
    variant: str
    seed: int
    folder: Path
    status: str
    record: dict[str, Any]

    @property
    def system(self) -> System:
        return System(self.model, self.variant)

    @property
    def name(self) -> str:
        return "/".join(self.folder.parts[-5:])

    @property
    def key(self) -> dict[str, Any]:
        return {column: getattr(self, column) for column in KEY}


@dataclass
class Store:
    """All runs of one suite. `problems` grows as files are read: each entry is a sentence that names a path."""

    suite: str
    runs: list[Run]
    problems: list[str]
    measurements: pd.DataFrame
    _translations: dict[Path, pd.DataFrame | None] = field(default_factory=dict)

    def finished(self, experiment: str) -> list[Run]:
        return [run for run in self.runs if run.experiment == experiment and run.status == "finished"]

    def translations(self, run: Run, test_set: str) -> pd.DataFrame | None:
        """The hypotheses of one test set in corpus order, or None (and a problem) where they cannot be read."""
        path = run.folder / "hypotheses" / f"{test_set}.jsonl"
        if path not in self._translations:
            rows = self._lines(path, TRANSLATION)
            self._translations[path] = pd.DataFrame(rows) if rows else None
        return self._translations[path]

    def history(self, run: Run) -> pd.DataFrame:
        """Metrics as they happened: columns step, seconds since training start, target_tokens, metric, value."""
        return pd.DataFrame(self._lines(run.folder / "metrics.jsonl", HISTORY), columns=list(HISTORY))

    def blocks(self, run: Run) -> list[dict[str, Any]]:
        """What every timed block of a speed run came to; none where blocks were not kept."""
        path = run.folder / "blocks.jsonl"
        return self._lines(path, BLOCK) if path.is_file() else []

    def attention(self, run: Run) -> list[dict[str, Any]]:
        """Attention maps of the sentences kept; one whose maps do not fit its tokens becomes a problem instead."""
        path = run.folder / "attention.json"
        sentences = self._attempt(path, lambda text: checked(json.loads(text), list))
        return [s for s in sentences or [] if self._fits(path, s)]

    def trials(self, run: Run) -> dict[str, Any] | None:
        """The trials that the run's settings were chosen from; None if there were none, or they cannot be read."""
        path = run.folder / "trials.json"
        return self._attempt(path, parsed_trials) if path.is_file() else None

    def _fits(self, path: Path, sentence: Any) -> bool:
        complaint = fields_missing(sentence, ATTENTION)
        if not complaint:
            wanted = (len(sentence["target_tokens"]), len(sentence["source_tokens"]))
            for name, heads in sentence["maps"].items():
                shapes = {(len(head), len(row)) for head in heads for row in head}
                if shapes != {wanted}:
                    complaint = f"map {name!r} has shape {sorted(shapes)} where the tokens need {wanted}"
        if complaint:
            self.problems.append(f"{path}: {complaint}; run it again.")
        return not complaint

    def _attempt(self, path: Path, parse: Any) -> Any:
        if not path.is_file():
            self.problems.append(f"{path} is missing from a finished run; run it again.")
            return None
        try:
            return parse(path.read_text(encoding="utf-8"))
        except ValueError as error:  # not UTF-8, not JSON, or not what was agreed
            self.problems.append(f"{path} cannot be read ({error}); run it again.")
            return None

    def _lines(self, path: Path, fields: Sequence[str]) -> list[dict[str, Any]]:
        return self._attempt(path, lambda text: parsed_lines(text, fields)) or []


def read_store(root: Path, suite: str) -> Store:
    """Read every run of a suite.

    Raises:
        FileNotFoundError: `root` holds no run of that suite.
    """
    folders = sorted((root / suite).glob("*/*/*/*/seed*"))
    runs, problems = [], []
    for folder in folders:
        if not re.fullmatch(r"seed\d+", folder.name):
            problems.append(f"{folder} is not a run folder: its name is not `seed` and a number; remove or rename it.")
            continue
        run, problem = read_run(folder)
        runs.append(run)
        if problem:
            problems.append(problem)
    if not runs:
        present = sorted(p.name for p in root.glob("*") if p.is_dir())
        raise FileNotFoundError(
            f"{root / suite} holds no runs (suites there: {', '.join(present) or 'none'}); "
            f"make some first, for example with `make bleu SUITE={suite}`."
        )
    runs, copied = without_copies(runs)
    problems += copied
    rows = [run.key | row for run in runs if run.status == "finished" for row in run.record["measurements"]]
    measurements = pd.DataFrame(rows, columns=[*KEY, *MEASUREMENT]).astype({"value": float})
    return Store(suite, runs, problems, measurements)


def without_copies(runs: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """Runs of which each counts once, and a problem for each folder that repeats another's numbers under its own key.

    Equal numbers alone may be chance; equal numbers of one configuration, begun and ended in the same second, are not.
    """
    first: dict[str, Run] = {}
    kept, problems = [], []
    for run in runs:
        facts = [run.experiment, run.task, run.system, *(run.record.get(name) for name in ORIGIN)]
        original = first.setdefault(json.dumps(facts), run) if run.status == "finished" else run
        if original is not run:
            problems.append(f"{run.folder} repeats {original.folder}, number for number: it is in no number here.")
            run = replace(run, status="copied")
        kept.append(run)
    return kept, problems


def read_run(folder: Path) -> tuple[Run, str]:
    """Read one run folder; the second value is a problem in words, empty if there is none."""
    suite, experiment, task, model, variant, seed = folder.parts[-6:]
    key = (suite, experiment, task, model, variant, int(seed.removeprefix("seed")))
    for file, status in (("result.json", "finished"), ("failure.json", "failed")):
        path = folder / file
        if path.is_file():
            try:
                record = checked(json.loads(path.read_text(encoding="utf-8")), dict)
                check_key(record, key)
                if status == "finished":
                    check_result(record)
            except ValueError as error:
                problem = f"{path} cannot be read ({error}); delete the file and run it again."
                return Run(*key, folder=folder, status="unreadable", record={}), problem
            return Run(*key, folder=folder, status=status, record=record), ""
    return Run(*key, folder=folder, status="interrupted", record={}), ""


def check_key(record: dict[str, Any], key: tuple[Any, ...]) -> None:
    for column, expected in zip(KEY, key, strict=True):
        if record.get(column) != expected:
            raise ValueError(f"its {column} is {record.get(column)!r} but its folder says {expected!r}")


def check_result(record: dict[str, Any]) -> None:
    for name, kind in RECORD.items():
        if not isinstance(record.get(name), kind):
            raise ValueError(f"{name!r} is missing or is not a {kind.__name__}")
    check_settings(record.get("model_settings", {}))
    if record.get("digest", found := digest(record["measurements"])) != found:
        raise ValueError("its measurements are not those that the run wrote, by their digest")
    for number, row in enumerate(record["measurements"]):
        complaint = fields_missing(row, MEASUREMENT)
        if complaint:
            raise ValueError(f"measurement {number}: {complaint}")
        if not is_number(row["value"]):
            raise ValueError(f"measurement {number} ({row['metric']}): its value is {row['value']!r}, not a number")


def digest(measurements: list[Any]) -> str:
    """The fingerprint that a run writes beside its measurements."""
    return hashlib.sha256(json.dumps(measurements, sort_keys=True).encode()).hexdigest()


def check_settings(settings: Any) -> None:
    """Results made before settings were recorded have none; those that have them hold objects."""
    arguments = settings.get("init_args", {}) if isinstance(settings, dict) else None
    parts = [arguments.get(name, {}) for name in ("network", "optimisation")] if isinstance(arguments, dict) else [None]
    if not all(isinstance(part, dict) for part in parts):
        raise ValueError("'model_settings' is not an object with objects init_args, network and optimisation")


def parsed_trials(text: str) -> dict[str, Any]:
    """Trials as recorded, if they are whole and the chosen one is among those that finished."""
    record: dict[str, Any] = checked(json.loads(text), dict)
    complaint = fields_missing(record, TRIALS)
    if complaint:
        raise ValueError(complaint)
    for name, values in checked(record["space"], dict).items():
        complaint = fields_missing(values, ("low", "high", "distribution"))
        if complaint:
            raise ValueError(f"space of {name}: {complaint}")
    for number, trial in enumerate(checked(record["trials"], list)):
        complaint = fields_missing(trial, TRIAL) or not_numbers(trial)
        if complaint:
            raise ValueError(f"trial {number}: {complaint}")
    if not is_number(record["share_of_steps"]):
        raise ValueError(f"its share_of_steps is {record['share_of_steps']!r}, not a number")
    chosen = [t for t in record["trials"] if t["number"] == record["chosen"] and t["outcome"] == "finished"]
    if not chosen:
        raise ValueError(f"trial {record['chosen']!r}, the chosen one, is not among those that finished")
    return record


def not_numbers(trial: dict[str, Any]) -> str:
    """Only a trial that did not finish may be without a loss."""
    wanted = ["learning_rate", "initialisation_scale", "steps"]
    if trial["outcome"] == "finished" or trial["validation_loss"] is not None:
        wanted.append("validation_loss")
    wrong = next((name for name in wanted if not is_number(trial[name])), "")
    return f"its {wrong} is {trial[wrong]!r}, not a number" if wrong else ""


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def checked(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"it holds a {type(value).__name__}, not a {kind.__name__}")
    return value


def fields_missing(row: Any, fields: Iterable[str]) -> str:
    if not isinstance(row, dict):
        return f"it is a {type(row).__name__}, not an object"
    missing = [name for name in fields if name not in row]
    return f"it has no {', '.join(missing)}" if missing else ""


def parsed_lines(text: str, fields: Sequence[str]) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):  # splitlines would also cut at U+2028 inside a sentence
        if not line:
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
        complaint = fields_missing(row, fields)
        if complaint:
            raise ValueError(f"line {number}: {complaint}")
        rows.append(row)
    return rows


def by_system(runs: Iterable[Run]) -> dict[System, dict[int, Run]]:
    """Runs by system and seed, systems in the order of `runs`."""
    table: dict[System, dict[int, Run]] = {}
    for run in runs:
        table.setdefault(run.system, {})[run.seed] = run
    return table


def first_common_seed(systems: Iterable[dict[int, Run]]) -> int | None:
    """The lowest seed that every system has, or None."""
    return min(set.intersection(*(set(seeds) for seeds in systems)), default=None)


def missing_runs(runs: Sequence[Run]) -> list[str]:
    """Names of the runs that would complete the grid (system by seed) of each experiment and task."""
    present = {run.name for run in runs}
    names = []
    for experiment, task in dict.fromkeys((run.experiment, run.task) for run in runs):
        group = [run for run in runs if (run.experiment, run.task) == (experiment, task)]
        systems = dict.fromkeys(run.system for run in group)
        for system, seed in product(systems, sorted({run.seed for run in group})):
            names.append(f"{experiment}/{task}/{system.model}/{system.variant}/seed{seed}")
    return [name for name in names if name not in present]


def number(measurements: pd.DataFrame, run: Run, metric: str, x: Any = None) -> float:
    """One measured value of one run; NaN if it was not measured."""
    rows = measurements[
        (measurements["metric"] == metric)
        & (measurements["experiment"] == run.experiment)
        & (measurements["task"] == run.task)
        & (measurements["model"] == run.model)
        & (measurements["variant"] == run.variant)
        & (measurements["seed"] == run.seed)
    ]
    values = rows["value"] if x is None else rows.loc[rows["x"] == x, "value"]
    return float(values.iloc[0]) if len(values) else math.nan
