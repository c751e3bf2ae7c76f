"""Figures as SVG that reads on light and dark ground, on paper and aloud."""

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from analysis.long_range.evidence import Point
from analysis.page.labels import Look, label
from analysis.statistics.intervals import Interval
from analysis.store import System
from experiments.record.text import visible

INK = "#010203"  # stands for the text colour of the page until the SVG is written
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "analysis",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "grid.color": INK,
    "grid.alpha": 0.12,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
    "lines.markersize": 4,
}
PANEL = (4.3, 3.1)  # inches; one panel fills a phone's width at a readable size

TALL_PANEL = (4.3, 3.6)  # for a legend of many systems and chance lines
PNG_DPI = 160
CHANCE_COLOUR = "#8A8A8A"
CHANCE_DASHES: tuple[Any, ...] = ((0, (5, 2)), (0, (2, 2)), (0, (6, 2, 1, 2)))


@dataclass(frozen=True)
class Figure:
    """One figure: `name` is its file name and the prefix of its ids, `description` what a listener needs to know."""

    name: str
    title: str
    description: str
    svg: str
    png: bytes

    @property
    def standalone(self) -> str:
        """The SVG as a file of its own, on white ground."""
        opening, rest = self.svg.split(">", 1)
        return f'{opening} color="#1b1d21">\n<rect width="100%" height="100%" fill="white"/>{rest}'


@dataclass(frozen=True)
class Line:
    """One curve of one system; several lines of one system (seeds) share its legend entry."""

    system: System
    x: Sequence[float]
    y: Sequence[float]


def bleu_by_length(
    name: str, title: str, look: Look, curves: Mapping[System, Mapping[int, Interval]], sentences: Mapping[int, int]
) -> Figure:
    """BLEU by source length: `curves` maps lower bounds of bins to intervals, `sentences` to their numbers."""
    bounds = sorted(sentences)
    with panel(PANEL) as (canvas, axes):
        for system in curves:
            bins = [b for b in bounds if b in curves[system]]
            x = [bounds.index(b) for b in bins]
            values = [curves[system][b] for b in bins]
            colour = look.colour(system)
            axes.fill_between(x, [v.low for v in values], [v.high for v in values], color=colour, alpha=0.15, lw=0)
            plot(axes, look, system, x, [v.value for v in values], marker=look.marker(system))
        labels = [f"{words}\nn={sentences[b]}" for b, words in zip(bounds, bin_names(bounds), strict=True)]
        axes.set_xticks(range(len(bounds)), labels, fontsize=7.5)
        axes.set(xlabel="source words", ylabel="BLEU", title=title)
        axes.set_ylim(bottom=0)
        canvas.legend(*unique_legend(axes), loc="outside upper left", ncols=3, columnspacing=1.2, handlelength=3)
        parts = [f"{label(s)}: " + ", ".join(f"{c[b].value:.1f}" for b in bounds if b in c) for s, c in curves.items()]
        description = f"BLEU for source lengths {', '.join(bin_names(bounds))} words. " + "; ".join(parts) + "."
        return finish(canvas, name, title, description)


def learning_curve(name: str, title: str, look: Look, lines: Sequence[Line], x_label: str, y_label: str) -> Figure:
    """A quantity as training goes on; one line per run."""
    with panel(PANEL) as (canvas, axes):
        for line in lines:
            marker = look.marker(line.system) if len(line.x) <= 25 else ""
            plot(axes, look, line.system, line.x, line.y, marker=marker)
        axes.set(xlabel=x_label, ylabel=y_label, title=title)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.set_xlim(left=0)
        canvas.legend(*unique_legend(axes), loc="outside upper left", ncols=3, columnspacing=1.2, handlelength=3)
        ends = [f"{label(line.system)} ends at {line.y[-1]:.3g}" for line in lines]
        return finish(canvas, name, title, f"{y_label} over {x_label}. " + "; ".join(ends) + ".")


def by_x(
    name: str,
    title: str,
    look: Look,
    curves: Mapping[System, Sequence[Point]],
    chance: Mapping[str, Sequence[tuple[float, float]]],
    x_label: str,
    y_label: str,
    *,
    share: bool = True,
    log_y: bool = False,
    level: str = "chance",
) -> Figure:
    """A quantity along an axis of a task: mean over seeds, its interval as a band, each seed a small dot.

    The range of training is shaded; points beyond it are hollow. A share has its axis from 0 to 1. `level` says what
    the dashed lines are.
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
        handles, labels = unique_legend(axes)
        shade = shade_trained(axes, points)
        if shade:
            handles, labels = [*handles, shade], [*labels, "trained range"]
        axes.set(xlabel=x_label, ylabel=y_label, title=title)
        if share:
            axes.set_ylim(0, 1.04)
        columns = legend_columns(labels)
        canvas.legend(handles, labels, loc="outside upper left", ncols=columns, columnspacing=1.2, handlelength=3)
        return finish(canvas, name, title, described(curves, chance, x_label, y_label, level))


def draw_curve(axes: Axes, look: Look, system: System, curve: Sequence[Point]) -> None:
    x, colour = [point.x for point in curve], look.colour(system)
    low, high = [point.interval.low for point in curve], [point.interval.high for point in curve]
    axes.fill_between(x, low, high, color=colour, alpha=0.15, lw=0)
    plot(axes, look, system, x, [point.value for point in curve], marker=look.marker(system))
    beyond = [point for point in curve if point.trained is False]
    hollow: dict[str, Any] = {
        "marker": look.marker(system),
        "markeredgecolor": colour,
        "markerfacecolor": "#FFFFFF",
        "linestyle": "",
    }
    axes.plot([point.x for point in beyond], [point.value for point in beyond], zorder=3, **hollow)
    dots = [(point.x, value) for point in curve if len(point.seeds) > 1 for value in point.seeds.values()]
    if dots:
        axes.plot(*zip(*dots, strict=True), color=colour, marker=".", markersize=3, alpha=0.6, linestyle="")


def scale_x(axes: Axes, xs: Sequence[float]) -> None:
    """Marks at the values measured; a logarithmic axis where they grow by factors."""
    doubling = len(xs) > 2 and xs[0] > 0 and xs[-1] >= 8 * xs[0]
    if doubling:
        axes.set_xscale("log", base=2)
    at = [float(np.log2(x)) if doubling else x for x in xs]
    kept = [len(xs) - 1]
    for index in range(len(xs) - 2, -1, -1):
        if at[kept[-1]] - at[index] >= 0.07 * (at[-1] - at[0]):
            kept.append(index)
    axes.set_xticks([xs[i] for i in kept], [f"{xs[i]:g}" for i in kept], fontsize=7.5)
    axes.set_xticks([], minor=True)


def legend_columns(labels: Sequence[str]) -> int:
    """As many as fit the width of a panel, which holds about 70 characters; a line sample takes the room of 9."""
    for columns in (3, 2):
        widths = [max(map(len, column)) for column in np.array_split(labels, columns) if len(column)]
        if sum(widths) + 9 * columns <= 70:
            return columns
    return 1


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


def described(
    curves: Mapping[System, Sequence[Point]],
    chance: Mapping[str, Sequence[tuple[float, float]]],
    x_label: str,
    y_label: str,
    level: str,
) -> str:
    parts = []
    for system, curve in curves.items():
        values = [f"{p.value:.3g} at {p.x:g}{' (extrapolation)' if p.trained is False else ''}" for p in curve]
        parts.append(f"{label(system)}: {', '.join(values)}")
    for strategy, line in chance.items():
        parts.append(f"{level}, {strategy}: {', '.join(f'{y:.3g} at {x:g}' for x, y in line)}")
    return f"{y_label} over {x_label}. {'; '.join(parts)}."


def attention_map(
    name: str,
    title: str,
    colour: str,
    weights: NDArray[np.float64],
    source: Sequence[str],
    target: Sequence[str],
) -> Figure:
    """Attention weights (T, S): one row per target token, one column per source token, full colour is 1."""
    source, target = [visible(token) for token in source], [visible(token) for token in target]
    shades = LinearSegmentedColormap.from_list("weight", [f"{colour}00", colour])
    # labels stand outside these inches: the figure is cropped to what is drawn, however long the tokens are
    with panel((0.17 * len(source), 0.17 * len(target)), layout=None) as (canvas, axes):
        axes.set_position((0, 0, 1, 1))
        axes.imshow(weights, cmap=shades, vmin=0, vmax=1, aspect="equal", interpolation="none")
        axes.set_xticks(range(len(source)), source, rotation=90, fontsize=8, parse_math=False)
        axes.set_yticks(range(len(target)), target, fontsize=8, parse_math=False)
        axes.tick_params(length=0)
        axes.xaxis.tick_top()
        axes.grid(visible=False)
        axes.set(xlabel="source", ylabel="hypothesis", title=title)
        strongest = [f"{t} → {source[int(i)]}" for t, i in zip(target, weights.argmax(axis=1), strict=True)]
        description = f"Strongest source token of each target token: {', '.join(strongest)}."
        return finish(canvas, name, title, description, crop="tight")


def bin_names(bounds: Sequence[int]) -> list[str]:
    ends = [f"{low}–{high - 1}" if high - low > 1 else str(low) for low, high in pairwise(bounds)]
    return [*ends, f"{bounds[-1]}+"]


@contextmanager
def panel(
    inches: tuple[float, float], layout: Literal["constrained"] | None = "constrained"
) -> Iterator[tuple[Canvas, Axes]]:
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # a browser has fonts for every script; in the PNG a character of another script is an empty box
        warnings.filterwarnings("ignore", "Glyph .* missing from font|Matplotlib currently does not support")
        canvas = Canvas(figsize=inches, layout=layout)
        yield canvas, canvas.subplots()


def plot(axes: Axes, look: Look, system: System, x: Sequence[float], y: Sequence[float], *, marker: str) -> None:
    axes.plot(x, y, color=look.colour(system), linestyle=look.dash(system), marker=marker, label=label(system))


def unique_legend(axes: Axes) -> tuple[list[Artist], list[str]]:
    handles, labels = axes.get_legend_handles_labels()
    first = dict(zip(reversed(labels), reversed(handles), strict=True))
    names = list(dict.fromkeys(labels))
    return [first[n] for n in names], names


def finish(canvas: Canvas, name: str, title: str, description: str, *, crop: Literal["tight"] | None = None) -> Figure:
    """Write the SVG: page's text colour, ids of its own, title and description for screen readers."""
    name = re.sub(r"[^\w-]+", "-", name)  # it becomes a file name and part of ids
    buffer = io.StringIO()
    canvas.savefig(buffer, format="svg", transparent=True, bbox_inches=crop, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", svg)
    svg = without_ballast(svg)
    picture = io.BytesIO()
    canvas.set_layout_engine("none")  # everything has its place already
    canvas.savefig(picture, format="png", dpi=PNG_DPI, bbox_inches=crop, facecolor="white", metadata={"Software": None})
    opening, rest = svg.split(">", 1)
    return Figure(
        name,
        title,
        description,
        f'{opening} role="img" aria-labelledby="{name}-title {name}-description">'
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-description">{escape(description)}</desc>{rest}',
        picture.getvalue(),
    )


def without_ballast(svg: str) -> str:
    """The same picture in fewer bytes: hundredths of a point, no ids that nothing refers to, no comments."""
    svg = re.sub(r"<[^>]+>", lambda tag: re.sub(r"(\d+\.\d\d)\d+", r"\1", tag[0]), svg)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    used = set(re.findall(r"(?:href=\"#|url\(#)([^\")]+)", svg))
    svg = re.sub(r' id="([^"]+)"', lambda found: found[0] if found[1] in used else "", svg)
    return re.sub(r"\s*\n\s*", "\n", svg)
