import lightning as L
import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from lightning.pytorch.demos.boring_classes import BoringModel
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules import sampler as module
from datamodules.sampler import TokenBucketBatchSampler

MAX = 40
corpora = st.lists(st.tuples(st.integers(1, MAX), st.integers(1, MAX)), min_size=1, max_size=120).map(np.array)


def batches_of_ranks(sampler: TokenBucketBatchSampler, world: int) -> list[list[list[int]]]:
    ranks = []
    for rank in range(world):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "rank_and_world", lambda rank=rank: (rank, world))
            ranks.append(list(sampler))
            assert len(sampler) == len(ranks[-1])
    return ranks


def can_be_dealt(sampler: TokenBucketBatchSampler, multiple: int) -> bool:
    examples = len(sampler.lengths)
    return len(sampler.plan(1)) <= examples // multiple * multiple


@given(corpora, st.integers(MAX, 200), st.integers(1, 5), st.integers(1, 3), st.integers(0, 3))
def test_every_example_once_within_the_budget_and_equal_on_all_ranks(
    lengths: np.ndarray, max_tokens: int, world: int, accumulate: int, epoch: int
) -> None:
    sampler = TokenBucketBatchSampler(lengths, max_tokens, seed=1, accumulate=accumulate)
    sampler.set_epoch(epoch)
    assume(can_be_dealt(sampler, world * accumulate))
    ranks = batches_of_ranks(sampler, world)
    assert len({len(batches) for batches in ranks}) == 1
    assert len(ranks[0]) % accumulate == 0  # the last update of an epoch is as large as the others
    every = [batch for batches in ranks for batch in batches]
    assert sorted(example for batch in every for example in batch) == list(range(len(lengths)))
    for batch in every:
        assert len(batch) * lengths[batch].max() <= max_tokens


@given(corpora, st.integers(1, 4), st.integers(1, 3), st.integers(0, 3))
def test_an_update_is_the_same_for_any_number_of_devices(
    lengths: np.ndarray, world: int, accumulate: int, epoch: int
) -> None:
    alone = TokenBucketBatchSampler(lengths, 80, seed=1, accumulate=world * accumulate)
    shared = TokenBucketBatchSampler(lengths, 80, seed=1, accumulate=accumulate)
    for sampler in (alone, shared):
        sampler.set_epoch(epoch)
    assume(can_be_dealt(alone, world * accumulate))
    interleaved = [batch for batches in zip(*batches_of_ranks(shared, world), strict=True) for batch in batches]
    assert interleaved == list(alone)


@given(corpora, st.integers(MAX, 200), st.integers(1, 8))
def test_evaluation_has_the_batches_of_one_device_on_any_number(
    lengths: np.ndarray, max_tokens: int, world: int
) -> None:
    sampler = TokenBucketBatchSampler(lengths, max_tokens, shuffle=False)
    alone = list(sampler)
    assert sorted(example for batch in alone for example in batch) == list(range(len(lengths)))
    ranks = batches_of_ranks(sampler, world)
    assert [batches or alone[:1] for batches in (alone[rank::world] for rank in range(world))] == ranks


@given(corpora, st.integers(0, 5), st.integers(1, 3))
def test_plan_depends_on_seed_and_epoch_alone(lengths: np.ndarray, epoch: int, world: int) -> None:
    plans = []
    for earlier in (0, 7):
        sampler = TokenBucketBatchSampler(lengths, 80, seed=3)
        for turn in (earlier, epoch):
            sampler.set_epoch(turn)
            assume(can_be_dealt(sampler, world))
            plan = sampler.plan(world)
        plans.append(plan)
    assert plans[0] == plans[1]


@pytest.fixture
def lengths() -> np.ndarray:
    source = np.random.default_rng(0).integers(5, 30, 2000)
    return np.stack([source, source + np.random.default_rng(1).integers(-3, 4, 2000)], axis=1)


def test_epochs_and_seeds_differ_in_batches_and_in_order_but_not_in_number(lengths: np.ndarray) -> None:
    sampler = TokenBucketBatchSampler(lengths, 500, seed=0)
    first = list(sampler)
    sampler.set_epoch(1)
    second = list(sampler)
    other = list(TokenBucketBatchSampler(lengths, 500, seed=1))
    assert len(first) == len(second) == len(other)
    for changed in (second, other):
        assert first != changed
        same = {frozenset(b) for b in first} & {frozenset(b) for b in changed}
        assert len(same) < len(first) / 10


def test_evaluation_order_is_fixed_and_ascending(lengths: np.ndarray) -> None:
    sampler = TokenBucketBatchSampler(lengths, 500, shuffle=False)
    longest = [lengths[batch].max() for batch in sampler]
    assert longest == sorted(longest)
    first = list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) == first


def test_little_is_padding_and_the_batches_of_an_update_have_similar_lengths(lengths: np.ndarray) -> None:
    batches = list(TokenBucketBatchSampler(lengths, 500))
    padded = sum(len(batch) * lengths[batch].max(axis=0) for batch in batches)
    assert (lengths.sum(axis=0) / padded > 0.9).all()
    assert len(batches) < 1.1 * lengths.max(axis=1).sum() / 500
    for update in zip(*batches_of_ranks(TokenBucketBatchSampler(lengths, 500), 4), strict=True):
        longest = [lengths[batch].max() for batch in update]
        assert max(longest) - min(longest) <= 3


def test_few_shapes_are_the_same_in_every_epoch_and_cost_little_padding(lengths: np.ndarray) -> None:
    """What is captured for one epoch is replayed in all."""
    sampler, shapes = TokenBucketBatchSampler(lengths, 500, shapes=12), []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
        assert all((lengths[batch] <= sampler.shape(batch)).all() for batch in batches)
        shapes.append({(len(batch), *sampler.shape(batch)) for batch in batches})
    assert shapes[0] == shapes[1]
    assert len(shapes[0]) <= 13  # and one that is not filled
    filled = [rows == 500 // max(source, target) for rows, source, target in shapes[0]]
    assert sum(filled) >= len(filled) - 1
    padded = sum(len(batch) * sum(sampler.shape(batch)) for batch in batches)
    rounded = -(-lengths // 5) * 5  # has as many shapes
    assert len(np.unique(rounded, axis=0)) >= 12
    assert lengths.sum() / padded > max(0.88, lengths.sum() / rounded.sum())


@given(corpora, st.integers(MAX, 200), st.integers(1, 9), st.integers(1, 4))
def test_with_few_shapes_too_every_example_comes_once_within_the_budget(
    lengths: np.ndarray, max_tokens: int, shapes: int, multiple: int
) -> None:
    sampler = TokenBucketBatchSampler(lengths, max_tokens, accumulate=multiple, shapes=shapes)
    assume(can_be_dealt(sampler, multiple))
    batches = list(sampler)
    assert sorted(example for batch in batches for example in batch) == list(range(len(lengths)))
    for batch in batches:
        assert (lengths[batch] <= sampler.shape(batch)).all()
        assert len(batch) * max(sampler.shape(batch)) <= max_tokens


def test_example_over_the_budget_is_named() -> None:
    with pytest.raises(ValueError, match=r"data\.max_tokens is 64 but example 1 alone has 91 tokens"):
        TokenBucketBatchSampler(np.array([(3, 4), (91, 5)]), 64)


@pytest.mark.parametrize("long", [5, 60])
def test_examples_that_cannot_be_dealt_equally(long: int) -> None:
    sampler = TokenBucketBatchSampler(np.array([(3, long)] * 3), 64)
    with pytest.raises(
        ValueError, match=r"3 examples in batches of one .* updates of 4 batches: raise data\.max_tokens"
    ):
        sampler.plan(4)


def test_lightning_asks_for_a_new_order_each_epoch(lengths: np.ndarray) -> None:
    class Recorder(BoringModel):
        def training_step(self, batch: Tensor) -> Tensor:
            seen[self.current_epoch] += batch.tolist()
            return next(self.parameters()).sum()

    seen: list[list[int]] = [[], []]
    loader = DataLoader(torch.arange(100), batch_sampler=TokenBucketBatchSampler(lengths[:100], 500))
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = L.Trainer(max_epochs=2, accelerator="cpu", use_distributed_sampler=False, limit_val_batches=0, **quiet)
    trainer.fit(Recorder(), loader)
    assert sorted(seen[0]) == sorted(seen[1]) == list(range(100))
    assert seen[0] != seen[1]
