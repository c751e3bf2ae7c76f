"""Attention: the screen with two maps and every head to choose from, and the roles of heads."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analysis.page.blocks import Block, Explorer, Figures, Heading, Notice, Paragraph, Section
from analysis.page.canvas import Figure
from analysis.page.labels import counted, label, listing, ordered, slug
from analysis.page.look import Look
from analysis.page.prose import PROSE
from analysis.page.run_sources import behind
from analysis.statistics.intervals import Array
from analysis.store import Run, Store, System, by_system, first_common_seed
from analysis.translation import heads
from analysis.translation.figures import attention_map
from analysis.translation.words import joined

TRANSLATION = "bleu"
SHOWN = 9  # words; the sentence shown first is the one nearest to this length
CROSS = ("cross", "additive")  # kinds of attention that look at the source
SEEING = (
    "Rows are words being written, columns words of the source; the stronger the colour, the more attention. Touch a "
    "cell or use the arrow keys to read it; the small maps are the other heads."
)

Sentences = dict[tuple[str, int], dict[str, Any]]  # by test set and number, with words in place of tokens


def screen(store: Store, look: Look) -> list[Section]:
    """Maps of the LSTM with attention and of one head of the Transformer, all others a touch away.

    Variants, which another budget or size makes, are not shown beside their model.
    """
    for task, every in examined(store).items():
        runs = {system: run for system, run in every.items() if system.variant == "base"} or every
        kept = {system: by_key(store.attention(run)) for system, run in runs.items()}
        found = shared(with_maps(kept))
        keys = list(next(iter(found.values()), {}))
        if keys:
            source = next(iter(found.values()))
            first = min(range(len(keys)), key=lambda i: abs(len(source[keys[i]]["source"]) - 1 - SHOWN))
            heads_shown = {system: clearest(sentences[keys[first]]["maps"]) for system, sentences in found.items()}
            figures = [
                one_map(look, task, system, sentences[keys[first]], heads_shown[system])
                for system, sentences in found.items()
            ]
            said = {system: sentences[keys[first]] for system, sentences in found.items()}
            said_in_words = example(said, heads_shown)
            blocks: list[Block] = [Paragraph(said_in_words)] if said_in_words else []
            blocks.append(Figures(SEEING, figures, chart=False))
            replaced = [figure.name for figure in figures]
            blocks.append(explorer(f"explorer-{slug(task)}", SEEING, look, found, first, heads_shown, replaced))
            return [Section("sees", "What attention sees", blocks, short="Attention")]
    return []


def examined(store: Store) -> dict[str, dict[System, Run]]:
    """By task the inspected runs, or the translation runs where none was inspected."""
    tasks = dict.fromkeys(run.task for name in (TRANSLATION, heads.EXPERIMENT) for run in store.finished(name))
    return {task: chosen(store, heads.EXPERIMENT, task) or chosen(store, TRANSLATION, task) for task in tasks}


def clearest(maps: Mapping[str, Array]) -> tuple[str, int]:
    """The map and the head that look at the source most sharply, and at most of its words."""

    def clear(place: tuple[str, int]) -> float:
        weights = maps[place[0]][place[1]]
        return float(weights.max(axis=1).mean() * len(set(weights.argmax(axis=1))))

    cross = [name for name in maps if name.partition(" ")[0] in CROSS] or list(maps)
    return max(((name, head) for name in cross for head in range(len(maps[name]))), key=clear)


def example(sentences: Mapping[System, Mapping[str, Any]], shown: Mapping[System, tuple[str, int]]) -> str:
    """What each model looks at while it writes a word: of those that all write the one of which they are surest."""
    weights = {system: sentence["maps"][shown[system][0]][shown[system][1]] for system, sentence in sentences.items()}
    targets = {system: list(sentence["target"]) for system, sentence in sentences.items()}
    common = [word for word in next(iter(targets.values()))[:-1] if all(word in words for words in targets.values())]
    if not common:
        return ""
    rows = {word: {s: weights[s][targets[s].index(word)] for s in sentences} for word in common}
    word = max(common, key=lambda word: min(row.max() for row in rows[word].values()))
    parts = []
    for system, sentence in sentences.items():
        name, head = shown[system]
        which = f" (head {head + 1} of {name})" if len(sentence["maps"][name]) > 1 else ""
        row, share = rows[word][system], f"{100 * rows[word][system].max():.0f} %"
        seen = sentence["source"][int(row.argmax())]
        parts.append(f"the {label(system)}{which} gives {share} of its attention to “{seen}”")
    return f"While writing “{word}”, {listing(parts)}."


def build(store: Store, look: Look) -> list[Section]:
    """Who has no attention, and what heads specialise in."""
    section = Section("attention", "Attention", sources=behind(store, heads.EXPERIMENT) or behind(store, TRANSLATION))
    for task, runs in examined(store).items():
        kept = {system: by_key(store.attention(run)) for system, run in runs.items()}
        inspected = bool(chosen(store, heads.EXPERIMENT, task))
        blocks: list[Block] = reservations(store, task, runs) if inspected else []
        attentive = with_maps(kept)
        without = [label(system) for system, sentences in kept.items() if sentences and system not in attentive]
        if without:
            blocks.append(Paragraph(f"{listing(without)}: no attention, one vector holds the whole source."))
        if inspected:
            blocks += heads.build(store, look, task)
        elif attentive:
            blocks.append(Paragraph(PROSE["further maps"].format(suite=store.suite)))
        section.blocks += [Heading(task), *blocks] if blocks else []
    return [section] if section.blocks else []


def chosen(store: Store, experiment: str, task: str) -> dict[System, Run]:
    """One run a model: the first seed that all have, or else each model's own first."""
    table = by_system(run for run in store.finished(experiment) if run.task == task)
    common = first_common_seed(table.values()) if table else None
    return {s: table[s][min(table[s]) if common is None else common] for s in ordered(table)}


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
    return {(s["test_set"], s["id"]): joined(s) for s in sentences}


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


def one_map(look: Look, task: str, system: System, sentence: Mapping[str, Any], shown: tuple[str, int]) -> Figure:
    """One head of one map."""
    name, head = shown
    which = f", {name}, head {head + 1}" if len(sentence["maps"]) > 1 else ""
    return attention_map(
        f"attention-{task}-{sentence['test_set']}-{sentence['id']}-{system.model}-{system.variant}",
        f"{label(system)}{which}",
        look.colour(system),
        sentence["maps"][name][head],
        sentence["source"],
        sentence["target"],
    )


def explorer(
    identifier: str,
    caption: str,
    look: Look,
    kept: Mapping[System, Sentences],
    first: int,
    shown: Mapping[System, tuple[str, int]],
    replaces: Sequence[str],
) -> Explorer:
    """Put together what the page needs.

    Args:
        identifier: Its id in the page.
        caption: What to see.
        look: Colours.
        kept: Of each model with attention the same sentences, by test set and number, with all their maps.
        first: Place of the sentence shown first.
        shown: The map and the head of each model shown first.
        replaces: Names of the figures shown instead where no script runs.
    """
    one = next(iter(kept.values()))
    sentences = [
        {
            "name": f"{i} of {test_set}, {counted(len(one[test_set, i]['source']), 'word', 'words')}",
            "models": [panel(look, system, mine[test_set, i], shown[system]) for system, mine in kept.items()],
        }
        for test_set, i in one
    ]
    return Explorer(identifier, caption, sentences, first, replaces)


def panel(look: Look, system: System, sentence: Mapping[str, Any], shown: tuple[str, int]) -> dict[str, Any]:
    name, head = shown
    return {
        "label": label(system),
        "colour": look.colour(system),
        "shown": [list(sentence["maps"]).index(name), head],
        **{part: sentence[part] for part in ("source", "target", "written")},
        "maps": [
            {"name": name, "heads": len(heads), "weights": packed(heads)} for name, heads in sentence["maps"].items()
        ],
    }


def packed(weights: Array) -> str:
    """Weights (heads, queries, keys) from 0 to 1 as one byte each, 255 for 1, row by row, in base64."""
    return base64.b64encode((255 * weights).round().clip(0, 255).astype(np.uint8).tobytes()).decode("ascii")
