"""What the long-range runs measured: accuracy along the axes of a task, controls, chance, and how far 0.9 is held."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from numbers import Real
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.claims.verdict import NotRun, Undecided
from analysis.long_range.wording import TITLES, is_kind_of, quantity
from analysis.page.curves import Curves, Levels, Point
from analysis.page.labels import label, ordered, slug
from analysis.statistics.intervals import Interval, pooled, spread
from analysis.store import Store, System
from experiments.record.metrics import MASTERED

EXPERIMENT = "long-range"
TENFOLD, TIMES = "tenfold", 10  # the variant that is trained on ten times the budget, for models that fail a control
FEWEST = 30  # examples; of fewer a share says next to nothing
HELD = 0.9  # a model holds a length, a gap or a load if its accuracy there is at least this
CHANCE = {
    "token_accuracy": "chance: ",
    "contrastive_accuracy": "chance: ",
    "sense_probe": "probe chance: ",
    "squared_error": "chance squared error: ",
}


@dataclass(frozen=True)
class Axis:
    """One metric of a task along one axis: points by system in the order of x, chance lines by name."""

    task: str
    name: str
    metric: str
    curves: Curves
    chance: Levels

    @property
    def vary(self) -> str:
        """What is varied: of "gap, symbols 4" the gap."""
        return self.name.partition(",")[0]

    @property
    def figure(self) -> str:
        return slug(self.metric, self.task, self.name)

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

    def only(self, wanted: Callable[[System], bool]) -> "Axis":
        return replace(self, curves={system: curve for system, curve in self.curves.items() if wanted(system)})

    @property
    def bases(self) -> "Axis":
        return self.only(lambda system: system.variant == "base")

    def curve(self, system: System) -> Sequence[Point]:
        if system not in self.curves:
            raise NotRun(f"{label(system)} on {self.task}")
        return self.curves[system]

    def trained(self, system: System) -> Sequence[Point]:
        points = [point for point in self.curve(system) if point.trained]
        if not points:
            reason = f"the trained range of {label(system)} on {self.task} was not recorded"
            raise Undecided(reason, "Runs that record it.")
        return points

    def ends(self, system: System) -> tuple[Point, Point]:
        """The smallest and the largest x of training."""
        points = self.trained(system)
        if len(points) < 2:
            raise NotRun(
                f"{label(system)} on {self.task} at more than one trained {quantity(self.vary)}, all else equal"
            )
        return points[0], points[-1]

    def farthest(self, system: System) -> tuple[Point, Point]:
        """The largest x of training and the largest beyond it."""
        last, beyond = self.trained(system)[-1], self.curve(system)[-1]
        if beyond.trained is not False or beyond.x <= last.x:
            raise NotRun(f"{label(system)} on {self.task} beyond the trained {quantity(self.vary)} {last.x:g}")
        return last, beyond

    def chance_at(self, x: float) -> float:
        """The best that a strategy without memory reaches, 0 where none was recorded."""
        return max((dict(line).get(x, 0.0) for line in self.chance.values()), default=0.0)


class Reach(NamedTuple):
    """Where accuracy first falls below 0.9: at `x`, or ">" the largest x tested, or "<" the smallest."""

    relation: str
    x: float

    def __str__(self) -> str:
        return f"{self.relation} {self.x:.3g}".strip()


@dataclass(frozen=True)
class Control:
    """An easy setting of the training: accuracy of each seed there, and the step at which each first reached 0.99.

    `unable`: below 0.99 with ten times the budget too, which is a result; other models below 0.99 are under-trained.
    `later`: they have a run of ten times the budget that is not.
    """

    setting: str
    interval: Interval
    seeds: Mapping[int, float]
    steps: Mapping[int, float]
    unable: bool = False
    later: bool = False

    @property
    def mastered(self) -> bool:
        return all(value >= MASTERED for value in self.seeds.values())

    @property
    def under_trained(self) -> bool:
        return not (self.mastered or self.unable)


def tasks_of(store: Store) -> list[str]:
    """Tasks with a finished run: those known in their order, each followed by its kinds, then others by name.

    Not those learned from few examples, which show what was known before.
    """
    present = {run.task for run in store.finished(EXPERIMENT)} - few(store).keys()

    def place(task: str) -> int:
        return next((i for i, known in enumerate(TITLES) if is_kind_of(task, known)), len(TITLES))

    return sorted(present, key=lambda task: (place(task), task))


def few(store: Store) -> dict[str, int]:
    """Tasks learned from a number of examples that repeat, and the number, from the fewest."""
    rows = store.rows(EXPERIMENT, metric="training_examples")
    found = {task: int(number) for task, number in zip(rows["task"], rows["value"], strict=True)}
    return dict(sorted(found.items(), key=lambda each: each[1]))


def systems_of(store: Store, task: str) -> list[System]:
    return ordered(run.system for run in store.finished(EXPERIMENT, task))


def rows_of(store: Store, task: str, metric: str, system: System | None = None, **where: str) -> pd.DataFrame:
    """The measurements of a metric on a task, of one system if given, where other columns have these values."""
    return store.rows(EXPERIMENT, task=task, metric=metric, **(system._asdict() if system else {}), **where)


def by_seed(rows: pd.DataFrame) -> dict[int, float]:
    return {int(s): float(v) for s, v in sorted(zip(rows["seed"], rows["value"], strict=True))}


def share_of(rows: pd.DataFrame) -> Point:
    """A share of test examples, at no particular x."""
    seeds, n = by_seed(rows), int(rows["n"].min())
    return Point(0, pooled(seeds.values(), [], n), seeds, n)


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
            shown = pooled(seeds.values(), errors.get(key, {}).values(), n) if shares else spread(seeds.values())
            flags = [bool(flag) for flag in trained.get(key, {}).values()]
            point = Point(key[2], shown, seeds, n, flags[0] if flags else None)
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


def main_axis(found: Sequence[Axis], vary: str = "") -> Axis:
    """The axis that varies `vary` or has that name, or else any; of several that with most trained values."""

    def rank(axis: Axis) -> tuple[bool, int, int, float]:
        trained = {point.x for point in axis.points if point.trained}
        return vary in (axis.vary, axis.name), len(trained), len(axis.xs), axis.xs[-1]

    return max(found, key=rank)


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
    rows = store.measurements
    rows = rows[(rows["experiment"] == EXPERIMENT) & (rows["task"] == task) & (rows["x_name"] == name)]
    lines: dict[str, list[tuple[float, float]]] = {}
    prefix = CHANCE.get(metric)
    for recorded in dict.fromkeys(rows["metric"]) if prefix else ():
        if recorded.startswith(prefix):
            lines[recorded.removeprefix(prefix)] = means_by_x(rows[rows["metric"] == recorded])
    return lines


def means_by_x(rows: pd.DataFrame) -> list[tuple[float, float]]:
    means = numeric(rows).groupby("x")["value"].mean()
    return list(zip(map(float, means.index), map(float, means), strict=True))


def reach(points: Sequence[Point]) -> Reach:
    """Where accuracy, having reached 0.9, first falls below it, on straight lines between the points measured."""
    points = [point for point in points if point.n >= FEWEST] or points
    start = next((i for i, point in enumerate(points) if point.value >= HELD), None)
    if start is None:
        return Reach("<", points[0].x)
    for a, b in pairwise(points[start:]):
        if b.value < HELD:
            return Reach("", a.x + (a.value - HELD) / (a.value - b.value) * (b.x - a.x))
    return Reach(">", points[-1].x)


def with_tenfold(system: System) -> System:
    return System(system.model, TENFOLD if system.variant == "base" else f"{system.variant}-{TENFOLD}")


def without_tenfold(system: System) -> System:
    return System(system.model, re.sub(f"-?{TENFOLD}$", "", system.variant) or "base")


def unable(store: Store, task: str, system: System, found: Mapping[System, Control]) -> bool:
    """Whether no seed learned the control, with ten times the budget neither."""
    own, longer = without_tenfold(system), with_tenfold(without_tenfold(system))
    if not {own, longer} <= set(found) or found[system].mastered:
        return False
    spent = [float(rows_of(store, task, "steps", each)["value"].mean()) for each in (own, longer)]
    best = max(value for each in (own, longer) for value in found[each].seeds.values())
    return spent[1] >= TIMES * spent[0] and best < MASTERED


def controls(store: Store, task: str) -> dict[System, Control]:
    """The control of each system that recorded one."""
    found = {}
    for system in systems_of(store, task):
        rows = rows_of(store, task, "control_accuracy", system)
        if len(rows):
            steps, setting = by_seed(rows_of(store, task, "steps_to_0.99", system)), rows["x"].iloc[0]
            share = share_of(rows)
            setting = f"{setting:g}" if isinstance(setting, float) else str(setting)
            found[system] = Control(setting, share.interval, share.seeds, steps)
    for system, own in found.items():
        longer = found.get(with_tenfold(system))
        later = longer is not None and longer.mastered and not own.mastered
        found[system] = replace(own, unable=unable(store, task, system, found), later=later)
    return found
