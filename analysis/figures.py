"""Figures as SVG that reads on light and dark ground, on paper and aloud."""

import io
import re
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
from matplotlib.ticker import EngFormatter, MaxNLocator
from numpy.typing import NDArray

from analysis.labels import Look, label
from analysis.records import System
from analysis.statistics import Interval

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


@dataclass(frozen=True)
class Figure:
    """One figure: `name` is its file name and the prefix of its ids, `description` what a listener needs to know."""

    name: str
    title: str
    description: str
    svg: str

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
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.set_xlim(left=0)
        canvas.legend(*unique_legend(axes), loc="outside upper left", ncols=3, columnspacing=1.2, handlelength=3)
        ends = [f"{label(line.system)} ends at {line.y[-1]:.3g}" for line in lines]
        return finish(canvas, name, title, f"{y_label} over {x_label}. " + "; ".join(ends) + ".")


def attention_map(
    name: str,
    title: str,
    colour: str,
    weights: NDArray[np.float64],
    source: Sequence[str],
    target: Sequence[str],
) -> Figure:
    """Attention weights (T, S): one row per target token, one column per source token, full colour is 1."""
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
    with matplotlib.rc_context(STYLE):
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
    opening, rest = svg.split(">", 1)
    return Figure(
        name,
        title,
        description,
        f'{opening} role="img" aria-labelledby="{name}-title {name}-description">'
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-description">{escape(description)}</desc>{rest}',
    )
