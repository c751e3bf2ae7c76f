"""What all figures share: one panel, its legend, and SVG that reads on light and dark ground, on paper and aloud."""

import io
import re
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import EngFormatter, MaxNLocator

from analysis.page.labels import label, ordered, slug
from analysis.page.look import Look
from analysis.statistics.intervals import Interval
from analysis.store import Run, Store, System

INK = "#010203"  # of figures.mplstyle; replaced by the page's text colour in the SVG
WHOLE = matplotlib.rc_params_from_file(Path(__file__).with_name("figures.mplstyle"))  # and the defaults
# Not all of it, which takes 20 ms a figure, but also what a reader's own matplotlibrc sets
CHANGED = [key for key in WHOLE if key != "backend" and matplotlib.rcParams[key] != WHOLE[key]]
STYLE: dict[Any, Any] = {key: WHOLE[key] for key in CHANGED}
PANEL = (3.7, 2.9)  # inches; one panel fills a phone's width with letters of 12 px
TALL_PANEL = (3.7, 3.4)  # for a legend of many systems and chance lines
PAD = 0.05  # inches around a panel
PNG_DPI = 160
CHANCE_COLOUR = "#8A8A8A"
LINE = 11.5  # points of a line of text
LEGEND = 3  # its lines that a panel has room for; it is taller by any more
CHARACTER, GAP = 0.045, 0.03  # of the width of the axes: a digit under a mark, and what is left free beside it
# A group of marks of one style; the groups of the match: the group's attributes, the marks, their style
ALIKE = re.compile(r'<g((?:(?! style=)[^>])*)>\n(<use [^>]*?( style="[^"]*")/>\n(?:<use [^>]*\3/>\n)*)</g>')


@dataclass(frozen=True)
class Figure:
    """One figure, rendered on demand: `name` is its file name and the prefix of its ids, `description` its numbers.

    A figure that may `grow` is as large as its labels need; any other keeps the size of its panel, or is taller by a
    long legend.
    """

    name: str
    title: str
    description: str
    canvas: Canvas = field(repr=False, compare=False)
    grow: bool = False

    @cached_property
    def fitted(self) -> Canvas:
        """The canvas with room for labels and legend, made once: what it had before is gone then."""
        with styled():
            fit(self.canvas, grow=self.grow)
        return self.canvas

    @cached_property
    def svg(self) -> str:
        """The page's text colour, ids of its own, title and description for screen readers."""
        buffer, name = io.StringIO(), self.name
        with styled():
            FigureCanvasSVG(self.fitted).print_svg(buffer)
        svg = re.sub(r"<metadata>.*?</metadata>", "", buffer.getvalue(), flags=re.DOTALL)
        svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
        svg = without_ballast(re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", svg))
        opening, rest = with_short_ids(svg, f"f{zlib.crc32(name.encode()):x}-").split(">", 1)
        return (
            f'{opening} role="img" aria-labelledby="{name}-title {name}-description">'
            f'<title id="{name}-title">{escape(self.title)}</title>'
            f'<desc id="{name}-description">{escape(self.description)}</desc>{rest}'
        )

    @property
    def standalone(self) -> str:
        """The SVG as a file of its own, on white ground."""
        opening, rest = self.svg.split(">", 1)
        return f'{opening} color="#1b1d21">\n<rect width="100%" height="100%" fill="white"/>{rest}'

    @cached_property
    def png(self) -> bytes:
        buffer = io.BytesIO()
        with styled():
            FigureCanvasAgg(self.fitted).print_figure(
                buffer, format="png", dpi=PNG_DPI, facecolor="white", metadata={"Software": None}
            )
        return buffer.getvalue()


@dataclass(frozen=True)
class Line:
    """One curve of one system; several lines of one system (seeds) share its legend entry."""

    system: System
    x: Sequence[float]
    y: Sequence[float]


def lines(store: Store, runs: Iterable[Run], metric: str) -> list[Line]:
    """The course of a metric in each run that recorded it, by step; models in the order of tables."""
    found, runs = [], list(runs)
    places = ordered({run.system for run in runs})
    for run in sorted(runs, key=lambda run: (places.index(run.system), run.seed)):
        history = store.history(run)
        points = history[history["metric"] == metric].sort_values("step")
        if len(points):
            found.append(Line(run.system, points["step"].tolist(), points["value"].tolist()))
    return found


def learning_curve(name: str, title: str, look: Look, lines: Sequence[Line], x_label: str, y_label: str) -> Figure:
    """A quantity during training; one line per run."""
    with panel(PANEL) as (canvas, axes):
        for line in lines:
            marker = look.marker(line.system) if len(line.x) <= 25 else ""
            plot(axes, look, line.system, line.x, line.y, marker=marker)
        axes.set(xlabel=x_label, ylabel=y_label, title=title)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.set_xlim(left=0)
        add_legend(axes)
        ends = [f"{label(line.system)} ends at {line.y[-1]:.3g}" for line in lines]
        return finish(canvas, name, title, f"{y_label} over {x_label}. " + "; ".join(ends) + ".")


def scale_x(axes: Axes, xs: Sequence[float]) -> None:
    """Marks at the values measured; a logarithmic axis where they grow by factors."""
    doubling = len(xs) > 2 and xs[0] > 0 and xs[-1] >= 8 * xs[0]
    if doubling:
        axes.set_xscale("log", base=2)
    at = [float(np.log2(x)) if doubling else x for x in xs]
    texts = [f"{x:g}" for x in xs]
    kept = [len(xs) - 1]
    for index in range(len(xs) - 2, -1, -1):
        room = GAP + CHARACTER * (len(texts[index]) + len(texts[kept[-1]])) / 2
        if at[kept[-1]] - at[index] >= room * (at[-1] - at[0]):
            kept.append(index)
    axes.set_xticks([xs[i] for i in kept], [texts[i] for i in kept])
    axes.set_xticks([], minor=True)


@contextmanager
def styled() -> Iterator[None]:
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # a browser has fonts for every script; in the PNG a character of another script is an empty box
        warnings.filterwarnings("ignore", "Glyph .* missing from font|Matplotlib currently does not support")
        yield


@contextmanager
def panel(inches: tuple[float, float], style: Mapping[Any, Any] | None = None) -> Iterator[tuple[Canvas, Axes]]:
    """A figure with one panel in the common style, and what `style` changes in it."""
    with styled(), matplotlib.rc_context(dict(style or {})):
        canvas = Canvas(figsize=inches)
        yield canvas, canvas.subplots()


def plot(axes: Axes, look: Look, system: System, x: Sequence[float], y: Sequence[float], *, marker: str) -> None:
    axes.plot(x, y, color=look.colour(system), linestyle=look.dash(system), marker=marker, label=label(system))


def plot_intervals(axes: Axes, look: Look, system: System, x: Sequence[float], values: Sequence[Interval]) -> None:
    """A line through the values and a band from the lows to the highs."""
    low, high = [value.low for value in values], [value.high for value in values]
    axes.fill_between(x, low, high, color=look.colour(system), alpha=0.15, lw=0)
    plot(axes, look, system, x, [value.value for value in values], marker=look.marker(system))


def plot_seeds(axes: Axes, look: Look, system: System, dots: Sequence[tuple[float, float]]) -> None:
    """A small dot for each seed's value."""
    if dots:
        axes.plot(
            *zip(*dots, strict=True), color=look.colour(system), marker=".", markersize=3, alpha=0.6, linestyle=""
        )


def add_legend(axes: Axes, extra: dict[str, Artist] | None = None) -> None:
    """Above the axes, one entry for each name, in as many columns as fit; `extra` are entries of no line."""
    handles, labels = axes.get_legend_handles_labels()
    first = dict(zip(reversed(labels), reversed(handles), strict=True))
    entries = {name: first[name] for name in labels} | (extra or {})
    axes.figure.legend(
        [*entries.values()],
        [*entries],
        loc="upper left",
        ncols=legend_columns([*entries]),
        columnspacing=1.2,
        handlelength=3,
        borderaxespad=0.2,
    )


def label_lines(
    axes: Axes, look: Look, ends: Mapping[System, tuple[float, float]], notes: Mapping[System, str]
) -> None:
    """Names at the right `ends` of the lines in place of a legend, moved apart where lines end close together."""
    texts = {system: "\n".join(filter(None, (beside_line(system), notes.get(system)))) for system in ends}
    height = axes.bbox.height * 72 / axes.figure.dpi  # points, about
    steps = {system: LINE * (text.count("\n") + 1) / height for system, text in texts.items()}
    points = {
        system: float(axes.transAxes.inverted().transform(axes.transData.transform(end))[1])
        for system, end in ends.items()
    }
    placed: dict[System, float] = {}
    lowest = 0.0
    for system in sorted(points, key=lambda system: points[system]):
        placed[system] = max(points[system], lowest + steps[system] / 2)
        lowest = placed[system] + steps[system] / 2
    too_high = max(0.0, lowest - 1.05)
    for system, y in placed.items():
        colour, place = look.colour(system), (1.07, y - too_high)
        # Not to be taken for the curve, which may end before others do
        line = {"color": CHANCE_COLOUR, "linestyle": ":", "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", ends[system], place, "data", "axes fraction", {"arrowstyle": "-", **line})
        axes.plot(
            *([part] for part in place), look.marker(system), color=colour, transform=axes.transAxes, clip_on=False
        )
        axes.text(place[0] + 0.035, place[1], texts[system], transform=axes.transAxes, va="center", linespacing=1.05)


def beside_line(system: System) -> str:
    return label(system).replace(" + ", " +\n")


def legend_columns(labels: Sequence[str]) -> int:
    """As many as fit the width of a panel, which holds about 54 characters; a line sample takes the room of 8."""
    for columns in (3, 2):
        widths = [max(map(len, column)) for column in np.array_split(labels, columns) if len(column)]
        if sum(widths) + 8 * columns <= 54:
            return columns
    return 1


def fit(canvas: Canvas, *, grow: bool) -> None:
    """Make room for the labels and the legend: inside the panel, or around it where the figure may `grow`.

    Constrained layout and a tight bounding box do the same with several drawings of the whole figure.
    """
    renderer = RendererAgg(1, 1, canvas.dpi)
    (axes,) = canvas.axes
    outside, inside, pad = axes.get_tightbbox(renderer, bbox_extra_artists=[*axes.texts]), axes.bbox, PAD * canvas.dpi
    assert outside is not None  # it is visible
    legends = sum(legend.get_window_extent(renderer).height for legend in canvas.legends)
    left, bottom = inside.p0 - outside.p0 + pad
    right, top = outside.p1 - inside.p1 + pad
    top += legends
    width, height = canvas.bbox.size
    height += max(0.0, legends - LEGEND * LINE * canvas.dpi / 72)
    if grow:
        width, height = inside.width + left + right, inside.height + bottom + top
    canvas.set_size_inches(width / canvas.dpi, height / canvas.dpi)
    axes.set_position((left / width, bottom / height, 1 - (left + right) / width, 1 - (bottom + top) / height))


def finish(canvas: Canvas, name: str, title: str, description: str, *, grow: bool = False) -> Figure:
    return Figure(slug(name), title, description, canvas, grow)


def without_ballast(svg: str) -> str:
    """The same picture in fewer bytes: hundredths of a point, the style of a line's marks once, no comments."""
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<[^>]+>", lambda tag: re.sub(r"(?<=\.\d\d)\d+", "", tag[0]), svg)
    svg = re.sub(r"\s*\n\s*", "\n", svg)
    return ALIKE.sub(lambda found: f"<g{found[1]}{found[3]}>\n{found[2].replace(found[3], '')}</g>", svg)


def with_short_ids(svg: str, prefix: str) -> str:
    """Ids of the figure's own, where something refers to them; no others."""
    used = dict.fromkeys(re.findall(r"(?:href=\"#|url\(#)([^\")]+)", svg))
    short = {old: f"{prefix}{number}" for number, old in enumerate(used)}
    svg = re.sub(r' id="([^"]+)"', lambda found: f' id="{short[found[1]]}"' if found[1] in used else "", svg)
    return re.sub(r"(href=\"#|url\(#)([^\")]+)", lambda found: found[1] + short[found[2]], svg)
