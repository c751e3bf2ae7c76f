"""Copy and Reverse: repeat a whole source, forwards or backwards."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from datamodules.batch import BOS, EOS
from datamodules.tasks.task import FIRST, Drawn, Point, Split, Task


@dataclass
class Copy(Task):
    """Repeat the source (Graves et al. 2014, Neural Turing Machines, section 4.1, in sequence-to-sequence form).

    With length 3 and the symbols a, b, c, d, all drawn alike:

        source          c    a    d
        decoder_input   <s>  c    a    d
        labels          c    a    d    </s>

    Tells how much a model can hold. The gap hardly matters: between reading a symbol and writing it lie always
    length - 1 others, and each of them has to be kept as well. Earlier answers, fed in, say nothing about later ones.

    Args:
        symbols: Size of the alphabet.
    """

    symbols: int = 16
    parameters: ClassVar[tuple[str, ...]] = ("length",)

    @property
    def source_vocab_size(self) -> int:
        return FIRST + self.symbols

    def draw(self, rng: np.random.Generator, rows: int, point: Point, split: Split) -> Drawn:
        length = point["length"]
        if length < 1:
            raise ValueError(f"length is {length}, but the shortest source has one token: ask for 1 or more")
        source = rng.integers(FIRST, FIRST + self.symbols, (rows, length))
        answer = self.answer(source)
        return Drawn(
            source=source,
            decoder_input=np.insert(answer, 0, BOS, axis=1),
            labels=np.insert(answer, length, EOS, axis=1),
        )

    def answer(self, source: NDArray[np.int64]) -> NDArray[np.int64]:
        """What is asked for, before the end of sentence: (rows, length) like the source."""
        return source

    def chance(self, point: Point) -> dict[str, float]:
        """Accuracy of guessing each symbol when the length is known.

        The end of sentence is scored too and is then always right, which lifts the line above 1 / symbols:
        (length / symbols + 1) / (length + 1).
        """
        length = point["length"]
        return {"guessing": (length / self.symbols + 1) / (length + 1)}


@dataclass
class Reverse(Copy):
    """Repeat the source backwards (Grefenstette et al. 2015, Learning to Transduce with Unbounded Memory).

        source          c    a    d
        decoder_input   <s>  d    a    c
        labels          d    a    c    </s>

    Tells the same as `Copy`, but what was read last is asked for first, so gaps run from 0 to 2 (length - 1) tokens: a
    recurrent encoder finds the first answers fresh in its state, and the last ones have waited longest.

    Args:
        symbols: Size of the alphabet.
    """

    def answer(self, source: NDArray[np.int64]) -> NDArray[np.int64]:
        return source[:, ::-1]
