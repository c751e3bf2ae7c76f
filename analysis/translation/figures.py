"""Figures of what differs between translations: words by frequency, chrF sentence by sentence, lengths."""

from collections.abc import Mapping, Sequence

import numpy as np

from analysis.page.figures import CHANCE_COLOUR, INK, PANEL, Figure, finish, legend_columns, panel, plot, unique_legend
from analysis.page.labels import Look, decimal, label
from analysis.statistics.bleu import TINY
from analysis.statistics.intervals import Array, Interval
from analysis.store import System

STEPS = (10, 20, 40)  # chrF; bars are narrow where most sentences are
STEP_NAMES = ("below 10", "10–20", "20–40", "40+")
LONGEST = 2.5  # times the reference; longer ones are drawn there


def frequency_curves(
    name: str,
    title: str,
    look: Look,
    curves: Mapping[System, Sequence[tuple[Interval, Sequence[float]]]],
    bins: Sequence[str],
    sizes: Sequence[int],
) -> Figure:
    """F1 of words in percent by times in training: the interval and each seed's value for every bin."""
    with panel(PANEL) as (canvas, axes):
        x = range(len(bins))
        for system, curve in curves.items():
            colour = look.colour(system)
            axes.fill_between(
                x, [f1.low for f1, _ in curve], [f1.high for f1, _ in curve], color=colour, alpha=0.15, lw=0
            )
            plot(axes, look, system, x, [f1.value for f1, _ in curve], marker=look.marker(system))
            dots = [(b, value) for b, (_, seeds) in enumerate(curve) if len(seeds) > 1 for value in seeds]
            if dots:
                axes.plot(*zip(*dots, strict=True), color=colour, marker=".", markersize=3, alpha=0.6, linestyle="")
        axes.set_xticks(x, [f"{times}\nn={n}" for times, n in zip(bins, sizes, strict=True)], fontsize=7)
        axes.set(xlabel="times in training", ylabel="F1 of words (%)", title=title)
        axes.set_ylim(0, 100)
        canvas.legend(*unique_legend(axes), loc="outside upper left", ncols=3, columnspacing=1.2, handlelength=3)
        parts = [f"{label(s)}: " + ", ".join(decimal(f1.value) for f1, _ in curve) for s, curve in curves.items()]
        description = f"F1 of words that occur {', '.join(bins)} times in training. {'; '.join(parts)}."
        return finish(canvas, name, f"Word accuracy on {title}", description)


def step_shares(differences: Array) -> Array:
    """(9,): percent of sentences by chrF difference: four steps below zero, from far to near, equal, four above."""
    steps = np.digitize(np.abs(differences), STEPS)
    middle = len(STEP_NAMES)
    places = np.where(differences > 0, middle + 1 + steps, middle - 1 - steps)
    places[np.abs(differences) < TINY] = middle
    return 100 * np.bincount(places, minlength=2 * middle + 1) / len(differences)


def chrf_differences(name: str, look: Look, first: System, second: System, differences: Array) -> Figure:
    """How far apart two systems are on each sentence: chrF of the second minus that of the first."""
    shares, middle = step_shares(differences), len(STEP_NAMES)
    colours = look.colour(first), look.colour(second)
    title = f"{label(second)} against {label(first)}"
    with panel(PANEL) as (canvas, axes):
        left = axes.bar(range(middle), shares[:middle], color=colours[0], label=f"{label(first)} better")
        if colours[0] == colours[1]:
            for bar in left:
                bar.set(hatch="////", edgecolor=INK, linewidth=0)
        axes.bar([middle], shares[middle : middle + 1], color=CHANCE_COLOUR, label="equal")
        right = range(middle + 1, 2 * middle + 1)
        axes.bar(right, shares[middle + 1 :], color=colours[1], label=f"{label(second)} better")
        names = [*reversed(STEP_NAMES), "equal", *STEP_NAMES]
        axes.set_xticks(range(len(names)), [text.replace(" ", "\n") for text in names], fontsize=7)
        axes.grid(visible=False, axis="x")
        axes.set_axisbelow(True)
        axes.set(xlabel="how much better in chrF", ylabel="% of sentences", title=title)
        handles, labels = unique_legend(axes)
        columns = legend_columns(labels)
        canvas.legend(handles, labels, loc="outside upper left", ncols=columns, columnspacing=1.2)
        halves = ((first, shares[:middle][::-1]), (second, shares[middle + 1 :]))
        sides = [f"{label(system)} better by {steps_in_words(half)}" for system, half in halves]
        description = f"Share of sentences. {sides[0]}; equal: {shares[middle]:.1f} %; {sides[1]}."
        return finish(canvas, name, f"Sentences, {title}", description)


def steps_in_words(shares: Array) -> str:
    return ", ".join(f"{step}: {share:.1f} %" for step, share in zip(STEP_NAMES, shares, strict=True))


def length_ratios(name: str, title: str, look: Look, ratios: Mapping[System, Sequence[Array]]) -> Figure:
    """The share of hypotheses up to each length, in lengths of the reference; one line for each seed."""
    grid = np.linspace(0, LONGEST, 126)
    with panel(PANEL) as (canvas, axes):
        for edge in (0.5, 2):
            axes.axvline(edge, color=CHANCE_COLOUR, linewidth=0.8, linestyle=(0, (2, 2)))
        for system, seeds in ratios.items():
            for values in seeds:
                drawn = np.sort(np.minimum(values, LONGEST))
                shares = 100 * np.searchsorted(drawn, grid, side="right") / len(drawn)
                plot(axes, look, system, grid.tolist(), shares.tolist(), marker="")
        axes.set(xlabel="length of hypothesis / reference, in words", ylabel="% at most so long", title=title)
        axes.set_xlim(0, LONGEST)
        axes.set_ylim(0, 101)
        canvas.legend(*unique_legend(axes), loc="outside upper left", ncols=3, columnspacing=1.2, handlelength=3)
        parts = [f"{label(s)}: median {np.median(np.concatenate(v)):.2f}" for s, v in ratios.items()]
        return finish(canvas, name, title, f"Cumulative distribution of length ratios. {'; '.join(parts)}.")
