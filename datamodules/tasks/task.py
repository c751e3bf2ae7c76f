"""A long-range task: random examples of a difficulty given by a point."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.batch import SPECIAL_TOKENS

Point = Mapping[str, int]  # values of a task's parameters, for example {"gap": 64, "symbols": 4}
Split = Literal["train", "val", "test"]
FIRST = len(SPECIAL_TOKENS)  # id of the first token of a task's own alphabet


def at_least(least: int, point: Point, name: str, why: str) -> int:
    """A value of the point; ValueError if it is below `least`."""
    if point[name] < least:
        raise ValueError(f"{name} is {point[name]}, but {why}: ask for {least} or more")
    return point[name]


class Drawn(NamedTuple):
    """Examples of one point as int64 arrays (rows, S), (rows, T), (rows, T), as in `Batch`, padding included."""

    source: NDArray[np.int64]
    decoder_input: NDArray[np.int64]
    labels: NDArray[np.int64]


class Task(ABC):
    """A task; subclasses are dataclasses whose fields are its settings.

    Attributes:
        parameters: Names of the values in a point.
        shared_vocabulary: Whether source and target share their ids.
        values: For a regression the number of each target token; None where tokens are symbols.
        tolerance: For a regression the largest error of a correct answer.
    """

    parameters: ClassVar[tuple[str, ...]]
    shared_vocabulary: ClassVar[bool] = True
    tolerance: float = 0.0

    @property
    @abstractmethod
    def source_vocab_size(self) -> int:
        """Token ids of sources are below this."""

    @property
    def target_vocab_size(self) -> int:
        """Token ids of decoder inputs and labels are below this."""
        return self.source_vocab_size

    @property
    def values(self) -> NDArray[np.float64] | None:
        return None

    @abstractmethod
    def draw(self, rng: np.random.Generator, rows: int, point: Point, split: Split) -> Drawn:
        """Draw examples; all randomness comes from `rng`.

        Args:
            rng: A seeded generator.
            rows: Number of examples.
            point: A value for each of `parameters`.
            split: Tasks with a lexicon reserve part of it for val and test; the others ignore it.

        Raises:
            ValueError: the point is impossible with this task's settings.
        """

    @abstractmethod
    def chance(self, point: Point) -> dict[str, float]:
        """Accuracy on scored positions of strategies without memory or with too little, by name."""
