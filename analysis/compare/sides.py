"""One side of a comparison: a report's folder, the runs of a suite, or a table that somebody else made."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from typing_extensions import TypedDict

from analysis.compare.csv_tables import csv_lines, numeric
from analysis.store import Store, axis_text, read_store
from experiments.record.archives import ARCHIVES, RECORDS, RUNS, unpacked
from experiments.record.read import read_json
from experiments.record.schema import Machine
from experiments.record.text import brief

NEEDED = ("model", "metric", "value")
FILLED = ("experiment", "task", "x_name", "x")  # what a table may leave open, to be read off the other side
DEFAULTS = {"variant": "base", "seed": "0"}


class Origin(TypedDict, total=False):
    """The provenance.json of a report."""

    suite: str
    machines: list[Machine | str]
    commits: list[str | None]
    uncommitted_changes: bool


class Place(NamedTuple):
    """What was measured: everything that names a number but the seed."""

    experiment: str
    task: str
    model: str
    variant: str
    metric: str
    x_name: str
    x: str


@dataclass(frozen=True)
class Number:
    """One measured value. `machine` and `commit` are empty where nobody recorded them; `line` is that of a table."""

    place: Place
    seed: int
    value: float
    unit: str = ""
    n: float = math.nan
    machine: str = ""
    commit: str = ""
    source: str = ""
    line: int = 0


@dataclass
class Side:
    """All numbers of one side, and where they come from; `absent` are the columns that a table does not have."""

    name: str
    path: Path
    kind: str
    suite: str
    numbers: Sequence[Number]
    machines: Sequence[str] = ()
    commits: Sequence[str] = ()
    absent: Sequence[str] = ()
    store: Store | None = None
    places: Mapping[Place, Mapping[int, Number]] = field(init=False)

    def __post_init__(self) -> None:
        self.places = by_place(self.path, self.numbers)


def read_pair(first: Path, second: Path) -> tuple[Side, Side]:
    """Read the sides A and B; a table takes the columns it does not have from the other side.

    Raises:
        FileNotFoundError: a path holds no results.
        ValueError: a file is not what it should be, or both paths are the same.
    """
    if first.resolve() == second.resolve():
        raise ValueError(f"A and B are both {first}; name two results to compare.")
    a, b = read_side("A", first), read_side("B", second)
    return completed(a, b), completed(b, a)


def read_side(name: str, path: Path) -> Side:
    if path.is_file():
        columns, numbers = read_csv(path)
        absent = [column for column in FILLED if column not in columns]
        return Side(name, path, "table", path.name, numbers, absent=absent)
    if any((path / RECORDS).glob(ARCHIVES)):  # of the report's own runs, whatever others it was made of since
        for suite in unpacked(path / RECORDS).iterdir():
            return read_runs(name, path, suite, "records")
    if (path / "measurements.csv").is_file():
        return read_results(name, path)
    if any(path.glob(RUNS)):
        return read_runs(name, path, Path(os.path.abspath(path)), "runs")
    raise FileNotFoundError(
        f"{name} is {path}, which is neither a folder with a report's measurements.csv, nor a folder of runs such as "
        "runs/full, nor a CSV file; make a report first, for example with `make report SUITE=quick`."
    )


def read_results(name: str, path: Path) -> Side:
    """A report's folder. Which run was made on which machine is known only where there was one."""
    _, numbers = read_csv(path / "measurements.csv")
    facts = path / "provenance.json"  # reports that were made earlier have none
    origin: Origin = read_json(facts, Origin, "make the report again with `make report`") if facts.is_file() else {}
    machines = distinct(map(machine_name, origin.get("machines", [])))
    commits = [str(commit) for commit in origin.get("commits", [])]
    machine = machines[0] if len(machines) == 1 else ""
    one = len(commits) == 1 and not origin.get("uncommitted_changes")
    commit = commits[0] if one and commits != ["None"] else ""
    numbers = [replace(number, machine=machine, commit=commit) for number in numbers]
    return Side(name, path, "report", str(origin.get("suite", path.name)), numbers, machines, distinct(commits))


def read_runs(name: str, path: Path, folder: Path, kind: str) -> Side:
    """The runs of a suite; of those with uncommitted changes no commit holds the code, so theirs counts as unknown."""
    store = read_store(folder.parent, folder.name)
    numbers = []
    for run in store.runs:
        if run.status == "finished":
            git, machine = run.record["git"], machine_name(run.record["machine"])
            commit = "" if git.get("dirty") else git.get("commit") or ""
            for row in run.record["measurements"]:
                place = Place(
                    run.experiment, run.task, run.model, run.variant, row["metric"], row["x_name"], axis_text(row["x"])
                )
                n = float(row["n"])
                numbers.append(Number(place, run.seed, float(row["value"]), row["unit"], n, machine, commit))
    machines, commits = distinct(n.machine for n in numbers), distinct(n.commit for n in numbers)
    return Side(name, path, kind, store.suite, numbers, machines, commits, store=store)


def read_csv(path: Path) -> tuple[list[str], list[Number]]:
    """The columns of a table and its numbers; a value left empty was not measured and is NaN."""
    columns, lines = csv_lines(path)
    lacking = [column for column in NEEDED if column not in columns]
    if lacking:
        raise ValueError(
            f"{path} has no column {' and no column '.join(lacking)} (its columns: "
            f"{brief(', '.join(columns)) or 'none'}); a comparison needs {', '.join(NEEDED)}."
        )
    return columns, [as_number(path, line, row) for row, line in lines]


def as_number(path: Path, line: int, row: Mapping[str, str]) -> Number:
    cells = {column: text.strip() for column, text in row.items()}
    cells |= {column: default for column, default in DEFAULTS.items() if not cells.get(column)}
    for column in ("model", "metric"):
        if not cells[column]:
            raise ValueError(f"{path}, line {line} names no {column}; fill it in.")
    place = Place(
        *(axis_text(cells.get(column, "")) if column == "x" else cells.get(column, "") for column in Place._fields)
    )
    return Number(
        place,
        int(numeric(path, line, "seed", cells["seed"], whole=True)),
        numeric(path, line, "value", cells["value"]),
        cells.get("unit", ""),
        numeric(path, line, "n", cells.get("n", "")),
        source=", ".join(filter(None, (cells.get("system"), cells.get("source")))),
        line=line,
    )


def machine_name(machine: Mapping[str, Any] | str) -> str:
    """A machine in words, the same for the same hardware and system; threads are a setting, not a machine."""
    if isinstance(machine, str):
        return machine
    gpus = ", ".join(map(str, machine.get("gpus") or [])) or "no GPU"
    cores, memory = machine.get("cores", "unknown"), machine.get("memory_gib", "unknown")
    return f"{machine.get('cpu', 'unknown CPU')}, {cores} cores, {memory} GiB, {gpus}, {machine.get('platform', '')}"


def distinct(texts: Iterable[str]) -> list[str]:
    """Texts without repetition; a report made outside of a repository names the commit None."""
    return list(dict.fromkeys(text for text in texts if text not in ("", "None")))


def by_place(path: Path, numbers: Sequence[Number]) -> dict[Place, dict[int, Number]]:
    table: dict[Place, dict[int, Number]] = {}
    for number in numbers:
        seeds = table.setdefault(number.place, {})
        earlier = seeds.setdefault(number.seed, number)
        if earlier is not number:
            where = f", lines {earlier.line} and {number.line}" if number.line else ""
            raise ValueError(
                f"{path}{where}: two values of {named(number.place)}, seed {number.seed}; keep one, or distinguish "
                "them by variant or seed."
            )
    return table


def named(place: Place) -> str:
    """A place as a reader says it."""
    at = f" at {place.x_name} {place.x}".rstrip() if place.x_name or place.x else ""
    parts = (place.experiment, place.task, place.model, "" if place.variant == "base" else place.variant)
    return f"{', '.join(filter(None, parts))}: {place.metric}{at}"


def completed(side: Side, other: Side) -> Side:
    """The side with the columns that its table leaves out, read off the one place of the other side that fits."""
    if not side.absent:
        return side
    known = [i for i, column in enumerate(Place._fields) if column not in (*side.absent, *other.absent)]
    candidates: dict[tuple[str, ...], set[Place]] = {}
    for place in other.places:
        candidates.setdefault(tuple(place[i] for i in known), set()).add(place)
    numbers = []
    for number in side.numbers:
        fits = candidates.get(tuple(number.place[i] for i in known), set())
        found = {tuple(getattr(place, column) for column in side.absent) for place in fits}
        if len(found) > 1:
            raise ValueError(
                f"{side.path}, line {number.line}: {number.place.metric} of {number.place.model} fits {len(found)} "
                f"places of {other.path} ({'; '.join(sorted(named(p) for p in fits)[:3])}, ...); add the columns "
                f"{', '.join(side.absent)} that distinguish them."
            )
        filled = dict(zip(side.absent, found.pop(), strict=True)) if found else {}
        numbers.append(replace(number, place=number.place._replace(**filled)))
    return replace(side, numbers=numbers)
