"""Accuracy along an axis of a task: mean over seeds, its interval, chance, and how far 0.9 is held."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.page.labels import figure_name, ordered
from analysis.statistics.intervals import Interval, pooled, spread
from analysis.store import Store, System

EXPERIMENT = "long-range"
HELD = 0.9  # a model holds a length, a gap or a load if its accuracy there is at least this
MASTERED = 0.99  # below it at the easiest setting a model is under-trained, and nothing follows from its failures
CHANCE = {"token_accuracy": "chance: ", "squared_error": "chance squared error: "}
TASKS = ("copy", "reverse", "recall", "associative-recall", "selective-copy", "adding", "parity", "agreement")


@dataclass(frozen=True)
class Point:
    """One system at one x: mean over seeds with its interval, each seed's value, examples of a seed.

    `trained` is False where x lies outside the range of training, None where that was not recorded.
    """

    x: float
    interval: Interval
    seeds: Mapping[int, float]
    n: int
    trained: bool | None = None

    @property
    def value(self) -> float:
        return self.interval.value


@dataclass(frozen=True)
class Axis:
    """One metric of a task along one axis: points by system in the order of x, chance lines by name."""

    task: str
    name: str
    metric: str
    curves: Mapping[System, Sequence[Point]]
    chance: Mapping[str, Sequence[tuple[float, float]]]

    @property
    def vary(self) -> str:
        """What is varied: of "gap, symbols 4" the gap."""
        return self.name.partition(",")[0]

    @property
    def single(self) -> bool:
        """Whether it was measured at one value only, so that there is no curve to draw."""
        return len(self.xs) == 1

    @property
    def figure(self) -> str:
        return figure_name(self.metric, self.task, self.name)

    @property
    def points(self) -> list[Point]:
        return [point for curve in self.curves.values() for point in curve]

    @property
    def xs(self) -> list[float]:
        return sorted({point.x for point in self.points})

    @property
    def beyond(self) -> list[float]:
        """The x that no training example had."""
        return sorted({point.x for point in self.points if point.trained is False})

    def only(self, systems: Sequence[System]) -> "Axis":
        curves = {system: self.curves[system] for system in systems if system in self.curves}
        return Axis(self.task, self.name, self.metric, curves, self.chance)


class Reach(NamedTuple):
    """Where accuracy first falls below 0.9: at `x`, or ">" the largest x tested, or "<" the smallest."""

    relation: str
    x: float

    def __str__(self) -> str:
        return f"{self.relation} {self.x:.3g}".strip()


@dataclass(frozen=True)
class Control:
    """The easiest setting: accuracy of each seed there, and the step at which each first reached 0.99."""

    setting: str
    interval: Interval
    seeds: Mapping[int, float]
    steps: Mapping[int, float]

    @property
    def mastered(self) -> bool:
        return all(value >= MASTERED for value in self.seeds.values())


def tasks_of(store: Store) -> list[str]:
    """Tasks with a finished run: those known in their order, then others by name."""
    present = {run.task for run in store.finished(EXPERIMENT)}
    return sorted(present, key=lambda task: (place_of(task), task))


def place_of(task: str) -> int:
    """A task that is a kind of a known one, such as copy-of-words, stands with it."""
    return next((i for i, known in enumerate(TASKS) if is_kind_of(task, known)), len(TASKS))


def is_kind_of(task: str, known: str) -> bool:
    return task == known or task.startswith(f"{known}-")


def systems_of(store: Store, task: str) -> list[System]:
    return ordered(run.system for run in store.finished(EXPERIMENT) if run.task == task)


def rows_of(store: Store, task: str, metric: str) -> pd.DataFrame:
    rows = store.measurements
    return rows[(rows["experiment"] == EXPERIMENT) & (rows["task"] == task) & (rows["metric"] == metric)]


def by_seed(rows: pd.DataFrame) -> dict[int, float]:
    return {int(s): float(v) for s, v in sorted(zip(rows["seed"], rows["value"], strict=True))}


def of_system(rows: pd.DataFrame, system: System) -> pd.DataFrame:
    return rows[(rows["model"] == system.model) & (rows["variant"] == system.variant)]


def axes(store: Store, task: str, metric: str = "token_accuracy") -> list[Axis]:
    """Every axis along which a metric of a task was measured, as recorded; x that are no numbers are left out."""
    rows = numeric(rows_of(store, task, metric))
    errors, trained = cells(rows_of(store, task, f"{metric}_error")), cells(rows_of(store, task, "trained"))
    shares = set(rows["unit"]) == {"share"}
    found = []
    for name in dict.fromkeys(rows["x_name"]):
        here = rows[rows["x_name"] == name]
        values, sizes = cells(here), cells(here, "n")
        curves: dict[System, list[Point]] = {}
        for key in sorted(values, key=lambda key: key[2]):
            seeds, n = values[key], int(min(sizes[key].values()))
            among_seeds = spread(list(seeds.values()))
            interval = pooled(list(seeds.values()), list(errors.get(key, {}).values()), n) if shares else among_seeds
            flags = [bool(flag) for flag in trained.get(key, {}).values()]
            point = Point(key[2], interval, seeds, n, flags[0] if flags else None)
            curves.setdefault(key[0], []).append(point)
        in_order = {system: curves[system] for system in ordered(curves)}
        found.append(Axis(task, name, metric, in_order, chance_lines(store, task, metric, name)))
    return found


def random_scores(store: Store, metric: str) -> dict[str, Sequence[Point]]:
    """A measure of a softmax over random scores by head size: "scaled" and "unscaled", empty if nothing recorded it.

    Every run of a Transformer records the same, since neither training nor seed changes it; it is taken from one.
    """
    for task in tasks_of(store):
        found = {axis.name.partition(", ")[2]: next(iter(axis.curves.values())) for axis in axes(store, task, metric)}
        if found:
            return found
    return {}


def one_answer(store: Store, task: str) -> bool:
    """Whether an answer is one token, as far as numbers tell: exact match is the accuracy, in every run everywhere."""
    exact, tokens = (cells(rows_of(store, task, metric)) for metric in ("exact_match", "token_accuracy"))
    return bool(exact) and all(
        key in tokens and math.isclose(value, tokens[key].get(seed, math.nan), abs_tol=1e-9)
        for key, seeds in exact.items()
        for seed, value in seeds.items()
    )


def main_axis(found: Sequence[Axis], vary: str = "") -> Axis:
    """The axis that varies `vary`, or else any; of several the one with most values, then the farthest x."""
    return max(found, key=lambda axis: (axis.vary == vary, len(axis.xs), axis.xs[-1]))


def numeric(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[np.array([isinstance(x, Real) and not math.isnan(float(x)) for x in rows["x"]], dtype=bool)]


def cells(rows: pd.DataFrame, column: str = "value") -> dict[tuple[System, str, float], dict[int, float]]:
    """Values by (system, axis, x) and seed."""
    table: dict[tuple[System, str, float], dict[int, float]] = {}
    found = numeric(rows).sort_values("seed")
    columns = [found[name] for name in ("model", "variant", "x_name", "x", "seed", column)]
    for model, variant, name, x, seed, value in zip(*columns, strict=True):
        table.setdefault((System(model, variant), name, float(x)), {})[int(seed)] = float(value)
    return table


def chance_lines(store: Store, task: str, metric: str, name: str) -> dict[str, list[tuple[float, float]]]:
    """What strategies without memory reach, by name, as (x, value)."""
    if metric.startswith("contrastive_accuracy"):
        xs = sorted(set(numeric(rows_of(store, task, metric).query("x_name == @name"))["x"]))
        return {"guessing": [(float(x), 0.5) for x in xs]}  # two translations, one of them right
    rows = store.measurements
    rows = rows[(rows["experiment"] == EXPERIMENT) & (rows["task"] == task) & (rows["x_name"] == name)]
    lines: dict[str, list[tuple[float, float]]] = {}
    prefix = CHANCE.get(metric)
    for recorded in dict.fromkeys(rows["metric"]) if prefix else ():
        if recorded.startswith(prefix):
            means = numeric(rows[rows["metric"] == recorded]).groupby("x")["value"].mean()
            lines[recorded.removeprefix(prefix)] = [(float(x), float(v)) for x, v in means.items()]  # type: ignore[arg-type]
    return lines


def reach(points: Sequence[Point]) -> Reach:
    """Where accuracy, having reached 0.9, first falls below it, on straight lines between the points measured."""
    start = next((i for i, point in enumerate(points) if point.value >= HELD), None)
    if start is None:
        return Reach("<", points[0].x)
    for a, b in pairwise(points[start:]):
        if b.value < HELD:
            return Reach("", a.x + (a.value - HELD) / (a.value - b.value) * (b.x - a.x))
    return Reach(">", points[-1].x)


def controls(store: Store, task: str) -> dict[System, Control]:
    """The control of each system that recorded one."""
    rows, steps = rows_of(store, task, "control_accuracy"), rows_of(store, task, "steps_to_0.99")
    found = {}
    for system in systems_of(store, task):
        mine = of_system(rows, system)
        if len(mine):
            seeds = by_seed(mine)
            interval = pooled(list(seeds.values()), [], int(mine["n"].min()))
            found[system] = Control(shown_x(mine["x"].iloc[0]), interval, seeds, by_seed(of_system(steps, system)))
    return found


def shown_x(x: Any) -> str:
    return f"{x:g}" if isinstance(x, float) else str(x)
