"""Differences between two sides as a forest plot: a row each, their intervals, and where no difference lies."""

import math
import re
from collections.abc import Sequence

import numpy as np

from analysis.compare.differences import Difference
from analysis.page.canvas import INK, PANEL, Figure, finish, panel
from analysis.page.labels import label, natural, ordered
from analysis.page.look import Look
from analysis.statistics.intervals import Interval
from analysis.store import System

ROWS_OF_THEIR_OWN = 4  # a model with more points than these has them in one row, one above the other
ROW, POINT, MARGIN = 0.24, 0.075, 0.85  # inches


def forest(name: str, title: str, look: Look, differences: Sequence[Difference]) -> Figure:
    """B − A of one metric with intervals; for times B / A, whose intervals nobody measured."""
    found = {system: points_of(differences, system) for system in ordered(map(system_of, differences))}
    single = max(map(len, found.values())) <= ROWS_OF_THEIR_OWN
    rows = [[d] for points in found.values() for d in points] if single else list(found.values())
    heights = [max(ROW, POINT * len(row)) for row in rows]
    with panel((PANEL[0], MARGIN + sum(heights))) as (canvas, axes):
        middles = np.cumsum(heights) - np.array(heights) / 2
        for row, middle, height in zip(rows, middles, heights, strict=True):
            system = system_of(row[0])
            at = middle + (np.linspace(-0.4, 0.4, len(row)) * height if len(row) > 1 else np.zeros(1))
            values = [shown_interval(d) for d in row]
            bars = [(y, v.low, v.high) for y, v in zip(at, values, strict=True) if not math.isnan(v.low)]
            axes.hlines(*np.reshape(bars, (-1, 3)).T, color=look.colour(system), linewidth=1.2)
            axes.plot(
                [v.value for v in values], at, color=look.colour(system), marker=look.marker(system), linestyle=""
            )
        metric, unit = differences[0].place.metric.replace("_", " "), differences[0].unit
        timed = differences[0].timed
        axes.axvline(1 if timed else 0, color=INK, alpha=0.5, linewidth=0.9, linestyle=(0, (4, 2)))
        texts = [row_label(row[0], at=single) for row in rows]
        axes.set_yticks(middles, texts, fontsize=7.5, parse_math=False)
        axes.set_ylim(sum(heights), 0)
        axes.set_title(title, parse_math=False)
        named_unit = f" ({unit})" if unit and unit.casefold() != metric else ""
        axes.set_xlabel(f"{'B / A' if timed else 'B − A'}, {metric}{'' if timed else named_unit}", parse_math=False)
        described = [
            f"{row_label(d, at=True)}: {in_words(shown_interval(d))}" for points in found.values() for d in points
        ]
        return finish(canvas, name, title, f"{'B / A' if timed else 'B − A'} of {metric}. {'; '.join(described)}.")


def drawable(found: Difference) -> bool:
    return not math.isnan(shown_interval(found).value)


def shown_interval(found: Difference) -> Interval:
    return Interval(found.ratio, math.nan, math.nan) if found.timed else found.change


def points_of(differences: Sequence[Difference], system: System) -> list[Difference]:
    mine = [d for d in differences if system_of(d) == system]
    return sorted(mine, key=lambda d: (d.place.x_name, along(d.place.x)))


def along(x: str) -> tuple[float, list[str | int]]:
    """A sorting key: numbers by size, then words."""
    return (float(x), []) if re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", x) else (math.inf, natural(x))


def system_of(found: Difference) -> System:
    return System(found.place.model, found.place.variant)


def row_label(found: Difference, *, at: bool) -> str:
    return ", ".join(filter(None, (label(system_of(found)), found.place.x if at else "")))


def in_words(value: Interval) -> str:
    text = f"{value.value:.3g}"
    return text if math.isnan(value.low) else f"{text} ({value.low:.3g} to {value.high:.3g})"
