"""Figures of cost by length, size or devices: logarithmic axes, quartiles, fitted lines and crossings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, FixedLocator, FuncFormatter, LogLocator, NullLocator

from analysis.page.canvas import (
    CHANCE_COLOUR,
    TALL_PANEL,
    Figure,
    add_legend,
    finish,
    label_lines,
    panel,
    plot,
    scale_x,
)
from analysis.page.labels import decimal, label
from analysis.page.look import Look
from analysis.speed.runs import Curve, Speed
from analysis.speed.scaling_laws import Crossing, Fit, power_law, upper_half
from analysis.speed.units import rounded
from analysis.store import System

MANY_DECADES = 1000  # beyond such a range only powers of ten are marked


class Panel(NamedTuple):
    """A metric, how it is named, and the unit it is drawn in, which is `scale` times the recorded one."""

    metric: str
    what: str
    unit: str
    scale: float


STEP_TIME = Panel("step_seconds", "step time", "ms", 1e3)
MEMORY = Panel("peak_memory", "memory of a step", "MiB", 2.0**-20)
OPERATIONS = Panel("flops_per_step", "operations of a step", "GFLOP", 1e-9)
THROUGHPUT = Panel("target_tokens_per_second", "throughput", "target tokens/s", 1.0)


@dataclass(frozen=True)
class Chart:
    """Content of a figure: curves by system; `absent` are the x at which a system ran out of memory."""

    name: str
    title: str
    x_label: str
    y_label: str
    unit: str
    curves: Mapping[System, Curve]
    fits: Mapping[System, Fit] = field(default_factory=dict)
    crossings: Sequence[Crossing] = ()
    absent: Mapping[System, Sequence[float]] = field(default_factory=dict)
    ideal: Sequence[tuple[float, float]] = ()
    scale: float = 1  # what a value is multiplied with to be in `unit`
    direct: bool = False  # names at the lines in place of a legend


def logarithmic(look: Look, chart: Chart) -> Figure:
    """Medians with quartiles; thin lines are fits, rings crossings, crosses at the top lengths without memory."""
    with panel(TALL_PANEL) as (canvas, axes):
        axes.set_yscale("log")
        xs = {x for curve in chart.curves.values() for x in curve}
        scale_x(axes, sorted(xs.union(*chart.absent.values())))
        for system, curve in chart.curves.items():
            draw(axes, look, system, curve, chart.scale)
        for system, fit in chart.fits.items():
            ends = [fit.start, fit.end]
            y = [fit.at(x) * chart.scale for x in ends]
            axes.plot(ends, y, color=look.colour(system), linestyle=":", linewidth=1, alpha=0.8, zorder=1)
        for crossing in chart.crossings:
            place = ([crossing.x.value], [crossing.y * chart.scale])
            axes.plot(*place, marker="o", markersize=9, markerfacecolor="none", color=CHANCE_COLOUR, zorder=4)
        for system, places in chart.absent.items():
            top = axes.get_xaxis_transform()
            axes.plot(places, [0.97] * len(places), transform=top, marker="x", linestyle="", color=look.colour(system))
        if chart.ideal:
            x, ideal = zip(*chart.ideal, strict=True)
            axes.plot(x, ideal, color=CHANCE_COLOUR, linestyle="--", linewidth=1.2, zorder=1, label="ideal")
        mark_values(axes)
        axes.set(xlabel=chart.x_label, ylabel=f"{chart.y_label} ({chart.unit})" if chart.unit else chart.y_label)
        axes.set_title(chart.title)
        if chart.direct:
            tips = {s: (max(curve), curve[max(curve)].value * chart.scale) for s, curve in chart.curves.items()}
            label_lines(axes, look, tips, {})
        else:
            add_legend(axes)
        return finish(canvas, chart.name, chart.title, description(chart))


def draw(axes: Axes, look: Look, system: System, curve: Curve, scale: float) -> None:
    values = np.array(list(curve.values())) * scale
    known = ~np.isnan(values[:, 1:]).any(axis=1)
    x = np.array(list(curve))
    errors = np.abs(values[:, 1:] - values[:, :1]).T
    colour = look.colour(system)
    if known.any():
        axes.errorbar(x[known], values[known, 0], errors[:, known], fmt="none", ecolor=colour, elinewidth=1, capsize=2)
    plot(axes, look, system, list(x), list(values[:, 0]), marker=look.marker(system))


def mark_values(axes: Axes) -> None:
    """Over a few decades marks between the powers of ten, so that a value can be read."""
    low, high = axes.get_ylim()
    if high < MANY_DECADES * low:
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    marks = [y for y in axes.yaxis.get_major_locator().tick_values(low, high) if low <= y <= high]
    if len(marks) < 2:
        axes.yaxis.set_major_locator(FixedLocator(list(np.geomspace(low, high, 4)[1:-1])))
    engineering = EngFormatter(sep="")
    small = FuncFormatter(lambda y, _: f"{y:,.0f}" if y >= 1000 else f"{y:.3g}")
    axes.yaxis.set_major_formatter(engineering if high >= 10_000 else small)
    axes.yaxis.set_minor_locator(NullLocator())


def description(chart: Chart) -> str:
    parts = []
    for system, curve in chart.curves.items():
        values = ", ".join(f"{rounded(m.value * chart.scale)} at {x:g}" for x, m in curve.items())
        fit = chart.fits.get(system)
        slope = f" (exponent {decimal(fit.exponent.value, 2)} from {fit.start:g} to {fit.end:g})" if fit else ""
        parts.append(f"{label(system)}: {values}{slope}")
    for system, places in chart.absent.items():
        parts.append(f"{label(system)} ran out of memory at {', '.join(f'{x:g}' for x in places)}")
    for crossing in chart.crossings:
        pair = f"{label(crossing.before)} and {label(crossing.after)}"
        parts.append(f"{pair} cross at {crossing.x.value:.3g}")
    unit = f" in {chart.unit}" if chart.unit else ""
    return f"{chart.y_label}{unit} over {chart.x_label}. {'; '.join(parts)}."


def drawn(
    speed: Speed,
    look: Look,
    task: str,
    systems: Sequence[System],
    panels: Sequence[Panel],
    *,
    model: str = "",
    fitted: bool = False,
    met: Sequence[Crossing] = (),
) -> list[Figure]:
    """A figure for each panel that has values; `model` is the one whose variants are shown, `met` crosses in time."""
    absent = {s: gone for s in systems if (gone := speed.out_of_memory(task, s))}
    figures = []
    for shown in panels:
        curves = {s: curve for s in systems if (curve := speed.curve(task, s, shown.metric))}
        if curves:
            name = "-".join(filter(None, (speed.name, shown.metric.replace("_", "-"), task, model)))
            title = f"{shown.what[0].upper()}{shown.what[1:]} by {task}"
            title = f"{label(System(model, 'base'))}: {shown.what} by {task}" if model else title
            x_label = "length (source and target)" if task == "length" else task
            fits = fitted_lines(speed, systems, shown.metric) if fitted else {}
            marks = met if shown is STEP_TIME else ()
            chart = Chart(name, title, x_label, shown.what, shown.unit, curves, fits, marks, absent, scale=shown.scale)
            figures.append(logarithmic(look, chart))
    return figures


def fitted_lines(speed: Speed, systems: Sequence[System], metric: str) -> dict[System, Fit]:
    """Exponents over the longer half of the lengths."""
    found = {s: power_law(upper_half(speed.values("length", s, metric))) for s in systems}
    return {system: fit for system, fit in found.items() if fit}
