"""Copy and Reverse: repeat the whole source, forwards or backwards."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from datamodules.batch import BOS, EOS
from datamodules.tasks.task import FIRST, Drawn, Point, Split, Task, at_least


@dataclass
class Copy(Task):
    """Repeat the source (Graves et al. 2014, Neural Turing Machines, section 4.1, in sequence-to-sequence form).

    With length 3 and the symbols a, b, c, d, uniform:

        source          c    a    d
        decoder_input   <s>  c    a    d
        labels          c    a    d    </s>

    Measures how much a model can hold. Distance is no separate factor: between reading and writing a symbol there are
    always length - 1 others, which must be kept too. Earlier answers give no information about later ones.

    Args:
        symbols: Size of the alphabet.
    """

    symbols: int = 16
    parameters: ClassVar[tuple[str, ...]] = ("length",)

    @property
    def source_vocab_size(self) -> int:
        return FIRST + self.symbols

    def draw(self, rng: np.random.Generator, rows: int, point: Point, split: Split) -> Drawn:
        length = at_least(1, point, "length", "the shortest source has one token")
        source = rng.integers(FIRST, FIRST + self.symbols, (rows, length))
        answer = self.answer(source)
        return Drawn(
            source=source,
            decoder_input=np.insert(answer, 0, BOS, axis=1),
            labels=np.insert(answer, length, EOS, axis=1),
        )

    def answer(self, source: NDArray[np.int64]) -> NDArray[np.int64]:
        """The labels without the end of sentence: (rows, length)."""
        return source

    def chance(self, point: Point) -> dict[str, float]:
        """Accuracy of guessing symbols at a known length, (length / symbols + 1) / (length + 1).

        The end of sentence is scored too and is then always correct.
        """
        length = point["length"]
        return {"guessing": (length / self.symbols + 1) / (length + 1)}


@dataclass
class Reverse(Copy):
    """Repeat the source backwards (Grefenstette et al. 2015, Learning to Transduce with Unbounded Memory).

        source          c    a    d
        decoder_input   <s>  d    a    c
        labels          d    a    c    </s>

    As `Copy`, but the last token read is the first answer, so that gaps range from 0 to 2 (length - 1) tokens: for a
    recurrent encoder the first answers are the most recent, the last ones the oldest.

    Args:
        symbols: Size of the alphabet.
    """

    def answer(self, source: NDArray[np.int64]) -> NDArray[np.int64]:
        return source[:, ::-1]
