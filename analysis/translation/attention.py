"""Attention: the screen with two maps and every head to choose from, and the roles of heads."""

from collections.abc import Mapping
from typing import Any

from analysis.attention.maps import blocks, by_key, shared, with_maps
from analysis.page.blocks import Block, Heading, Notice, Paragraph, Section
from analysis.page.labels import label, listing, ordered
from analysis.page.look import Look
from analysis.page.prose import PROSE
from analysis.page.run_sources import behind, chosen
from analysis.statistics.intervals import Array
from analysis.store import Run, Store, System
from analysis.translation import heads

TRANSLATION = "bleu"
SHOWN = 9  # words; the sentence shown first is the one nearest to this length
CROSS = ("cross", "additive")  # kinds of attention that look at the source
CAPTION = "Rows are words being written, columns words of the source"


def screen(store: Store, look: Look) -> list[Section]:
    """Maps of the LSTM with attention and of one head of the Transformer, all others a touch away.

    Variants, which another budget or size makes, are not shown beside their model.
    """
    for task, every in examined(store).items():
        runs = {system: run for system, run in every.items() if system.variant == "base"} or every
        kept = {system: by_key(store.attention(run)) for system, run in runs.items()}
        found = shared(with_maps(kept))
        if sentences := next(iter(found.values()), {}):
            first = min(sentences, key=lambda key: abs(len(sentences[key]["source"]) - 1 - SHOWN))
            shown = {system: clearest(mine[first]["maps"]) for system, mine in found.items()}
            said = example({system: mine[first] for system, mine in found.items()}, shown)
            maps = blocks(look, task, CAPTION, found, first, shown)
            return [
                Section("sees", "What attention sees", [*([Paragraph(said)] if said else []), *maps], short="Attention")
            ]
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
    return f"In the clearest case of this sentence, while writing “{word}”, {listing(parts)}."


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


def reservations(store: Store, task: str, runs: dict[System, Run]) -> list[Block]:
    """Models that were not inspected, or were trained again since."""
    trained = {(run.system, run.seed): run for run in store.finished(TRANSLATION, task)}
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
