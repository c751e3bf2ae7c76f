"""Adding: the sum of the two marked numbers."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from datamodules.batch import BOS
from datamodules.tasks.task import FIRST, Drawn, Point, Split, Task, at_least


@dataclass
class Adding(Task):
    """Add the two marked numbers (Hochreiter & Schmidhuber 1997, section 5.4, in the form of Arjovsky et al. 2016:
    numbers uniform in [0, 1], one marker in each half of the source).

    Numbers are tokens: they are rounded to the centres of `levels` equal intervals. A source token is a number with or
    without a marker (*), a target token a sum. With length 6 and 10 levels:

        source          .35  .95* .05  .65  .15* .45
        decoder_input   <s>
        labels          1.10

    Measures whether a model combines two distant facts, each useless alone. With an odd length the second half is the
    longer one. The answer is the mean of the distribution over sums, correct within `tolerance`, as in 1997.

    Args:
        levels: Number of different numbers.
        tolerance: Largest error of a correct answer.
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
        """The sum of each target token, (target_vocab_size,); for special tokens the mean, 1."""
        sums = np.arange(1, 2 * self.levels) / self.levels
        return np.concatenate([np.ones(FIRST), sums])

    def draw(self, rng: np.random.Generator, rows: int, point: Point, split: Split) -> Drawn:
        length = at_least(2, point, "length", "each half of a source holds a marked number")
        levels = rng.integers(0, self.levels, (rows, length))
        half = length // 2
        marked = np.concatenate([rng.integers(0, half, (rows, 1)), rng.integers(half, length, (rows, 1))], axis=1)
        source = FIRST + 2 * levels
        np.put_along_axis(source, marked, np.take_along_axis(source, marked, axis=1) + 1, axis=1)
        total = np.take_along_axis(levels, marked, axis=1).sum(axis=1, keepdims=True)
        return Drawn(source, decoder_input=np.full((rows, 1), BOS), labels=FIRST + total)

    def chance(self, point: Point) -> dict[str, float]:
        """Accuracy of always answering the mean, 1: the share of sums within `tolerance` of it."""
        steps = int(self.tolerance * self.levels + 1e-9)  # a sum i steps from the mean has levels - |i| pairs
        near = sum(self.levels - abs(step) for step in range(-steps, steps + 1))
        return {"answering the mean": near / self.levels**2}
