"""Parity: whether the number of ones is odd."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from datamodules.batch import BOS
from datamodules.tasks.task import FIRST, Drawn, Point, Split, Task


@dataclass
class Parity(Task):
    """Sum of bits modulo 2 (Delétang et al. 2023, Neural Networks and the Chomsky Hierarchy).

        source          1    0  1  1  0
        decoder_input   <s>
        labels          1

    Tells whether a model can carry a state past the lengths it was trained on: two states
    suffice, but every bit counts, and all bits but one together say nothing about the answer.
    """

    parameters: ClassVar[tuple[str, ...]] = ("length",)

    @property
    def source_vocab_size(self) -> int:
        return FIRST + 2

    def draw(self, rng: np.random.Generator, rows: int, point: Point, split: Split) -> Drawn:
        length = point["length"]
        if length < 1:
            raise ValueError(f"length is {length}, but the shortest source has one bit: ask for 1 or more")
        bits = rng.integers(0, 2, (rows, length))
        return Drawn(
            source=FIRST + bits,
            decoder_input=np.full((rows, 1), BOS),
            labels=FIRST + bits.sum(axis=1, keepdims=True) % 2,
        )

    def chance(self, point: Point) -> dict[str, float]:
        """Accuracy of guessing either bit."""
        return {"guessing": 1 / 2}
