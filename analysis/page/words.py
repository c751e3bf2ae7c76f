"""Attention between words in place of tokens: over the pieces of a word keys are summed, queries averaged."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analysis.statistics.intervals import Array
from experiments.record.text import visible

BEGIN = "▁"  # of a word, in a vocabulary of pieces
SPECIAL = ("<s>", "</s>")


def starts(tokens: Sequence[str]) -> list[int]:
    """Where words begin; where no token marks a beginning every token is a word."""
    if not any(token.startswith(BEGIN) for token in tokens):
        return list(range(len(tokens)))
    at = [i for i, token in enumerate(tokens) if token.startswith(BEGIN) or token in SPECIAL]
    return at if at[0] == 0 else [0, *at]


def words(tokens: Sequence[str]) -> list[str]:
    ends = [*starts(tokens)[1:], len(tokens)]
    pieces = ["".join(tokens[a:b]) for a, b in zip(starts(tokens), ends, strict=False)]
    return [visible(piece.removeprefix(BEGIN) or piece) for piece in pieces]


def joined(sentence: Mapping[str, Any]) -> dict[str, Any]:
    """Words `source`, `target` and `written` (what a decoder looks back at); maps (heads, rows, columns) of them."""
    source, target = sentence["source_tokens"], sentence["target_tokens"]
    written = ["<s>", *target[:-1]]
    found = {"source": words(source), "target": words(target), "written": words(written)}
    maps = {}
    for name, weights in sentence["maps"].items():
        kind = name.partition(" ")[0]
        rows = source if kind == "encoder" else target
        columns = written if kind == "decoder" else source
        maps[name] = between(np.asarray(weights, dtype=np.float64), starts(rows), starts(columns))
    return dict(sentence) | found | {"maps": maps}


def between(weights: Array, rows: Sequence[int], columns: Sequence[int]) -> Array:
    """Weights (heads, queries, keys) as (heads, rows, columns) of the words that begin there."""
    summed = np.add.reduceat(weights, columns, axis=2)
    pieces = np.diff([*rows, weights.shape[1]])
    means: Array = np.add.reduceat(summed, rows, axis=1) / pieces[None, :, None]
    return means
