"""Long-range tasks as a LightningDataModule: training batches drawn on demand, fixed examples for evaluation."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

import lightning as L
import numpy as np
import torch
from torch.utils.data import DataLoader

from datamodules.batch import PAD, Batch, unscored
from datamodules.sampler import dealt, rank_and_world
from datamodules.tasks.task import Point, Split, Task


@dataclass
class Axis:
    """One parameter varied in evaluation with the others fixed.

    Args:
        vary: Name of the parameter.
        values: Its values, within and beyond the trained ones.
        at: Values of the task's other parameters.

    Raises:
        ValueError: `at` has a value for what is varied.
    """

    vary: str
    values: list[int]
    at: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.vary in self.at:
            raise ValueError(f"data.test varies {self.vary} and sets it to {self.at[self.vary]}: leave it out of at.")

    @property
    def name(self) -> str:
        """For example `gap, symbols 4`."""
        return ", ".join([self.vary, *(f"{name} {value}" for name, value in self.at.items())])

    def points(self) -> dict[int, Point]:
        return {value: {self.vary: value, **self.at} for value in self.values}


class SyntheticData(L.LightningDataModule):
    """Examples of a task, drawn on demand: nothing is stored, and training examples repeat only where they are few.

    Args:
        task: The task.
        train: Grids of parameter values, easiest first; each batch has one combination, drawn at random.
        control: An easy point: a model that has not mastered it is under-trained and is not judged.
        test: Axes of the evaluation.
        rows: Examples in a training batch on one device.
        training_examples: Those of training, which repeat in another order each time; 0 for new ones at every step.
        curriculum_steps: Batches until all combinations of `train` are in use, starting with the first; within a grid
            the last name varies fastest.
        validation_examples: Validation examples, spread evenly over the combinations of `train`.
        test_examples: Examples for each value of each axis, and for the control.
        seed: Seed of the training batches; evaluation examples do not depend on it.

    Raises:
        ValueError: a list is empty, or a number too small; a setting has a parameter unknown to the task, lacks one, or
            is impossible with the task's settings; the control is outside of training; examples are not whole batches,
            or too few for a curriculum.
    """

    def __init__(
        self,
        task: Task,
        train: list[dict[str, list[int]]],
        control: dict[str, int],
        test: list[Axis],
        rows: int = 64,
        training_examples: int = 0,
        curriculum_steps: int = 0,
        validation_examples: int = 512,
        test_examples: int = 500,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.task, self.control, self.test = task, control, test
        values = {f"data.train[{i}].{name}": found for i, grid in enumerate(train) for name, found in grid.items()}
        values |= {f"data.test[{i}].values": axis.values for i, axis in enumerate(test)}
        for key, found in {"data.train": train, "data.test": test, **values}.items():
            if not found:
                raise ValueError(f"{key} is empty; it needs at least one entry.")
        if min(rows, validation_examples, test_examples) < 1 or min(training_examples, curriculum_steps, seed) < 0:
            raise ValueError(
                "data.rows, validation_examples and test_examples must be at least 1, training_examples, "
                "curriculum_steps and seed at least 0."
            )
        for name, value in vars(task).items():
            if isinstance(value, int) and not isinstance(value, bool) and value < 1:
                raise ValueError(f"data.task.init_args.{name} is {value}; it must be at least 1.")
        self.rows, self.training_examples, self.curriculum_steps = rows, training_examples, curriculum_steps
        self.validation_examples, self.test_examples, self.seed = validation_examples, test_examples, seed
        self.points: list[Point] = [
            dict(zip(grid, values, strict=True)) for grid in train for values in product(*grid.values())
        ]
        if training_examples % (rows * len(self.points)) or (training_examples and curriculum_steps):
            raise ValueError(
                f"data.training_examples is {training_examples}; it must be a multiple of {rows * len(self.points)}, "
                "which is data.rows for each combination of data.train, and curriculum_steps 0."
            )
        self._check_names(train)
        self._check_points()
        self.source_vocab_size, self.target_vocab_size = task.source_vocab_size, task.target_vocab_size
        self.shared_vocabulary = task.shared_vocabulary  # whether source and target share their ids

    def _check_names(self, train: list[dict[str, list[int]]]) -> None:
        wanted = set(self.task.parameters)
        given = {f"data.train[{i}]": set(grid) for i, grid in enumerate(train)}
        given["data.control"] = set(self.control)
        given |= {f"data.test[{i}]": {axis.vary, *axis.at} for i, axis in enumerate(self.test)}
        for key, names in given.items():
            if names != wanted:
                raise ValueError(
                    f"{key} gives {', '.join(sorted(names)) or 'nothing'}, but {type(self.task).__name__} needs a "
                    f"value for each of {', '.join(sorted(wanted))} and for nothing else."
                )

    def _check_points(self) -> None:
        """Before anything is trained; no rows are drawn."""
        tested = [(f"data.test[{i}]", point) for i, axis in enumerate(self.test) for point in axis.points().values()]
        asked = [("data.control", self.control), *(("data.train", point) for point in self.points), *tested]
        for key, point in asked:
            try:
                self.task.draw(np.random.default_rng(0), 0, point, "test")
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from None
        if not self.in_distribution(self.control):
            raise ValueError(f"data.control is {self.control}, outside of training: take an easy point of data.train.")

    def in_distribution(self, point: Point) -> bool:
        """Whether every parameter is within its trained range."""
        trained = {name: [known[name] for known in self.points] for name in point}
        return all(min(trained[name]) <= value <= max(trained[name]) for name, value in point.items())

    def training_batch(self, index: int) -> Batch:
        """Training batch number `index`, a function of task, seed and index only."""
        if self.training_examples:
            epoch, place = divmod(index, self.training_examples // self.rows)
            order = self._generator("order", self.seed, epoch).permutation(self.training_examples // self.rows)
            number = int(order[place])
            point = self.points[number % len(self.points)]  # as many of each combination as of any other
            return self._draw(
                self._generator("train", self.seed, number), self.rows, point, "train", number * self.rows
            )
        rng = self._generator("train", self.seed, index)
        known = len(self.points)
        if index < self.curriculum_steps:
            known = 1 + index * len(self.points) // self.curriculum_steps
        point = self.points[rng.integers(known)]
        return self._draw(rng, self.rows, point, "train", index * self.rows)

    def examples(self, split: Split, point: Point, count: int) -> Batch:
        """Fixed examples of a point, ids 0 .. count - 1; other ones for another count."""
        names = ",".join(f"{name}={point[name]}" for name in sorted(point))
        return self._draw(self._generator(split, zlib.crc32(names.encode())), count, point, split, 0)

    def _generator(self, use: Split | Literal["order"], *numbers: int) -> np.random.Generator:
        return np.random.default_rng([zlib.crc32(f"{type(self.task).__name__} {use}".encode()), *numbers])

    def _draw(self, rng: np.random.Generator, rows: int, point: Point, split: Split, first_id: int) -> Batch:
        drawn = self.task.draw(rng, rows, point, split)
        source, decoder_input, labels = (torch.from_numpy(array) for array in drawn)
        padded = bool((drawn.source == PAD).any())
        return Batch(source, decoder_input, labels, torch.arange(first_id, first_id + rows), padded)

    def train_dataloader(self) -> "FreshBatches":
        return FreshBatches(self.training_batch)

    def val_dataloader(self) -> DataLoader[Batch]:
        """One batch for each trained point, shared among the devices."""
        rank, world = rank_and_world()
        count = max(1, self.validation_examples // len(self.points))
        batches = [self.examples("val", point, count) for point in dealt(self.points, rank, world)]
        if rank >= len(self.points):
            batches = [unscored(batch) for batch in batches]
        return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]


class FreshBatches:
    """Endless training batches; Lightning's checkpoints hold the number taken."""

    def __init__(self, draw: Callable[[int], Batch]) -> None:
        self.draw = draw
        self.taken = 0
        self._first = 0

    def __len__(self) -> int:
        return 2**40

    def __iter__(self) -> Iterator[Batch]:
        rank, world = rank_and_world()
        self.taken, self._first = self._first, 0
        pinned = torch.cuda.is_available()  # a copy from other memory may wait for the GPU
        while True:
            self.taken += 1
            batch = self.draw((self.taken - 1) * world + rank)
            yield batch.of(torch.Tensor.pin_memory) if pinned else batch

    def state_dict(self) -> dict[str, int]:
        return {"taken": self.taken}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self._first = state_dict["taken"]
