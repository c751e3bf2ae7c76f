"""Attention maps to choose from: what goes into the page so that it can draw any map of any head by itself."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.page.labels import Look, counted, label
from analysis.store import System
from experiments.record.text import visible


@dataclass(frozen=True)
class Explorer:
    """All maps of a few sentences, every model beside the others; `replaces` names the figures it stands for.

    `sentences` holds plain values: for each sentence its name and, for each model, label, colour, source and target
    tokens and maps, a map being its name, number of heads and weights (`packed`).
    """

    identifier: str
    caption: str
    sentences: Sequence[Mapping[str, Any]]
    replaces: Sequence[str]
    kind: str = "explorer"

    @property
    def data(self) -> dict[str, Any]:
        return {"sentences": list(self.sentences), "replaces": list(self.replaces)}


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
        replaces: Names of the figures that stand in its place where no script runs.
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
