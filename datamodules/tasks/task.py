"""A long-range task: a family of examples that a seeded generator draws, as hard as a point says."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.batch import SPECIAL_TOKENS

Point = Mapping[str, int]  # how hard an example is, for example {"gap": 64, "symbols": 4}
Split = Literal["train", "val", "test"]
FIRST = len(SPECIAL_TOKENS)  # id of the first token of a task's own alphabet


class Drawn(NamedTuple):
    """Examples of one point as int64 arrays (rows, S), (rows, T), (rows, T), as in `Batch`, padding included."""

    source: NDArray[np.int64]
    decoder_input: NDArray[np.int64]
    labels: NDArray[np.int64]


class Task(ABC):
    """What a task says of itself; a subclass is a dataclass whose fields are its settings.

    Attributes:
        parameters: Names that a point gives a value to.
        shared_vocabulary: Whether source and target tokens have the same ids.
        values: For a regression the number that each target token stands for, so that a squared error can be taken;
            None where tokens are mere symbols.
        tolerance: For a regression the largest error of a right answer.
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
            rng: Seeded by what the examples are for, so that the same call gives the same examples.
            rows: Number of examples.
            point: A value for each of `parameters`.
            split: What for. Only tasks with a lexicon keep part of it back for val and test.

        Raises:
            ValueError: a value of the point is impossible for this task's settings.
        """

    @abstractmethod
    def chance(self, point: Point) -> dict[str, float]:
        """Accuracy on scored positions of strategies that remember nothing or too little, by name."""
