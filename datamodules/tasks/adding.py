"""Adding: find the two marked numbers and add them up."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from datamodules.batch import BOS
from datamodules.tasks.task import FIRST, Drawn, Point, Split, Task


@dataclass
class Adding(Task):
    """Add the two marked numbers (Hochreiter & Schmidhuber 1997, section 5.4, in the form of Arjovsky et al. 2016:
    numbers uniform in [0, 1], one marker in each half of the source).

    The networks read tokens, therefore numbers are rounded to the middles of `levels` equal steps; a source token
    stands for a number and whether it is marked (*), a target token for a sum. With length 6 and 10 levels:

        source          .35  .95* .05  .65  .15* .45
        decoder_input   <s>
        labels          1.10

    Tells whether a model can combine two facts that lie far apart, each worthless alone. In an odd length the second
    half is the longer one. An answer, the mean of the distribution over sums, is right within `tolerance` of the sum,
    as in 1997.

    Args:
        levels: Number of different numbers.
        tolerance: Largest error of a right answer.
    """

    levels: int = 100
    tolerance: float = 0.04
    parameters: ClassVar[tuple[str, ...]] = ("length",)
    shared_vocabulary: ClassVar[bool] = False

    @property
    def source_vocab_size(self) -> int:
        return FIRST + 2 * self.levels

    @property
    def target_vocab_size(self) -> int:
        return FIRST + 2 * self.levels - 1

    @property
    def values(self) -> NDArray[np.float64]:
        """The sum that each target token stands for, (target_vocab_size,); special tokens stand for the mean, 1."""
        sums = np.arange(1, 2 * self.levels) / self.levels
        return np.concatenate([np.ones(FIRST), sums])

    def draw(self, rng: np.random.Generator, rows: int, point: Point, split: Split) -> Drawn:
        length = point["length"]
        if length < 2:
            raise ValueError(f"length is {length}, but each half of a source holds a marked number: ask for 2 or more")
        levels = rng.integers(0, self.levels, (rows, length))
        half = length // 2
        marked = np.concatenate([rng.integers(0, half, (rows, 1)), rng.integers(half, length, (rows, 1))], axis=1)
        source = FIRST + 2 * levels
        np.put_along_axis(source, marked, np.take_along_axis(source, marked, axis=1) + 1, axis=1)
        total = np.take_along_axis(levels, marked, axis=1).sum(axis=1, keepdims=True)
        return Drawn(source, decoder_input=np.full((rows, 1), BOS), labels=FIRST + total)

    def chance(self, point: Point) -> dict[str, float]:
        """Accuracy of always answering the mean, 1: the share of sums that near."""
        steps = int(self.tolerance * self.levels + 1e-9)  # sums i and j steps from the mean come levels - |i| ways
        near = sum(self.levels - abs(step) for step in range(-steps, steps + 1))
        return {"answering the mean": near / self.levels**2}

    def mean_squared_error_of_the_mean(self) -> float:
        """Squared error of always answering 1: the variance of the sum, 1/6 but for the rounding to levels."""
        return (1 - 1 / self.levels**2) / 6
