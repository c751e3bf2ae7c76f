"""Two keys: one query that needs the values of two keys, and which is which."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from datamodules.tasks.associative_recall import distinct
from datamodules.tasks.task import FIRST, Drawn, Point, Split, Task


@dataclass
class TwoKeys(Task):
    """Subtract the value of one key from that of another, modulo the number of values.

    With 3 pairs from keys a, b, c, d and values 0 .. 4; "c-a" is one token, the query for the difference of c and a:

        source          c  2  a  4  d  1
        decoder_input   c-a
        labels          3

    Measures whether a model relates one position to two others at once (Vaswani et al. 2017, section 3.2.2: several
    heads attend to several positions, where a single one would average them). The query arrives in the decoder, so the
    encoder cannot prepare the answer, and it is one token, so both look-ups start from the same position. An even
    average of the two values does not tell which is which. A single head has two ways around it: an uneven average, and
    one look-up per layer of the decoder.

    No key occurs twice in an example; values are uniform and independent, and so is the answer.

    Args:
        keys: Size of the alphabet of keys; each ordered pair of them has its query.
        answers: Size of the alphabet of values, in the source and as answers.
    """

    keys: int = 8
    answers: int = 5
    parameters: ClassVar[tuple[str, ...]] = ("pairs",)
    shared_vocabulary: ClassVar[bool] = False

    @property
    def source_vocab_size(self) -> int:
        return FIRST + self.keys + self.answers

    @property
    def target_vocab_size(self) -> int:
        return FIRST + self.keys**2 + self.answers

    def draw(self, rng: np.random.Generator, rows: int, point: Point, split: Split) -> Drawn:
        pairs = point["pairs"]
        if not 2 <= pairs <= self.keys:
            raise ValueError(
                f"pairs is {pairs}, but two of them are asked for and no key comes twice: ask for 2 to {self.keys}"
            )
        keys = distinct(rng, rows, self.keys, pairs)
        values = rng.integers(0, self.answers, (rows, pairs))
        asked = distinct(rng, rows, pairs, 2)
        first, second = np.take_along_axis(keys, asked, axis=1).T
        minuend, subtrahend = np.take_along_axis(values, asked, axis=1).T
        return Drawn(
            source=FIRST + np.stack([keys, self.keys + values], axis=2).reshape(rows, 2 * pairs),
            decoder_input=FIRST + (self.keys * first + second)[:, None],
            labels=FIRST + self.keys**2 + ((minuend - subtrahend) % self.answers)[:, None],
        )

    def chance(self, point: Point) -> dict[str, float]:
        """Accuracy of guessing, and of knowing both values but not which is which.

        Then one of two answers is right, or both are the same one: for equal values, or values half of an even number
        of values apart.
        """
        certain = (2 - self.answers % 2) / self.answers
        return {"guessing": 1 / self.answers, "both values, not which is which": (1 + certain) / 2}
