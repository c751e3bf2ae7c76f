"""Scaling laws: the exponent of a cost in length, and where the costs of two models cross."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
from scipy import stats

from analysis.speed.runs import STEP, Speed
from analysis.statistics.intervals import Interval
from analysis.store import System

Values = Mapping[float, float]  # by length


class Fit(NamedTuple):
    """y = scale · x ** exponent, fitted to `points` values of x from `start` to `end`."""

    exponent: Interval
    scale: float
    start: float
    end: float
    points: int

    def at(self, x: float) -> float:
        return float(self.scale * x**self.exponent.value)


class Crossing(NamedTuple):
    """Where the curves of two systems meet; below it `before` has the smaller value, above it `after`."""

    before: System
    after: System
    x: Interval
    y: float


def power_law(values: Values) -> Fit | None:
    """Least squares on logarithms, with the t interval of the slope; None with fewer than two points above zero."""
    points = sorted((x, y) for x, y in values.items() if x > 0 and y > 0)
    if len(points) < 2:
        return None
    xs, ys = np.log(np.array(points)).T
    line = stats.linregress(xs, ys)
    slope, free = float(line.slope), len(points) - 2
    error = 0.0 if np.ptp(ys) == 0 else float(line.stderr)  # SciPy knows no error of a constant
    half = float(stats.t.ppf(0.975, free)) * error if free else math.nan
    exponent = Interval(slope, slope - half, slope + half)
    return Fit(exponent, math.exp(line.intercept), points[0][0], points[-1][0], len(points))


def upper_half(values: Values) -> Values:
    """The longer half of the lengths, the middle one included."""
    xs = sorted(values)
    return {x: values[x] for x in xs[len(xs) // 2 :]}


def over(first: Values, second: Values) -> Values:
    """first / second where both were measured: its exponent is the difference of theirs."""
    return {x: first[x] / second[x] for x in first if x in second}


def meetings(first: Values, second: Values) -> list[tuple[float, float, bool]]:
    """Where two curves cross on straight lines between logarithms: x, y and whether `first` is the smaller before."""
    apart = [(x, math.log(first[x] / second[x])) for x in sorted(first) if x in second]
    apart = [(x, gap) for x, gap in apart if gap]
    found = []
    for (x0, gap0), (x1, gap1) in pairwise(apart):
        if gap0 * gap1 < 0:
            share = gap0 / (gap0 - gap1)
            found.append((between(x0, x1, share), between(first[x0], first[x1], share), gap0 < 0))
    return found


def between(a: float, b: float, share: float) -> float:
    return float(a ** (1 - share) * b**share)


def crossings(speed: Speed, systems: Sequence[System]) -> list[Crossing]:
    """Every crossing of step times by length, with the lowest and the highest of the nearest ones of each process."""
    values = {s: speed.values("length", s, STEP) for s in systems}
    found = []
    for first, second in combinations(systems, 2):
        each = [[process.values("length", s, STEP) for s in (first, second)] for process in speed.processes]
        again = [[x for x, _, _ in meetings(*curves)] for curves in each]
        for x, y, smaller in meetings(values[first], values[second]):
            pair = (first, second) if smaller else (second, first)
            found.append(Crossing(*pair, held_by_processes(x, again), y))
    return found


def held_by_processes(x: float, again: Sequence[Sequence[float]]) -> Interval:
    """No interval from one process, nor where the curves of one do not cross."""
    near = [min(found, key=lambda other: abs(math.log(other / x))) for found in again if found]
    if len(near) < max(2, len(again)):
        return Interval(x, math.nan, math.nan)
    return Interval(x, min(x, *near), max(x, *near))
