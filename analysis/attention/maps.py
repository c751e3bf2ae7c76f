"""Attention maps of a few sentences: one head of each model as a figure, and every head to choose from."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from analysis.attention.words import SPECIAL, joined
from analysis.page.blocks import Block, Explorer, Figures
from analysis.page.canvas import Figure, finish, panel
from analysis.page.labels import counted, label, slug
from analysis.page.look import Look
from analysis.statistics.intervals import Array
from analysis.store import System

SHADES = "the stronger the colour, the more attention"
SEEING = f"{SHADES}. Touch a cell or use the arrow keys to read it; the small maps are the other heads."

Sentences = dict[tuple[str, int], dict[str, Any]]  # by test set and number, with words in place of tokens


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


def blocks(
    look: Look,
    task: str,
    caption: str,
    found: Mapping[System, Sentences],
    first: tuple[str, int],
    shown: Mapping[System, tuple[str, int]],
) -> list[Block]:
    """One head of each model for one sentence, and every head for every sentence where scripts run.

    Args:
        look: Colours.
        task: Names the figures.
        caption: What rows and columns are.
        found: Of each model with attention the same sentences, with all their maps.
        first: The sentence shown first.
        shown: The map and the head of each model shown first.
    """
    still = [one_map(look, task, system, sentences[first], shown[system]) for system, sentences in found.items()]
    one = next(iter(found.values()))
    sentences = [
        {
            "name": f"{i} of {test_set}, {counted(len(spoken(sentence)), 'word', 'words')}",
            "models": [side(look, system, mine[test_set, i], shown[system]) for system, mine in found.items()],
        }
        for (test_set, i), sentence in one.items()
    ]
    names, place = [figure.name for figure in still], list(one).index(first)
    explored = Explorer(f"explorer-{slug(task)}", f"{caption}; {SEEING}", sentences, place, names)
    return [Figures(f"{caption}; {SHADES}.", still, chart=False), explored]


def spoken(sentence: Mapping[str, Any]) -> list[str]:
    """The words of a sentence, without where it begins and ends."""
    return [word for word in sentence["source"] or sentence["target"] if word not in SPECIAL]


def one_map(look: Look, task: str, system: System, sentence: Mapping[str, Any], shown: tuple[str, int]) -> Figure:
    """One head of one map."""
    name, head = shown
    which = f", {name}, head {head + 1}" if len(sentence["maps"]) > 1 else ""
    columns = ("written", "said before") if name.startswith("decoder") else ("source", "source")
    of_source = name.startswith("encoder")
    return attention_map(
        f"attention-{task}-{sentence['test_set']}-{sentence['id']}-{system.model}-{system.variant}",
        f"{label(system)}{which}",
        look.colour(system),
        sentence["maps"][name][head],
        sentence[columns[0]],
        sentence["source" if of_source else "target"],
        ("source" if of_source else "being written", columns[1]),
    )


def attention_map(
    name: str,
    title: str,
    colour: str,
    weights: Array,
    columns: Sequence[str],
    rows: Sequence[str],
    sides: tuple[str, str] = ("being written", "source"),
) -> Figure:
    """Attention weights (rows, columns), a row for each word that looks, named as `sides`; full colour is 1."""
    shades = LinearSegmentedColormap.from_list("weight", [f"{colour}00", colour])
    # the size of the map; the figure grows by its labels
    above_the_words = {"axes.titley": None}  # which are at the top
    with panel((0.17 * len(columns), 0.17 * len(rows)), above_the_words) as (canvas, axes):
        axes.set_position((0, 0, 1, 1))
        axes.imshow(weights, cmap=shades, vmin=0, vmax=1, aspect="equal", interpolation="none")
        axes.set_xticks(range(len(columns)), columns, rotation=90, fontsize=9, parse_math=False)
        axes.set_yticks(range(len(rows)), rows, fontsize=9, parse_math=False)
        axes.tick_params(length=0)
        axes.xaxis.tick_top()
        axes.grid(visible=False)
        axes.set(xlabel=sides[1], ylabel=sides[0], title=title)
        strongest = [f"{row} → {columns[int(i)]}" for row, i in zip(rows, weights.argmax(axis=1), strict=True)]
        description = f"Where each word looks most: {', '.join(strongest)}."
        return finish(canvas, name, title, description, grow=True)


def side(look: Look, system: System, sentence: Mapping[str, Any], shown: tuple[str, int]) -> dict[str, Any]:
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
