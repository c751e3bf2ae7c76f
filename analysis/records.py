"""The run store, read: one folder per run in, one tidy row per measured number out."""

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
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
HISTORY = ("step", "seconds", "target_tokens", "metric", "value")
TRANSLATION = ("id", "source", "reference", "hypothesis", "score", "log_prob", "source_tokens", "truncated")
ATTENTION = ("test_set", "id", "source_tokens", "target_tokens", "maps")


class System(NamedTuple):
    """What is compared: a model and its variant, whatever the seed."""

    model: str
    variant: str


@dataclass(frozen=True)
class Run:
    """One run folder. `status` is finished, failed, interrupted or unreadable; `record` is what its JSON file says."""

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

    def attention(self, run: Run) -> list[dict[str, Any]]:
        """Attention maps of the sentences kept; one whose maps do not fit its tokens becomes a problem instead."""
        path = run.folder / "attention.json"
        sentences = self._attempt(path, lambda text: checked(json.loads(text), list))
        return [s for s in sentences or [] if self._fits(path, s)]

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
    rows = [run.key | row for run in runs if run.status == "finished" for row in run.record["measurements"]]
    measurements = pd.DataFrame(rows, columns=[*KEY, *MEASUREMENT]).astype({"value": float})
    return Store(suite, runs, problems, measurements)


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
    for number, row in enumerate(record["measurements"]):
        complaint = fields_missing(row, MEASUREMENT)
        if complaint:
            raise ValueError(f"measurement {number}: {complaint}")
        if isinstance(row["value"], bool) or not isinstance(row["value"], int | float):
            raise ValueError(f"measurement {number} ({row['metric']}): its value is {row['value']!r}, not a number")


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
