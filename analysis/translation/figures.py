"""Figures of translation: BLEU by length, words by frequency."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from analysis.page.canvas import INK, PANEL, Figure, add_legend, beside_line, finish, panel, plot_intervals, plot_seeds
from analysis.page.labels import decimal, label, with_span
from analysis.page.look import Look
from analysis.statistics.intervals import Interval
from analysis.store import System


class Bin(NamedTuple):
    """A value of the sentences or words of one bin, with the value of each seed where seeds are to be drawn."""

    interval: Interval
    seeds: Sequence[float] = ()


def by_bin(
    name: str,
    title: str,
    look: Look,
    curves: Mapping[System, Mapping[int, Bin]],
    bins: Mapping[str, int],
    x_label: str,
    y_label: str,
    top: float | None = None,
) -> Figure:
    """Intervals bin by bin: `curves` by number of the bin, `bins` the names of all of them and their sizes."""
    with panel(PANEL) as (canvas, axes):
        for system, curve in curves.items():
            plot_intervals(axes, look, system, list(curve), [found.interval for found in curve.values()])
            dots = [(place, value) for place, found in curve.items() if len(found.seeds) > 1 for value in found.seeds]
            plot_seeds(axes, look, system, dots)
        size = "xx-small" if len(bins) > 6 else None  # so that they do not touch
        axes.set_xticks(range(len(bins)), [f"{words}\nn={n}" for words, n in bins.items()], fontsize=size)
        axes.set(xlabel=x_label, ylabel=y_label, title=title)
        axes.set_ylim(0, top)
        add_legend(axes)
        parts = [f"{label(s)}: " + ", ".join(decimal(b.interval.value) for b in c.values()) for s, c in curves.items()]
        return finish(canvas, name, title, f"{y_label} by {x_label} ({', '.join(bins)}). {'; '.join(parts)}.")


def scores(name: str, title: str, look: Look, outcomes: Mapping[System, Bin]) -> Figure:
    """A row for each system, the first of the list on top: its mean with its interval, each seed a small dot."""
    with panel(PANEL) as (canvas, axes):
        systems = list(outcomes)[::-1]
        for y, (system, found) in enumerate((s, outcomes[s]) for s in systems):
            value, colour = found.interval, look.colour(system)
            axes.plot([value.low, value.high], [y, y], color=colour, linewidth=2)
            axes.plot([value.value], [y], look.marker(system), color=colour, markersize=7)
            axes.plot(found.seeds, [y] * len(found.seeds), ".", color=INK, markersize=3.5, zorder=4)
            axes.text(value.value, y + 0.16, decimal(value.value), ha="center")
        axes.set_yticks(range(len(systems)), [beside_line(system) for system in systems])
        axes.set(xlabel="BLEU", title=title, ylim=(-0.5, len(systems) - 0.3))
        axes.set_xlim(left=0)
        axes.grid(visible=False, axis="y")
        said = [f"{label(s)}: {with_span(found.interval, 1)}" for s, found in outcomes.items()]
        return finish(canvas, name, title, f"BLEU with 95 % intervals. {'; '.join(said)}.")


def bin_names(bounds: Sequence[int]) -> list[str]:
    ends = [f"{low}–{high - 1}" if high - low > 1 else str(low) for low, high in pairwise(bounds)]
    return [*ends, f"{bounds[-1]}+"]
