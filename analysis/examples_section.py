"""What the models do with single sentences: translations side by side, and attention maps."""

import re
from typing import Any

import numpy as np

from analysis.bleu_section import EXPERIMENT, systems_of
from analysis.blocks import Figures, Heading, Paragraph, Section, Table
from analysis.figures import Figure, attention_map
from analysis.labels import Look, decimal, label, listing
from analysis.records import Run, Store, System, first_common_seed
from analysis.statistics import sentence_chrf

TRANSLATIONS = 10
MAPS = 4


def build(store: Store, look: Look) -> list[Section]:
    translations = Section("translations", "Translations side by side")
    attention = Section("attention", "Attention maps")
    runs = store.finished(EXPERIMENT)
    for task in dict.fromkeys(run.task for run in runs):
        systems = systems_of(runs, task)
        common = first_common_seed(systems.values())
        chosen = {s: seeds[min(seeds) if common is None else common] for s, seeds in systems.items()}
        translations.blocks += side_by_side(store, chosen)
        attention.blocks += maps(store, look, task, chosen)
    return [s for s in (translations, attention) if s.blocks]


def evenly_spaced(count: int, wanted: int) -> list[int]:
    """`wanted` positions from first to last of `count`, or all of them if there are fewer."""
    return sorted({round(position) for position in np.linspace(0, count - 1, min(count, wanted))})


def side_by_side(store: Store, runs: dict[System, Run]) -> list[Paragraph | Table]:
    rows = store.measurements.query("experiment == @EXPERIMENT and metric == 'bleu'")
    first = next(iter(runs.values()))
    test_set = rows.loc[rows["task"] == first.task, "x"].iloc[0]
    frames = {system: store.translations(run, test_set) for system, run in runs.items()}
    tables = {system: frame.set_index("id") for system, frame in frames.items() if frame is not None}
    if not tables:
        return [Paragraph("No finished run has kept its translations.")]
    shared = set.intersection(*(set(t.index) for t in tables.values()))
    sources = next(iter(tables.values()))["source"]
    by_length = sorted(shared, key=lambda i: (len(sources[i].split()), i))
    picked = [by_length[position] for position in evenly_spaced(len(by_length), TRANSLATIONS)]
    seeds = listing([f"{label(system)} seed {runs[system].seed}" for system in tables])
    blocks: list[Paragraph | Table] = [
        Paragraph(
            f"{len(picked)} sentences of {test_set}, picked by rule and not by taste: all sentences in order of source "
            f"length (ties by number), then evenly spaced from the shortest to the longest ({seeds})."
        )
    ]
    for i in picked:
        reference = next(iter(tables.values())).loc[i, "reference"]
        lines = [["source", sources[i], ""], ["reference", reference, ""]]
        for system, table in tables.items():
            hypothesis = table.loc[i, "hypothesis"]
            lines.append([label(system), hypothesis, decimal(sentence_chrf(hypothesis, table.loc[i, "reference"]))])
        caption = f"Sentence {i}, {len(sources[i].split())} source words."
        blocks.append(Table(caption, ["", "text", "chrF"], lines, left=2))
    return blocks


def maps(store: Store, look: Look, task: str, runs: dict[System, Run]) -> list[Paragraph | Heading | Figures]:
    kept = {system: {(s["test_set"], s["id"]): s for s in store.attention(run)} for system, run in runs.items()}
    attentive = {system: s for system, s in kept.items() if any(entry["maps"] for entry in s.values())}
    without = [label(system) for system, s in kept.items() if s and system not in attentive]
    blocks: list[Paragraph | Heading | Figures] = []
    if attentive:
        shared = set.intersection(*(set(s) for s in attentive.values()))
        order = [key for key in next(iter(attentive.values())) if key in shared]
        for position in evenly_spaced(len(order), MAPS):
            test_set, i = order[position]
            pairs = [(system, sentences[order[position]]) for system, sentences in attentive.items()]
            figures = [one_map(look, task, system, sentence) for system, sentence in pairs if sentence["maps"]]
            caption = f"Sentence {i} of {test_set}: what each model looked at while writing its hypothesis."
            blocks.append(Figures(caption, figures, chart=False))
    if attentive:
        names = {label(system): map_name(next(iter(s.values()))["maps"]) for system, s in attentive.items()}
        which = "; ".join(f"{model}: {name}, mean over its heads" for model, name in names.items())
        blocks.insert(
            0,
            Paragraph(
                "Each row is a token of the model's own hypothesis, each column a source token; full colour is weight "
                "1, no colour 0. A clear diagonal means that the model translates word by word. "
                f"The maps shown: {which}. A Transformer's last layer is one of many, so its map is only part of the "
                "path; and a weight says where a model looks, not what it concludes."
            ),
        )
    if without:
        blocks.insert(0, Paragraph(f"{listing(without)}: no attention, one vector holds the whole source."))
    return [Heading(task), *blocks] if blocks else []


def map_name(kept: dict[str, Any]) -> str:
    """The decoder's view of the source in the last layer: the cross-attention map with the highest number."""
    cross = [name for name in kept if name.startswith("cross")] or list(kept)
    return max(cross, key=lambda name: [int(digits) for digits in re.findall(r"\d+", name)])


def one_map(look: Look, task: str, system: System, sentence: dict[str, Any]) -> Figure:
    weights = np.asarray(sentence["maps"][map_name(sentence["maps"])], dtype=np.float64).mean(axis=0)
    return attention_map(
        f"attention-{task}-{sentence['test_set']}-{sentence['id']}-{system.model}-{system.variant}",
        label(system),
        look.colour(system),
        weights,
        sentence["source_tokens"],
        sentence["target_tokens"],
    )
