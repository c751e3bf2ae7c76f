"""Selective copy: the few tokens among blanks, in order."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from datamodules.batch import BOS
from datamodules.tasks.task import FIRST, Drawn, Point, Split, Task


@dataclass
class SelectiveCopy(Task):
    """Copy the tokens that are not blank, in order (Gu & Dao 2023, Mamba, section 4.1.1).

    With length 7, content 3 and the symbols a, b, c, d; _ is the blank:

        source          _    c    _    _  a  d  _
        decoder_input   <s>  c    a
        labels          c    a    d

    Measures whether a model selects by content what to keep: the gaps before, between and after the symbols vary, so
    counting positions does not help. Every set of positions is equally likely. The blank is an ordinary token, not
    padding.

    Args:
        symbols: Size of the alphabet without the blank.
    """

    symbols: int = 16
    parameters: ClassVar[tuple[str, ...]] = ("length", "content")

    @property
    def source_vocab_size(self) -> int:
        return FIRST + self.symbols + 1

    @property
    def blank(self) -> int:
        """Id of the blank."""
        return FIRST + self.symbols

    def draw(self, rng: np.random.Generator, rows: int, point: Point, split: Split) -> Drawn:
        length, count = point["length"], point["content"]
        if not 1 <= count <= length:
            raise ValueError(
                f"content is {count}, but it is how many of the {length} tokens are not blank: "
                "ask for at least 1 and at most length"
            )
        places = rng.permuted(np.tile(np.arange(length), (rows, 1)), axis=1)[:, :count]
        content = rng.integers(FIRST, self.blank, (rows, count))
        source = np.full((rows, length), self.blank)
        np.put_along_axis(source, np.sort(places, axis=1), content, axis=1)
        return Drawn(source, decoder_input=np.insert(content[:, :-1], 0, BOS, axis=1), labels=content)

    def chance(self, point: Point) -> dict[str, float]:
        """Accuracy of guessing a symbol."""
        return {"guessing": 1 / self.symbols}
