"""Batches of a fixed token budget, the same plan on every device."""

from collections.abc import Iterator

import numpy as np
import torch.distributed as dist
from torch.utils.data import Sampler

NOISE = 2.0  # tokens by which a length difference is misjudged when sorting: costs 2 % padding, mixes the batches


class TokenBucketBatchSampler(Sampler[list[int]]):
    """Batches of examples of like length that cost at most `max_tokens`, every example exactly once an epoch.

    A batch costs rows x longest row, in tokens, where a row is as long as the longer of its source and its target.
    All ranks of torch.distributed make one plan from (seed, epoch) and take turns: each gets the same number of
    batches, and the batches of one turn are neighbours in length, so no rank waits long for another. Nothing is
    dropped or repeated to that end: batches are halved until their number is a multiple of the number of ranks.

    Args:
        lengths: (N, 2) source and target lengths in tokens.
        max_tokens: Budget of one batch on one device, padding included.
        seed: Makes another order of the same examples.
        shuffle: New batches in a new order every epoch; otherwise always the same, shortest first.

    Raises:
        ValueError: an example is longer than the budget; when iterated, too few examples for the ranks.
    """

    def __init__(self, lengths: np.ndarray, max_tokens: int, seed: int = 0, shuffle: bool = True) -> None:
        longest = lengths.max(axis=1)
        if longest.max() > max_tokens:
            raise ValueError(
                f"data.max_tokens is {max_tokens} but example {longest.argmax()} alone has {longest.max()} tokens: "
                "raise data.max_tokens or lower data.max_length."
            )
        self.lengths, self.max_tokens, self.seed, self.shuffle = lengths, max_tokens, seed, shuffle
        self.epoch = 0
        self.sampler = self  # Lightning calls set_epoch only on `dataloader.batch_sampler.sampler`
        self._planned: tuple[int, int] | None = None
        self._batches: list[list[int]] = []

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next pass."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        rank, world = rank_and_world()
        return iter(self.plan(world)[rank::world])

    def __len__(self) -> int:
        _, world = rank_and_world()
        return len(self.plan(world)) // world

    def plan(self, world: int) -> list[list[int]]:
        """The batches of the current epoch for all `world` ranks; rank r takes every world-th from the r-th on."""
        if self._planned != (self.epoch, world):
            self._batches, self._planned = self._make_plan(world), (self.epoch, world)
        return self._batches

    def _make_plan(self, world: int) -> list[list[int]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        # Equal longest side first, then equal difference of the sides, fills both sides of a batch. The noise spares
        # the longest side, so every epoch has the same number of batches.
        difference = (self.lengths[:, 0] - self.lengths[:, 1]).astype(float)
        if self.shuffle:
            difference += rng.uniform(-NOISE, NOISE, len(difference))
        batches = self._fill(np.lexsort((difference, self.lengths.max(axis=1))))
        split_to_multiple(batches, world)
        if not self.shuffle:
            return batches
        turns = rng.permutation(np.arange(len(batches)).reshape(-1, world))
        return [batches[index] for turn in turns for index in rng.permutation(turn)]

    def _fill(self, order: np.ndarray) -> list[list[int]]:
        longest = self.lengths.max(axis=1)[order].tolist()  # ascending: the last row of a batch is its widest
        batches: list[list[int]] = [[]]
        for example, length in zip(order.tolist(), longest, strict=True):
            if (len(batches[-1]) + 1) * length > self.max_tokens:
                batches.append([])
            batches[-1].append(example)
        return batches


def split_to_multiple(batches: list[list[int]], multiple: int) -> None:
    """Halve the batches of most examples, in place, until their number is a multiple of `multiple`.

    Raises:
        ValueError: batches of one example each are left, which cannot be halved.
    """
    while len(batches) % multiple:
        index = max(range(len(batches)), key=lambda i: len(batches[i]))
        batch = batches[index]
        if len(batch) == 1:
            raise ValueError(
                f"{len(batches)} examples in batches of one cannot be dealt equally to {multiple} devices: raise "
                "data.max_tokens or lower trainer.devices."
            )
        batches[index : index + 1] = [batch[: len(batch) // 2], batch[len(batch) // 2 :]]


def rank_and_world() -> tuple[int, int]:
    """This process's rank and the number of processes; (0, 1) where nothing is distributed."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1
