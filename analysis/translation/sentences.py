"""What differs between the translations: words by training frequency, sentence by sentence, and faults."""

from collections.abc import Sequence

import pandas as pd

from analysis.page.blocks import Block, Heading, Paragraph, Section, Table
from analysis.page.labels import signed, span, with_span
from analysis.page.look import Look
from analysis.page.prose import PROSE
from analysis.page.run_sources import behind
from analysis.statistics.bleu import TINY, sentence_chrfs
from analysis.statistics.intervals import Array, mean_interval
from analysis.store import Run, Store, System
from analysis.translation import faults, word_accuracy
from analysis.translation.bleu import EXPERIMENT, TestSet, systems_of
from analysis.translation.faults import share
from analysis.translation.pairs import Frames, Pair, same_sentences


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
            section.blocks += word_accuracy.build(store, look, task, test_sets)
            section.blocks.append(Heading(f"Sentence by sentence, {task}"))
            section.blocks += sentence_by_sentence(pairs)
            section.blocks.append(Heading(f"Faults, {task}"))
            section.blocks += faults.build(test_sets, store.tokeniser(task))
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


def sentence_by_sentence(pairs: Sequence[Pair]) -> list[Block]:
    if not pairs:
        return [Paragraph("Nothing to compare: no two models translated the same sentences with the same seed.")]
    listed = " or ".join(str(seed) for seed in sorted({pair.seed for pair in pairs}))
    return [Paragraph(PROSE["sentence by sentence"].format(seeds=listed)), win_table(pairs)]


def chrfs(pair: Pair) -> tuple[Array, Array]:
    """(N,) chrF of both sides."""
    one, other = (sentence_chrfs(tuple(frame["hypothesis"]), tuple(frame["reference"])) for frame in pair.translations)
    return one, other


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
