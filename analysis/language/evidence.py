"""What the language runs measured: losses and accuracies, over all tokens and along an axis, with their intervals."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis.claims.verdict import NotRun
from analysis.page.curves import Curves, Levels, Point
from analysis.page.labels import label, ordered
from analysis.statistics.intervals import Interval, Z, pooled
from analysis.store import Store, System

EXPERIMENT = "language"
POSITION, DISTANCE, CUT = "position", "distance", "context, cut"
CHANGED = {CUT: "cut to", "context, shuffled beyond": "shuffled beyond", "context, reversed beyond": "reversed beyond"}
NEAR = 32  # tokens of context that count as early: beyond them a claim says recurrent models gain nothing
SHARES = ("-half", "-quarter")  # end the name of a task with part of another's training text


def tasks_of(store: Store) -> list[str]:
    """The texts on which models are compared, each in its whole length."""
    runs = [run for run in store.finished(EXPERIMENT) if run.variant == "base"]
    return sorted({run.task for run in runs if not run.task.endswith(SHARES)})


def bases(found: Curves) -> Curves:
    return {system: points for system, points in found.items() if system.variant == "base"}


def is_of_words(store: Store, task: str) -> bool:
    """Whether a token of the text is a word, and not a character."""
    return len(store.rows(EXPERIMENT, task=task, metric="perplexity")) > 0


def overall(store: Store, task: str, metric: str) -> dict[System, Point]:
    """A metric over all tokens, by system."""
    return {system: points[0] for system, points in curves(store, task, metric, "").items()}


def curves(store: Store, task: str, metric: str, x_name: str) -> Curves:
    """A metric along an axis, by system."""
    rows = store.rows(EXPERIMENT, task=task, x_name=x_name)
    values, errors = (rows[rows["metric"] == name] for name in (metric, f"{metric}_error"))
    found: dict[System, list[Point]] = {}
    for system in ordered(System(*pair) for pair in zip(values["model"], values["variant"], strict=True)):
        mine, its_errors = (of_system(table, system) for table in (values, errors))
        xs = sorted(set(mine["x"])) if x_name else [None]
        found[system] = [point(at(mine, x), at(its_errors, x), 0.0 if x is None else float(x)) for x in xs]
    return found


def of_system(rows: pd.DataFrame, system: System) -> pd.DataFrame:
    return rows[(rows["model"] == system.model) & (rows["variant"] == system.variant)]


def at(rows: pd.DataFrame, x: float | None) -> pd.DataFrame:
    return rows if x is None else rows[rows["x"] == x]


def point(values: pd.DataFrame, errors: pd.DataFrame, x: float) -> Point:
    """Mean over seeds; its interval covers the choice of test text, and is widened until it holds every seed.

    All seeds are judged on the same text, so more of them are not more text: the error of the mean is the mean error.
    """
    seeds = {int(seed): float(value) for seed, value in zip(values["seed"], values["value"], strict=True)}
    n = int(values["n"].min())
    if set(values["unit"]) == {"share"}:
        found = pooled(seeds.values(), list(errors["value"]), n)
    else:
        mean, half = float(np.mean(list(seeds.values()))), Z * float(errors["value"].mean()) if len(errors) else 0.0
        found = Interval(mean, mean - half, mean + half)
    interval = Interval(found.value, min(found.low, *seeds.values()), max(found.high, *seeds.values()))
    return Point(x, interval, seeds, n)


def chance(store: Store, task: str) -> Levels:
    """What strategies without memory reach on words that are asked for, by name."""
    rows = store.rows(EXPERIMENT, task=task, x_name=DISTANCE)
    names = [metric for metric in dict.fromkeys(rows["metric"]) if metric.startswith("chance: ")]
    means = {name: rows[rows["metric"] == name].groupby("x")["value"].mean() for name in names}
    return {name.removeprefix("chance: "): [(float(x), float(v)) for x, v in m.items()] for name, m in means.items()}


def pick(found: Mapping[System, Point], *systems: System) -> list[Point]:
    """The points of some systems.

    Raises:
        NotRun: One has none.
    """
    for system in systems:
        if system not in found:
            raise NotRun(f"{label(system)} as a language model")
    return [found[system] for system in systems]


def at_end(store: Store, task: str, metric: str, x_name: str, x: float = math.inf) -> dict[System, Point]:
    """The point of each curve at x, or its last one."""
    ends: dict[System, Point] = {}
    for system, points in curves(store, task, metric, x_name).items():
        there = [point for point in points if point.x == x or x == math.inf]
        ends |= {system: there[-1]} if there else {}
    return ends
