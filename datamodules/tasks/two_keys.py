"""Two keys: the values of two keys that one query names, in order."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from datamodules.tasks.associative_recall import distinct
from datamodules.tasks.task import FIRST, Drawn, Point, Split, Task


@dataclass
class TwoKeys(Task):
    """Give the values of two keys, in the order asked for.

    With 3 pairs from keys a, b, c, d and values 0 .. 4; a key with its value is one token, a query for two keys is one
    token, and so are two values in order:

        source          c2  a4  d1
        decoder_input   d-c
        labels          1-2

    Measures whether a model relates one position to two others at once (Vaswani et al. 2017, section 3.2.2: several
    heads attend to several positions, where a single one would average them). The query arrives in the decoder, so the
    encoder cannot prepare the answer, and both look-ups start from the same position. Nothing else is hard: no key has
    to be bound to its value, and each value settles its half of the answer. An even average of both places does not
    tell which value is which. A single head has two ways around it: one look-up per layer of the decoder, and an uneven
    average.

    No key occurs twice in an example; values are uniform and independent.

    Args:
        keys: Size of the alphabet of keys; each ordered pair of them has its query.
        answers: Size of the alphabet of values; each ordered pair of them is an answer.
    """

    keys: int = 8
    answers: int = 5
    parameters: ClassVar[tuple[str, ...]] = ("pairs",)
    shared_vocabulary: ClassVar[bool] = False

    @property
    def source_vocab_size(self) -> int:
        return FIRST + self.keys * self.answers

    @property
    def target_vocab_size(self) -> int:
        return FIRST + self.keys**2 + self.answers**2

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
        query = self.keys * first + second
        first, second = np.take_along_axis(values, asked, axis=1).T
        answer = self.answers * first + second
        return Drawn(
            source=FIRST + self.answers * keys + values,
            decoder_input=FIRST + query[:, None],
            labels=FIRST + self.keys**2 + answer[:, None],
        )

    def chance(self, point: Point) -> dict[str, float]:
        """Accuracy of guessing, of knowing one value, and of knowing both but not which is which.

        The last is certain where both are the same, and else right half of the time.
        """
        return {
            "guessing": 1 / self.answers**2,
            "one of the values": 1 / self.answers,
            "both values, not which is which": (1 + 1 / self.answers) / 2,
        }
