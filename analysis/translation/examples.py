"""Translations side by side."""

import numpy as np

from analysis.page.blocks import Paragraph, Section, Table
from analysis.page.labels import decimal, label, listing
from analysis.page.prose import PROSE
from analysis.page.run_sources import behind, chosen
from analysis.statistics.bleu import sentence_chrfs
from analysis.store import Run, Store, System
from analysis.translation.bleu import EXPERIMENT, length_unit, lengths_in
from experiments.record.text import passage

TRANSLATIONS = 10


def build(store: Store) -> list[Section]:
    translations = Section("translations", "Translations side by side", sources=behind(store, EXPERIMENT))
    for task in dict.fromkeys(run.task for run in store.finished(EXPERIMENT)):
        translations.blocks += side_by_side(store, chosen(store, EXPERIMENT, task))
    return [translations] if translations.blocks else []


def evenly_spaced(count: int, wanted: int) -> list[int]:
    """`wanted` positions from first to last of `count`, or all of them if there are fewer."""
    return sorted({round(position) for position in np.linspace(0, count - 1, min(count, wanted))})


def side_by_side(store: Store, runs: dict[System, Run]) -> list[Paragraph | Table]:
    task = next(iter(runs.values())).task
    test_set = store.rows(EXPERIMENT, task=task, metric="bleu")["x"].iloc[0]
    frames = {system: store.translations(run, test_set) for system, run in runs.items()}
    tables = {system: frame.set_index("id") for system, frame in frames.items() if frame is not None}
    if not tables:
        return [Paragraph("No finished run has kept its translations.")]
    shared = set.intersection(*(set(t.index) for t in tables.values()))
    first, unit = next(iter(tables.values())), length_unit(store, task)
    sources, lengths = first["source"], dict(zip(first.index, lengths_in(unit, first), strict=True))
    by_length = sorted(shared, key=lambda i: (lengths[i], i))
    picked = [by_length[position] for position in evenly_spaced(len(by_length), TRANSLATIONS)]
    seeds = listing([f"{label(system)} seed {runs[system].seed}" for system in tables])
    blocks: list[Paragraph | Table] = [
        Paragraph(PROSE["sentences picked"].format(number=len(picked), test_set=test_set, seeds=seeds))
    ]
    shown = {system: table.loc[picked] for system, table in tables.items()}
    chrf = {s: sentence_chrfs(tuple(rows["hypothesis"]), tuple(rows["reference"])) for s, rows in shown.items()}
    for place, i in enumerate(picked):
        reference = first.loc[i, "reference"]
        lines = [["source", passage(sources[i]), ""], ["reference", passage(reference), ""]]
        for system, table in tables.items():
            lines.append([label(system), passage(table.loc[i, "hypothesis"]), decimal(chrf[system][place])])
        caption = f"Sentence {i}, {lengths[i]:g} {unit}."
        blocks.append(Table(caption, ["", "text", "chrF"], lines, left=2))
    return blocks
