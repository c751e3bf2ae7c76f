"""Recall: a few symbols after a gap of noise."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from datamodules.batch import BOS
from datamodules.tasks.task import FIRST, Drawn, Point, Split, Task, at_least


@dataclass
class Recall(Task):
    """Give the symbols before the gap (after the copying memory problem of Arjovsky et al. 2016, Unitary Evolution
    Recurrent Neural Networks, where the gap is one repeated blank).

    With 2 symbols from a, b, c, a gap of 3 and the filler x, y, z:

        source          c    a    z  x  z
        decoder_input   <s>  c
        labels          c    a

    Measures how far back a model can reach: the gap grows at a constant memory load. The filler is noise from its own
    alphabet, disjoint from the symbols, so it must be read and ignored.

    With `anywhere` the symbols are at a uniformly random place in the filler, still together. This removes the shortcut
    of a bidirectional encoder, whose backward half ends at the first token of the source:

        source          z    x    c  a  z

    Args:
        alphabet: Number of symbols to choose from.
        filler: Number of filler tokens to choose from.
        anywhere: Whether the symbols are at a random place; `gap` then counts the filler on both sides.
    """

    alphabet: int = 8
    filler: int = 8
    anywhere: bool = False
    parameters: ClassVar[tuple[str, ...]] = ("gap", "symbols")

    @property
    def source_vocab_size(self) -> int:
        return FIRST + self.alphabet + self.filler

    def draw(self, rng: np.random.Generator, rows: int, point: Point, split: Split) -> Drawn:
        gap = at_least(0, point, "gap", "it is a number of filler tokens")
        count = at_least(1, point, "symbols", "at least one symbol has to be recalled")
        first_filler = FIRST + self.alphabet
        symbols = rng.integers(FIRST, first_filler, (rows, count))
        source = rng.integers(first_filler, self.source_vocab_size, (rows, count + gap))
        start = rng.integers(0, gap + 1, (rows, 1)) if self.anywhere else np.zeros((rows, 1), np.int64)
        np.put_along_axis(source, start + np.arange(count), symbols, axis=1)
        return Drawn(source, decoder_input=np.insert(symbols[:, :-1], 0, BOS, axis=1), labels=symbols)

    def chance(self, point: Point) -> dict[str, float]:
        """Accuracy of guessing a symbol."""
        return {"guessing": 1 / self.alphabet}
