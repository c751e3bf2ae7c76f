"""What differs between the translations: words by training frequency, sentence by sentence, and faults."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.page.blocks import Block, Figures, Heading, Paragraph, Section, Table
from analysis.page.labels import decimal, label, signed, slug, span, with_span
from analysis.page.look import Look
from analysis.page.prose import PROSE
from analysis.page.run_sources import behind
from analysis.statistics.bleu import TINY, sentence_chrfs
from analysis.statistics.intervals import Array, mean_interval
from analysis.store import Run, Store, System
from analysis.translation import faults, word_accuracy
from analysis.translation.bleu import EXPERIMENT, TestSet, systems_of
from analysis.translation.faults import share
from analysis.translation.figures import chrf_differences
from analysis.translation.pairs import Frames, Pair, same_sentences
from experiments.record.text import passage

EXTREMES = 5


class Sentence(NamedTuple):
    """A sentence, with the hypotheses of a pair and the chrF of each."""

    name: str
    source: str
    reference: str
    hypotheses: tuple[str, str]
    chrf: tuple[float, float]

    @property
    def value(self) -> float:
        return self.chrf[1] - self.chrf[0]


def build(store: Store, look: Look, results: Sequence[TestSet]) -> list[Section]:
    """One section, none where no run has kept its translations."""
    section = Section("differences", "What differs between the translations", sources=behind(store, EXPERIMENT))
    for task in dict.fromkeys(result.task for result in results):
        of_task = [result for result in results if result.task == task]
        kept = {result.name: translations(store, result) for result in of_task}
        test_sets = {name: frames for name, frames in kept.items() if frames}
        pairs = [pair for result in of_task for pair in result.pairs]
        if test_sets:
            section.blocks.append(Heading(f"Word accuracy by training frequency, {task}"))
            section.blocks += word_accuracy.build(store, look, task, test_sets, pairs)
            section.blocks.append(Heading(f"Sentence by sentence, {task}"))
            section.blocks += sentence_by_sentence(look, task, pairs)
            section.blocks.append(Heading(f"Faults, {task}"))
            section.blocks += faults.build(look, task, test_sets, store.tokeniser(task))
    return [section] if section.blocks else []


def translations(store: Store, result: TestSet) -> Frames:
    """What each run made of a test set; a run whose sentences are not those of the first becomes a problem."""
    systems = systems_of(store.finished(EXPERIMENT), result.task)
    found: dict[System, dict[int, pd.DataFrame]] = {}
    first: tuple[Run, pd.DataFrame] | None = None
    for system, outcome in result.outcomes.items():
        for seed in outcome.bleu:
            run = systems[system][seed]
            frame = store.translations(run, result.name)
            if frame is None:
                continue
            first = first or (run, frame)
            if same_sentences(store, result.name, *first, run, frame):
                found.setdefault(system, {})[seed] = frame
    return found


def sentence_by_sentence(look: Look, task: str, pairs: Sequence[Pair]) -> list[Block]:
    if not pairs:
        return [Paragraph("Nothing to compare: no two models translated the same sentences with the same seed.")]
    listed = " or ".join(str(seed) for seed in sorted({pair.seed for pair in pairs}))
    note = PROSE["sentence by sentence"].format(seeds=listed)
    groups: dict[tuple[System, System], list[Pair]] = {}
    for pair in pairs:
        groups.setdefault((pair.first, pair.second), []).append(pair)
    figures, tables = [], []
    for (first, second), group in groups.items():
        found = [difference for pair in group for difference in differences(pair)]
        name = slug("chrf", task, *second, "against", *first)
        figures.append(chrf_differences(name, look, first, second, np.array([d.value for d in found])))
        tables += [extremes(first, second, found, sign) for sign in (1, -1)]
    return [
        Paragraph(note),
        Figures(PROSE["chrF differences"], figures),
        win_table(pairs),
        *(t for t in tables if t.rows),
    ]


def chrfs(pair: Pair) -> tuple[Array, Array]:
    """(N,) chrF of both sides."""
    one, other = (sentence_chrfs(tuple(frame["hypothesis"]), tuple(frame["reference"])) for frame in pair.translations)
    return one, other


def differences(pair: Pair) -> list[Sentence]:
    one, other = pair.translations
    columns = (one["id"], one["source"], one["reference"], one["hypothesis"], other["hypothesis"], *chrfs(pair))
    return [
        Sentence(f"{pair.test_set} {i}", source, reference, (a, b), (float(c), float(d)))
        for i, source, reference, a, b, c, d in zip(*columns, strict=True)
    ]


def win_table(pairs: Sequence[Pair]) -> Table:
    rows = []
    for pair in pairs:
        first, second = chrfs(pair)
        change = second - first
        one, other = pair.translations
        alike = int((one["hypothesis"] == other["hypothesis"]).sum())
        better, worse = int((change > TINY).sum()), int((change < -TINY).sum())
        counts = (better, len(change) - better - worse, worse, alike)
        mean = mean_interval(change)
        row = [pair.name, pair.test_set, *(with_span(share(count, len(change)), 1) for count in counts)]
        rows.append([*row, f"{signed(mean.value)} ({span(mean)})"])
    header = ["pair", "test set", "better", "equal", "worse", "same text", "mean difference"]
    return Table(PROSE["wins"], header, rows, left=2)


def extremes(first: System, second: System, found: Sequence[Sentence], sign: int) -> Table:
    """The sentences that speak most for the second system (`sign` 1) or for the first (-1), from all test sets."""
    better, other = (second, first) if sign > 0 else (first, second)
    won = sorted((d for d in found if sign * d.value > TINY), key=lambda d: -sign * d.value)
    rows: list[list[str]] = []
    for one in won[:EXTREMES]:
        rows.append([f"{one.name}, source", passage(one.source), ""])
        rows.append(["reference", passage(one.reference), ""])
        for system, hypothesis, chrf in zip((first, second), one.hypotheses, one.chrf, strict=True):
            rows.append([label(system), passage(hypothesis), decimal(chrf)])
    caption = f"Where the {label(better)} is furthest ahead of the {label(other)} in chrF: {min(len(won), EXTREMES)} "
    caption += f"of {len(won)} sentences, the greatest difference first."
    return Table(caption, ["", "text", "chrF"], rows, left=2)
