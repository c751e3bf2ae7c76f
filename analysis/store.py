"""The runs of a suite as tables: one tidy row per measured number, and what could not be read as sentences."""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import pandas as pd

from experiments.record import schema
from experiments.record.archives import is_run, run_folders
from experiments.record.keys import ATTENTION, BLOCKS, FAILURE, HISTORY, KEY, RESULT, TRIALS, WORD_COUNTS
from experiments.record.languages import CHARACTERS, USUAL, is_installed, tokeniser_in
from experiments.record.read import (
    WHOLE_RUN,
    read_attention,
    read_failure,
    read_history,
    read_json,
    read_result,
    read_rows,
    read_translations,
)

COLUMNS = ("metric", "x_name", "x", "value", "unit", "n")
ORIGIN = ("config_hash", "started", "finished", "measurements")

T = TypeVar("T")


class System(NamedTuple):
    """What is compared: a model and its variant, whatever the seed."""

    model: str
    variant: str


@dataclass(frozen=True)
class Run:
    """One run; `record` is what its JSON file says, `folder` where its files are, be they archived or in runs/.

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
    """All runs of one suite. `problems` grows as files are read: each is a sentence that names a run and its file."""

    suite: str
    runs: list[Run]
    problems: list[str]
    measurements: pd.DataFrame
    _read: dict[Path, Any] = field(default_factory=dict)

    def ran(self, experiment: str) -> bool:
        """Whether there is a run of an experiment, finished or not."""
        return any(run.experiment == experiment for run in self.runs)

    def finished(self, experiment: str, task: str | None = None, system: System | None = None) -> list[Run]:
        """Of an experiment, of one of its tasks if given, of one system if given."""
        found = [run for run in self.runs if run.experiment == experiment and run.status == "finished"]
        return [run for run in found if task in (None, run.task) and system in (None, run.system)]

    def rows(self, experiment: str, **where: str) -> pd.DataFrame:
        """The measurements of an experiment where other columns have these values."""
        found = self.measurements
        for column, value in {"experiment": experiment, **where}.items():
            found = found[found[column] == value]
        return found

    def tokeniser(self, task: str) -> str:
        """sacreBLEU's tokeniser of a translation task, by the signature of its first run.

        Characters take the place of one that is not installed here: then recorded numbers are not met, and a problem
        says so.
        """
        runs = self.finished("bleu", task)
        name = next((tokeniser_in(run.record["signatures"]) for run in runs), USUAL)
        if is_installed(name):
            return name
        missing = f"sacreBLEU's {name} is not installed: intervals of {task} count characters (docs/own-text.md)."
        if missing not in self.problems:
            self.problems.append(missing)
        return CHARACTERS

    def translations(self, run: Run, test_set: str) -> pd.DataFrame | None:
        """The hypotheses of one test set in corpus order, or None (and a problem) where they cannot be read."""
        frame = self._attempt(run, f"hypotheses/{test_set}.jsonl", lambda path: pd.DataFrame(read_translations(path)))
        return None if frame is None or frame.empty else frame

    def history(self, run: Run) -> pd.DataFrame:
        """Metrics as they happened: columns step, seconds since training start, target_tokens, metric, value."""
        columns = [*schema.History.__annotations__]
        frame = self._attempt(run, HISTORY, lambda path: pd.DataFrame(read_history(path), columns=columns))
        return pd.DataFrame(columns=columns) if frame is None else frame

    def blocks(self, run: Run) -> list[schema.Block]:
        """The timed blocks of a speed run; none where blocks were not kept."""
        if not (run.folder / BLOCKS).is_file():
            return []
        return self._attempt(run, BLOCKS, lambda path: list(read_rows(path, schema.Block))) or []

    def attention(self, run: Run) -> list[dict[str, Any]]:
        """Attention maps of the sentences kept."""
        return cast(list[dict[str, Any]], self._attempt(run, ATTENTION, read_attention) or [])

    def trials(self, run: Run) -> dict[str, Any] | None:
        """The trials that the run's settings were chosen from; None if there were none, or they cannot be read."""
        if not (run.folder / TRIALS).is_file():
            return None
        return self._attempt(run, TRIALS, lambda path: read_json(path, schema.Trials, WHOLE_RUN))

    def word_counts(self, run: Run) -> dict[str, int] | None:
        """How often the words of references and hypotheses occur in the training text; None if it cannot be read."""
        counts = self._attempt(run, WORD_COUNTS, lambda path: read_json(path, schema.WordCounts, WHOLE_RUN))
        return counts["counts"] if counts else None

    def _attempt(self, run: Run, name: str, read: Callable[[Path], T]) -> T | None:
        """The content of a file, read once; None, and a problem, where it cannot be read."""
        path = run.folder / name
        if path not in self._read:
            self._read[path] = None
            try:
                self._read[path] = read(path)
            except (FileNotFoundError, ValueError) as error:
                self.problems.append(in_words(error, run.folder))
        return cast(T | None, self._read[path])


def read_store(root: Path, suite: str, records: Path | None = None, experiment: str = "") -> Store:
    """Read every run of a suite, or of one experiment of it.

    They are those in `root` and, where it has no run of the same key, the archived ones.

    Raises:
        FileNotFoundError: There is no run of that suite.
        ValueError: An archive of `records` cannot be read.
    """
    runs, problems = [], []
    for name, folder in run_folders(root, suite, records).items():
        if experiment and name.split("/")[0] != experiment:
            continue
        if not is_run(folder):
            problems.append(f"{name} is not a run folder: its name is not `seed` and a number; remove or rename it.")
            continue
        run, problem = read_run(folder)
        runs.append(run)
        if problem:
            problems.append(problem)
    if not runs:
        present = sorted(p.name for p in root.glob("*") if p.is_dir())
        raise FileNotFoundError(
            f"{root / suite} holds no runs (suites there: {', '.join(present) or 'none'}); "
            "make some first, for example with `make quick`."
        )
    runs, copied = without_copies(runs)
    problems += copied
    rows = [run.key | row for run in runs if run.status == "finished" for row in run.record["measurements"]]
    measurements = pd.DataFrame(rows, columns=[*KEY, *COLUMNS]).astype({"value": float})
    measurements["x"] = pd.Series([row["x"] for row in rows], dtype=object)  # a length is 16, not 16.0
    texts = ("experiment", "task", "model", "variant", "metric", "x_name")
    measurements = measurements.astype(dict.fromkeys(texts, object))  # compared much faster than strings of pandas
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
            problems.append(f"{run.name} repeats {original.name}, number for number: it is in no number here.")
            run = replace(run, status="copied")
        kept.append(run)
    return kept, problems


def read_run(folder: Path) -> tuple[Run, str]:
    """Read one run folder; the second value is a problem in words, empty if there is none."""
    suite, experiment, task, model, variant, seed = folder.parts[-6:]
    key = (suite, experiment, task, model, variant, int(seed.removeprefix("seed")))
    try:
        if (folder / RESULT).is_file():
            return Run(*key, folder, "finished", dict(read_result(folder))), ""
        if (folder / FAILURE).is_file():
            return Run(*key, folder, "failed", dict(read_failure(folder))), ""
    except ValueError as error:
        return Run(*key, folder, "unreadable", {}), in_words(error, folder)
    return Run(*key, folder, "interrupted", {}), ""


def in_words(error: Exception, folder: Path) -> str:
    """What is wrong with a file of a run, said by the run's name: the same words wherever the suites are."""
    return str(error).replace(str(folder), "/".join(folder.parts[-5:]))


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


def number(run: Run, metric: str, x: Any = None) -> float:
    """One measured value of a finished run; NaN if it was not measured."""
    rows = (row for row in run.record["measurements"] if row["metric"] == metric and x in (None, row["x"]))
    return float(next(rows, {"value": math.nan})["value"])


def axis_text(x: Any) -> str:
    """A value of an axis as text, the same from JSON and from CSV: 16, 16.0 and "16" are one."""
    try:
        value = float(x)
    except (TypeError, ValueError):
        return "" if x is None else str(x)
    return str(int(value)) if value.is_integer() else str(value)
