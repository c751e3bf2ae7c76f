"""A quantity along an axis of a task: its points, and the figure that shows them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from analysis.page.canvas import (
    CHANCE_COLOUR,
    INK,
    TALL_PANEL,
    Figure,
    add_legend,
    finish,
    label_lines,
    panel,
    plot_intervals,
    plot_seeds,
    scale_x,
)
from analysis.page.labels import label
from analysis.page.look import Look
from analysis.statistics.intervals import Interval
from analysis.store import System

CHANCE_DASHES: tuple[Any, ...] = ((0, (5, 2)), (0, (2, 2)), (0, (6, 2, 1, 2)))


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


Curves = Mapping[System, Sequence[Point]]
Levels = Mapping[str, Sequence[tuple[float, float]]]  # by name, as (x, value)


def by_x(
    name: str,
    title: str,
    look: Look,
    curves: Curves,
    chance: Levels,
    x_label: str,
    y_label: str,
    *,
    share: bool = True,
    log_y: bool = False,
    level: str = "chance",
    notes: Mapping[System, str] | None = None,
) -> Figure:
    """A quantity along an axis of a task: mean over seeds, its interval as a band, each seed a small dot.

    The range of training is shaded; points beyond it are hollow. A share has its axis from 0 to 1. `level` says what
    the dashed lines are. With `notes` lines bear their names, and what is noted of a system, in place of a legend.
    """
    points = [point for curve in curves.values() for point in curve]
    with panel(TALL_PANEL) as (canvas, axes):
        scale_x(axes, sorted({point.x for point in points}))
        if log_y:
            axes.set_yscale("log")
            levels = [y for line in chance.values() for _, y in line]
            mark_decades(axes, [*(point.value for point in points), *levels])
        for system, curve in curves.items():
            draw_curve(axes, look, system, curve)
        for index, (strategy, values) in enumerate(chance.items()):
            x, y = zip(*values, strict=True)
            dash = CHANCE_DASHES[index % len(CHANCE_DASHES)]
            axes.plot(x, y, color=CHANCE_COLOUR, linestyle=dash, linewidth=1.2, zorder=1, label=f"{level}: {strategy}")
        shade = shade_trained(axes, points)
        axes.set(xlabel=x_label, ylabel=y_label, title=title)
        if share:
            axes.set_ylim(0, 1.04)
        if notes is None:
            add_legend(axes, {"trained range": shade} if shade else None)
        else:
            label_lines(axes, look, {s: (curve[-1].x, curve[-1].value) for s, curve in curves.items()}, notes)
        return finish(canvas, name, title, described(curves, chance, x_label, y_label, level))


def draw_curve(axes: Axes, look: Look, system: System, curve: Sequence[Point]) -> None:
    plot_intervals(axes, look, system, [point.x for point in curve], [point.interval for point in curve])
    beyond = [point for point in curve if point.trained is False]
    hollow: dict[str, Any] = {"marker": look.marker(system), "markerfacecolor": "#FFFFFF", "linestyle": "", "zorder": 3}
    xs, ys = [point.x for point in beyond], [point.value for point in beyond]
    axes.plot(xs, ys, markeredgecolor=look.colour(system), **hollow)
    dots = [(point.x, value) for point in curve if len(point.seeds) > 1 for value in point.seeds.values()]
    plot_seeds(axes, look, system, dots)


def mark_decades(axes: Axes, values: Sequence[float]) -> None:
    """A logarithmic axis over a few decades needs marks between them."""
    if min(values) * 1000 > max(values):
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())


def shade_trained(axes: Axes, points: Sequence[Point]) -> Artist | None:
    """Shade the range of training, up to half-way to the first value beyond it, where there is one."""
    inside = {point.x for point in points if point.trained}
    beyond = sorted({point.x for point in points if point.trained is False} - inside)
    if not inside or not beyond:
        return None
    below, above = [x for x in beyond if x < min(inside)], [x for x in beyond if x > max(inside)]
    logarithmic = axes.get_xscale() == "log"

    def between(a: float, b: float) -> float:
        return float(np.sqrt(a * b)) if logarithmic else (a + b) / 2

    left = between(below[-1], min(inside)) if below else min(inside)
    right = between(max(inside), above[0]) if above else max(inside)
    shade = axes.axvspan(left, right, color=INK, alpha=0.07, lw=0)
    for edge in ([left] if below else []) + ([right] if above else []):
        axes.axvline(edge, color=INK, alpha=0.5, linewidth=0.8, linestyle=(0, (1, 2)))
    return shade


def described(curves: Curves, chance: Levels, x_label: str, y_label: str, level: str) -> str:
    parts = []
    for system, curve in curves.items():
        values = [f"{p.value:.3g} at {p.x:g}{' (extrapolation)' if p.trained is False else ''}" for p in curve]
        parts.append(f"{label(system)}: {', '.join(values)}")
    for strategy, line in chance.items():
        parts.append(f"{level}, {strategy}: {', '.join(f'{y:.3g} at {x:g}' for x, y in line)}")
    return f"{y_label} over {x_label}. {'; '.join(parts)}."
