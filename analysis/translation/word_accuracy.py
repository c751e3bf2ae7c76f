"""Word accuracy by how often a word occurs in training: F1 of words, with intervals."""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.page.blocks import Block, Figures, Paragraph, Table
from analysis.page.canvas import Figure
from analysis.page.labels import label, listing, slug, whole, with_span
from analysis.page.look import Look
from analysis.page.prose import PROSE
from analysis.statistics.intervals import FEW, Array, Interval, percentile_interval, resampled_counts
from analysis.store import Store, System
from analysis.translation.figures import Bin, bin_names, by_bin
from analysis.translation.pairs import Frames
from experiments.record.keys import WORD_COUNTS
from experiments.record.languages import USUAL, words
from experiments.record.read import WHOLE_RUN

INSPECTION = "inspection"
BOUNDS = (0, 1, 2, 5, 10, 100, 1000)  # lower bounds of the bins, times in the training target text
BINS = bin_names(BOUNDS)
MATCHED, WRITTEN, WANTED = range(3)


def training_counts(store: Store, task: str) -> dict[str, int]:
    """How often words occur in the training target text, as far as the inspected runs of the task tell."""
    known: dict[str, int] = {}
    for run in store.finished(INSPECTION):
        path = run.folder / WORD_COUNTS
        if run.task != task or not path.is_file() or not (counts := store.word_counts(run)):
            continue
        other = next((word for word, n in counts.items() if known.get(word, n) != n), None)
        if other is not None:
            store.problems.append(
                f"{run.name}: it counts {other!r} {counts[other]} times in the training text where another run of "
                f"{task} counts {known[other]}; {WHOLE_RUN}."
            )
            continue
        known |= counts
    return known


def word_statistics(frame: pd.DataFrame, counts: Mapping[str, int], tokeniser: str = USUAL) -> Array | None:
    """(N, 7, 3): words matched, written and wanted (in the reference) by bin, sentence by sentence.

    A word matches as often as both sides have it, as BLEU clips its unigrams. None where a word has no count.
    """
    found = np.zeros((len(frame), len(BOUNDS), 3))
    bins = {word: bisect_right(BOUNDS, n) - 1 for word, n in counts.items()}
    for row, hypothesis, reference in zip(found, frame["hypothesis"], frame["reference"], strict=True):
        written, wanted = Counter(words(hypothesis, tokeniser)), Counter(words(reference, tokeniser))
        if not bins.keys() >= written.keys() | wanted.keys():
            return None
        for column, counted in ((MATCHED, written & wanted), (WRITTEN, written), (WANTED, wanted)):
            for word, n in counted.items():
                row[bins[word], column] += n
    return found


def f1_of(sums: Array) -> Array:
    """(...,) F1 in percent of (..., 3) words matched, written and wanted; NaN where there are none."""
    with np.errstate(invalid="ignore"):
        found: Array = 200 * sums[..., MATCHED] / (sums[..., WRITTEN] + sums[..., WANTED])
    return found


def f1_samples(statistics: Array) -> Array:
    """(samples, 7): F1 of every bin in each bootstrap sample; NaN where a sample drew no word of a bin."""
    return f1_of(np.tensordot(resampled_counts(len(statistics)), statistics, axes=1))


def interval(value: float, samples: Array, statistics: Array) -> Interval:
    """The interval of one bin, whose statistics are (N, 3).

    None where few sentences have a word of it, or where all samples are equal (no word right, or every one): resampling
    shows nothing then, which is not the same as certainty.
    """
    if math.isnan(value) or statistics.any(axis=1).sum() < FEW:
        return Interval(value, math.nan, math.nan)
    drawn = samples[~np.isnan(samples)]
    return percentile_interval(value, drawn) if np.ptp(drawn) else Interval(value, math.nan, math.nan)


def accuracies(seeds: Sequence[Array]) -> list[Bin]:
    """F1 in percent of every bin, from the statistics of each seed on the same sentences."""
    each = np.stack([f1_of(statistics.sum(axis=0)) for statistics in seeds])
    samples = np.mean([f1_samples(statistics) for statistics in seeds], axis=0)
    return [
        Bin(interval(float(f1), samples[:, b], seeds[0][:, b]), tuple(each[:, b]))
        for b, f1 in enumerate(each.mean(axis=0))
    ]


def build(store: Store, look: Look, task: str, test_sets: Mapping[str, Frames]) -> list[Block]:
    """A figure and a table for each test set, or what to run to get them."""
    counts = training_counts(store, task)
    remedy = f"make inspect SUITE={store.suite}"
    if not counts:
        return [Paragraph(f"Not counted yet: “{remedy}” counts the words of the training text of the finished runs.")]
    figures: list[Figure] = []
    tables: list[Block] = []
    uncounted: list[str] = []
    for name, frames in test_sets.items():
        found: dict[System, list[Array]] = {}
        for system, seeds in frames.items():
            for seed, frame in seeds.items():
                statistics = word_statistics(frame, counts, store.tokeniser(task))
                if statistics is None:
                    uncounted.append(f"{label(system)} seed {seed}")
                else:
                    found.setdefault(system, []).append(statistics)
        if found:
            curves = {system: accuracies(seeds) for system, seeds in found.items()}
            sizes = [int(n) for n in next(iter(found.values()))[0].sum(axis=0)[:, WANTED]]
            figures.append(
                by_bin(
                    slug("frequency", task, name),
                    f"Word accuracy on {name}",
                    look,
                    {system: dict(enumerate(bins)) for system, bins in curves.items()},
                    dict(zip(BINS, sizes, strict=True)),
                    "times in training",
                    "F1 of words (%)",
                    top=100,
                )
            )
            tables.append(f1_table(name, curves, sizes))
    blocks: list[Block] = [Paragraph(PROSE["word accuracy"].format(tokeniser=store.tokeniser(task)))]
    if uncounted:
        runs = listing(list(dict.fromkeys(uncounted)))
        blocks.append(
            Paragraph(f"Left out because some of their words were not counted: {runs}; “{remedy}” counts them.")
        )
    return [*blocks, Figures(PROSE["F1 by frequency"], figures), *tables] if figures else blocks


def f1_table(name: str, curves: Mapping[System, Sequence[Bin]], sizes: Sequence[int]) -> Table:
    rows = [
        [times, whole(sizes[b]), *(with_span(curve[b].interval, 1) for curve in curves.values())]
        for b, times in enumerate(BINS)
    ]
    caption = f"F1 of words on {name} in percent, with 95 % intervals, by the times a word occurs in training."
    return Table(caption, ["times in training", "reference words", *map(label, curves)], rows)
