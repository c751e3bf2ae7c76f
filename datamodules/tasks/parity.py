"""Parity: whether the number of ones is odd."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from datamodules.batch import BOS
from datamodules.tasks.task import FIRST, Drawn, Point, Split, Task, at_least


@dataclass
class Parity(Task):
    """Sum of bits modulo 2 (Delétang et al. 2023, Neural Networks and the Chomsky Hierarchy).

        source          1    0  1  1  0
        decoder_input   <s>
        labels          1

    Measures whether a model maintains a state beyond its trained lengths: two states suffice, but every bit counts, and
    all bits but one give no information about the answer.
    """

    parameters: ClassVar[tuple[str, ...]] = ("length",)

    @property
    def source_vocab_size(self) -> int:
        return FIRST + 2

    def draw(self, rng: np.random.Generator, rows: int, point: Point, split: Split) -> Drawn:
        length = at_least(1, point, "length", "the shortest source has one bit")
        bits = rng.integers(0, 2, (rows, length))
        return Drawn(
            source=FIRST + bits,
            decoder_input=np.full((rows, 1), BOS),
            labels=FIRST + bits.sum(axis=1, keepdims=True) % 2,
        )

    def chance(self, point: Point) -> dict[str, float]:
        """Accuracy of guessing a bit."""
        return {"guessing": 1 / 2}
