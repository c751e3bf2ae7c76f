"""Recall: a few symbols, asked for after a stretch of noise."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from datamodules.batch import BOS
from datamodules.tasks.task import FIRST, Drawn, Point, Split, Task


@dataclass
class Recall(Task):
    """Name the symbols that came before the gap (after the copying memory problem of Arjovsky et al. 2016, Unitary
    Evolution Recurrent Neural Networks; there the gap is one blank repeated).

    With 2 symbols from a, b, c, a gap of 3 and the filler x, y, z:

        source          c    a    z  x  z
        decoder_input   <s>  c
        labels          c    a

    Tells how far back a model can reach: the gap grows while what must be held stays the same. The filler is noise from
    an alphabet of its own, so it has to be read and thrown away, and no filler can pass for a symbol.

    Where `anywhere` is set the symbols stay together but may stand at any place in the filler, each place alike. That
    closes the short cut of a bidirectional encoder, whose backward half ends at the first token of the source:

        source          z    x    c  a  z

    Args:
        alphabet: Number of symbols to choose from.
        filler: Number of filler tokens to choose from.
        anywhere: Whether the symbols stand at a random place; "gap" then counts the filler on both sides together.
    """

    alphabet: int = 8
    filler: int = 8
    anywhere: bool = False
    parameters: ClassVar[tuple[str, ...]] = ("gap", "symbols")

    @property
    def source_vocab_size(self) -> int:
        return FIRST + self.alphabet + self.filler

    def draw(self, rng: np.random.Generator, rows: int, point: Point, split: Split) -> Drawn:
        gap, count = point["gap"], point["symbols"]
        if gap < 0:
            raise ValueError(f"gap is {gap}, but it is a number of filler tokens: ask for 0 or more")
        if count < 1:
            raise ValueError(f"symbols is {count}, but at least one symbol has to be recalled: ask for 1 or more")
        first_filler = FIRST + self.alphabet
        symbols = rng.integers(FIRST, first_filler, (rows, count))
        source = rng.integers(first_filler, self.source_vocab_size, (rows, count + gap))
        start = rng.integers(0, gap + 1, (rows, 1)) if self.anywhere else np.zeros((rows, 1), np.int64)
        np.put_along_axis(source, start + np.arange(count), symbols, axis=1)
        return Drawn(source, decoder_input=np.insert(symbols[:, :-1], 0, BOS, axis=1), labels=symbols)

    def chance(self, point: Point) -> dict[str, float]:
        """Accuracy of guessing any symbol."""
        return {"guessing": 1 / self.alphabet}
