"""Attention: maps of a few sentences, every map of runs that were inspected, and the roles of heads."""

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analysis.page.blocks import Block, Explorer, Figures, Heading, Notice, Paragraph, Section
from analysis.page.canvas import Figure
from analysis.page.labels import counted, label, listing, ordered, slug
from analysis.page.look import Look
from analysis.page.prose import PROSE
from analysis.page.run_sources import behind
from analysis.store import Run, Store, System, by_system, first_common_seed
from analysis.translation import heads
from analysis.translation.examples import evenly_spaced
from analysis.translation.figures import attention_map
from experiments.record.text import visible

TRANSLATION = "bleu"
MAPS = 4

Sentences = dict[tuple[str, int], dict[str, Any]]  # by test set and number


def build(store: Store, look: Look) -> list[Section]:
    section = Section("attention", "Attention", sources=behind(store, heads.EXPERIMENT) or behind(store, TRANSLATION))
    tasks = (run.task for name in (TRANSLATION, heads.EXPERIMENT) for run in store.finished(name))
    for task in dict.fromkeys(tasks):
        inspected = chosen(store, heads.EXPERIMENT, task)
        blocks = explored(store, look, task, inspected) if inspected else translated(store, look, task)
        section.blocks += [Heading(task), *blocks] if blocks else []
    return [section] if section.blocks else []


def chosen(store: Store, experiment: str, task: str) -> dict[System, Run]:
    """One run a model: the first seed that all have, or else each model's own first."""
    table = by_system(run for run in store.finished(experiment) if run.task == task)
    common = first_common_seed(table.values()) if table else None
    return {s: table[s][min(table[s]) if common is None else common] for s in ordered(table)}


def explored(store: Store, look: Look, task: str, runs: dict[System, Run]) -> list[Block]:
    """The maps and heads of inspected runs."""
    kept = {system: by_key(store.attention(run)) for system, run in runs.items()}
    blocks: list[Block] = [*reservations(store, task, runs), *maps(look, task, kept)]
    found = shared(with_maps(kept))
    if any(found.values()):
        replaced = [f.name for block in blocks if isinstance(block, Figures) for f in block.figures]
        # what a page without scripts shows comes first: the explorer hides it
        blocks.append(explorer(f"explorer-{slug(task)}", PROSE["explorer"], look, found, replaced))
    return blocks + heads.build(store, look, task, runs)


def translated(store: Store, look: Look, task: str) -> list[Block]:
    """The few maps that a translation run keeps by itself."""
    runs = chosen(store, TRANSLATION, task)
    kept = {system: by_key(store.attention(run)) for system, run in runs.items()}
    blocks = maps(look, task, kept)
    more = PROSE["further maps"].format(suite=store.suite)
    return [*blocks, Paragraph(more)] if with_maps(kept) else blocks


def reservations(store: Store, task: str, runs: dict[System, Run]) -> list[Block]:
    """Models that were not inspected, or were trained again since."""
    trained = {(run.system, run.seed): run for run in store.finished(TRANSLATION) if run.task == task}
    again = f"make inspect SUITE={store.suite}"
    blocks: list[Block] = []
    absent = [label(system) for system in ordered(system for system, _ in trained) if system not in runs]
    if absent:
        blocks.append(Notice(f"Not inspected and not shown here: {listing(absent)}. Run {again}."))
    for system, run in runs.items():
        source = trained.get((system, run.seed))
        if source and source.record["finished"] > run.record["started"]:
            blocks.append(
                Notice(f"{label(system)} seed {run.seed} was trained again after it was inspected: run {again}.")
            )
    return blocks


def by_key(sentences: list[dict[str, Any]]) -> Sentences:
    return {(s["test_set"], s["id"]): s for s in sentences}


def with_maps(kept: Mapping[System, Sentences]) -> dict[System, Sentences]:
    return {system: s for system, s in kept.items() if any(entry["maps"] for entry in s.values())}


def shared(attentive: Mapping[System, Sentences]) -> dict[System, Sentences]:
    """The sentences of which every model has all its maps, in the order of the first model."""
    whole = {system: with_all_maps(sentences) for system, sentences in attentive.items()}
    keys = [key for key in next(iter(whole.values()), {}) if all(key in s for s in whole.values())]
    return {system: {key: sentences[key] for key in keys} for system, sentences in whole.items()}


def with_all_maps(sentences: Sentences) -> Sentences:
    """Those that have every map of the sentence that has most."""
    names = max((list(s["maps"]) for s in sentences.values()), key=len)
    return {key: s for key, s in sentences.items() if list(s["maps"]) == names}


def maps(look: Look, task: str, kept: Mapping[System, Sentences]) -> list[Block]:
    """For a few sentences the last layer's view of the source, mean over its heads, as figures."""
    attentive = with_maps(kept)
    without = [label(system) for system, s in kept.items() if s and system not in attentive]
    blocks: list[Block] = []
    if without:
        blocks.append(Paragraph(f"{listing(without)}: no attention, one vector holds the whole source."))
    if not attentive:
        return blocks
    blocks.append(Paragraph(reading(attentive)))
    found = shared(attentive)
    order = list(next(iter(found.values())))
    for position in evenly_spaced(len(order), MAPS):
        test_set, i = order[position]
        figures = [one_map(look, task, system, sentences[test_set, i]) for system, sentences in found.items()]
        caption = f"Sentence {i} of {test_set}: attention of each model while writing its hypothesis."
        blocks.append(Figures(caption, figures, chart=False))
    return blocks


def reading(attentive: Mapping[System, Sentences]) -> str:
    names = {
        label(system): map_name(next(entry["maps"] for entry in s.values() if entry["maps"]))
        for system, s in attentive.items()
    }
    which = "; ".join(f"{model}: {name}, mean over its heads" for model, name in names.items())
    return PROSE["attention maps"].format(which=which)


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


def explorer(
    identifier: str,
    caption: str,
    look: Look,
    kept: Mapping[System, Mapping[tuple[str, int], Mapping[str, Any]]],
    replaces: Sequence[str],
) -> Explorer:
    """Put together what the page needs.

    Args:
        identifier: Its id in the page.
        caption: What to see.
        look: Colours.
        kept: Of each model with attention the same sentences, by test set and number, with all their maps.
        replaces: Names of the figures shown instead where no script runs.
    """
    first = next(iter(kept.values()))
    sentences = [
        {
            "name": f"{i} of {test_set}, {counted(len(first[test_set, i]['source_tokens']), 'token', 'tokens')}",
            "models": [panel(look, system, sentences[test_set, i]) for system, sentences in kept.items()],
        }
        for test_set, i in first
    ]
    return Explorer(identifier, caption, sentences, replaces)


def panel(look: Look, system: System, sentence: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "label": label(system),
        "colour": look.colour(system),
        "source": [visible(token) for token in sentence["source_tokens"]],
        "target": [visible(token) for token in sentence["target_tokens"]],
        "maps": [
            {"name": name, "heads": len(heads), "weights": packed(heads)} for name, heads in sentence["maps"].items()
        ],
    }


def packed(heads: Sequence[Sequence[Sequence[float]]]) -> str:
    """Weights (heads, queries, keys) from 0 to 1 as one byte each, 255 for 1, row by row, in base64."""
    weights = np.asarray(heads, dtype=np.float64)
    return base64.b64encode((255 * weights).round().astype(np.uint8).tobytes()).decode("ascii")
