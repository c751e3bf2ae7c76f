"""Associative recall: look up the values of keys."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from datamodules.tasks.task import FIRST, Drawn, Point, Split, Task, at_least


@dataclass
class AssociativeRecall(Task):
    """Give the value that followed each key (multi-query associative recall, Arora et al. 2023, Zoology; here the
    queries are the decoder input, and filler has its own alphabet, disjoint from the keys).

    With 3 pairs from keys a, b, c, d and values 1, 2, 3, 4, a gap of 2 and the filler x, y:

        source          c  2  a  4  d  1  y  x
        decoder_input   a  d  c
        labels          4  1  2

    Measures how many bindings a model can hold and whether it can look one up by content: neither the order of the
    queries nor earlier answers help. No key and no value occurs twice in an example. A model that has learned the
    values but not their keys has an accuracy of 1 / pairs for long, which then often rises suddenly.

    Args:
        keys: Size of the alphabet of keys. The point's `keys` are in use, so that training can start with few, and as
            many values, or all if there are fewer.
        answers: Size of the alphabet of values.
        filler: Number of filler tokens to choose from.
    """

    keys: int = 512
    answers: int = 512
    filler: int = 16
    parameters: ClassVar[tuple[str, ...]] = ("pairs", "gap", "keys")

    @property
    def source_vocab_size(self) -> int:
        return FIRST + self.keys + self.answers + self.filler

    def draw(self, rng: np.random.Generator, rows: int, point: Point, split: Split) -> Drawn:
        self.check(point)
        pairs, gap = point["pairs"], point["gap"]
        first_answer = FIRST + self.keys
        first_filler = first_answer + self.answers
        keys = FIRST + distinct(rng, rows, point["keys"], pairs)
        answers = first_answer + distinct(rng, rows, self.answers_in_use(point), pairs)
        filler = rng.integers(first_filler, self.source_vocab_size, (rows, gap))
        order = distinct(rng, rows, pairs, pairs)
        return Drawn(
            source=np.concatenate([np.stack([keys, answers], axis=2).reshape(rows, 2 * pairs), filler], axis=1),
            decoder_input=np.take_along_axis(keys, order, axis=1),
            labels=np.take_along_axis(answers, order, axis=1),
        )

    def check(self, point: Point) -> None:
        """Raise ValueError if the point is impossible."""
        keys = point["keys"]
        if keys > self.keys:
            raise ValueError(f"keys is {keys}, but the task has {self.keys} keys: ask for {self.keys} or fewer")
        at_least(0, point, "gap", "it is a number of filler tokens")
        pairs = at_least(1, point, "pairs", "at least one value has to be asked for")
        most = min(keys, self.answers_in_use(point))
        if pairs > most:
            raise ValueError(
                f"pairs is {pairs}, but no key and no value comes twice, and {keys} keys and "
                f"{self.answers_in_use(point)} values are in use: ask for {most} pairs or fewer, or for more keys"
            )

    def answers_in_use(self, point: Point) -> int:
        return min(point["keys"], self.answers)

    def chance(self, point: Point) -> dict[str, float]:
        """Accuracy of guessing among all values in use, and among those of the example."""
        return {"guessing": 1 / self.answers_in_use(point), "values without their keys": 1 / point["pairs"]}


def distinct(rng: np.random.Generator, rows: int, size: int, count: int) -> NDArray[np.int64]:
    """Draw (rows, count) numbers below `size`, uniform without repetition in a row."""
    return rng.permuted(np.tile(np.arange(size), (rows, 1)), axis=1)[:, :count]
