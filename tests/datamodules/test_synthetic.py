from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules import synthetic
from datamodules.batch import IGNORE, Batch
from datamodules.synthetic import Axis, FreshBatches, SyntheticData
from datamodules.tasks.copying import Copy
from datamodules.tasks.recall import Recall


def copying(**changes: Any) -> SyntheticData:
    given: dict[str, Any] = {"task": Copy(5), "train": [{"length": [2, 4, 9]}], "control": {"length": 2}}
    given |= {"test": [Axis("length", [2, 12])], "rows": 3, "validation_examples": 12}
    return SyntheticData(**{**given, **changes})


def recalling(**changes: Any) -> SyntheticData:
    train = [{"gap": [1, 8], "symbols": [2]}, {"gap": [4], "symbols": [1, 3]}]
    test = [Axis("gap", [1, 16], {"symbols": 2}), Axis("symbols", [1, 5], {"gap": 4})]
    given: dict[str, Any] = {"task": Recall(), "train": train, "control": {"gap": 1, "symbols": 2}, "test": test}
    return SyntheticData(**{**given, **changes})


def same(one: Batch, other: Batch) -> bool:
    return one.padded == other.padded and all(torch.equal(a, b) for a, b in zip(one[:4], other[:4], strict=True))


def first(batches: FreshBatches, count: int) -> list[Batch]:
    return list(islice(iter(batches), count))


@given(st.integers(0, 10**6), st.integers(0, 10**6))
@settings(max_examples=30)
def test_a_training_batch_follows_from_seed_and_number_alone(seed: int, number: int) -> None:
    data = copying(seed=seed)
    batch = data.training_batch(number)
    assert same(batch, copying(seed=seed).training_batch(number))
    assert not same(batch, copying(seed=seed + 1).training_batch(number))
    assert not same(batch, data.training_batch(number + 1))
    assert batch.ids.tolist() == [number * 3, number * 3 + 1, number * 3 + 2]


def test_few_training_examples_repeat_in_another_order_each_time_with_as_many_of_each_point() -> None:
    data = copying(training_examples=18)
    batches = [data.training_batch(number) for number in range(60)]
    first = {int(batch.ids[0]): batch for batch in batches[:6]}
    assert sorted(first) == [0, 3, 6, 9, 12, 15]
    assert sorted(batch.source.shape[1] for batch in first.values()) == [2, 2, 4, 4, 9, 9]
    assert all(same(batch, first[int(batch.ids[0])]) for batch in batches)
    orders = [tuple(int(batch.ids[0]) for batch in batches[epoch : epoch + 6]) for epoch in range(0, 60, 6)]
    assert {frozenset(order) for order in orders} == {frozenset(first)}
    assert len(set(orders)) > 5
    other = copying(training_examples=18, seed=1)
    assert not same(other.training_batch(0), data.training_batch(0))


@pytest.mark.parametrize("changes", [{"training_examples": 12}, {"training_examples": 18, "curriculum_steps": 4}])
def test_few_training_examples_are_whole_batches_without_a_curriculum(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"training_examples is 1\d; it must be a multiple of 9"):
        copying(**changes)


def test_an_axis_does_not_set_what_it_varies() -> None:
    with pytest.raises(ValueError, match=r"data\.test varies gap and sets it to 4"):
        Axis("gap", [1, 2], {"gap": 4})


def test_grids_are_put_one_after_another() -> None:
    points = [(point["gap"], point["symbols"]) for point in recalling().points]
    assert points == [(1, 2), (8, 2), (4, 1), (4, 3)]


def test_a_curriculum_starts_with_the_first_combination_and_ends_with_all_alike() -> None:
    lengths = [batch.source.shape[1] for batch in first(copying(curriculum_steps=300).train_dataloader(), 900)]
    assert set(lengths[:100]) == {2}
    assert set(lengths[100:200]) == {2, 4}
    assert set(lengths[200:300]) == {2, 4, 9}
    assert np.bincount(lengths[300:])[[2, 4, 9]].min() > 150  # 200 expected, deviation 11.5


def test_validation_and_test_examples_do_not_depend_on_the_seed() -> None:
    for split in ("val", "test"):
        one, other = (copying(seed=seed).examples(split, {"length": 9}, 40) for seed in (0, 1))
        assert same(one, other)
        assert one.ids.tolist() == list(range(40))


def test_splits_and_points_share_no_examples() -> None:
    """With 5^9 sources two draws of 40 are disjoint unless they come from one state."""
    data = copying()
    point = {"length": 9}
    draws = [data.examples(split, point, 40).source for split in ("val", "test")]
    draws += [batch.source for batch in first(data.train_dataloader(), 60) if batch.source.shape[1] == 9]
    sources = [tuple(row.tolist()) for draw in draws for row in draw]
    assert len(set(sources)) == len(sources)
    longer = data.examples("test", {"length": 12}, 40).source
    assert not torch.equal(longer[0, :9], draws[1][0])  # as it would be from one state


def test_the_order_of_a_points_parameters_does_not_matter() -> None:
    data = recalling()
    assert same(data.examples("test", {"gap": 4, "symbols": 2}, 5), data.examples("test", {"symbols": 2, "gap": 4}, 5))


@pytest.mark.parametrize("world", [1, 2, 4])
def test_devices_share_the_batches(world: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Validation has every trained combination once; a device without any scores nothing."""
    alone = first(copying().train_dataloader(), 6 * world)
    dealt: list[list[Batch]] = []
    validation: list[Batch] = []
    for rank in range(world):
        monkeypatch.setattr(synthetic, "rank_and_world", lambda rank=rank: (rank, world))
        dealt.append(first(copying().train_dataloader(), 6))
        validation += copying().val_dataloader()
    interleaved = [batch for batches in zip(*dealt, strict=True) for batch in batches]
    assert all(same(a, b) for a, b in zip(interleaved, alone, strict=True))
    scored = [tuple(batch.source.shape) for batch in validation if (batch.labels != IGNORE).any()]
    assert sorted(scored) == [(4, 2), (4, 4), (4, 9)]
    assert [len(batch.ids) for batch in validation] == [4] * max(3, world)


@given(st.integers(0, 20), st.integers(1, 5))
@settings(max_examples=30)
def test_a_loader_resumes_where_its_checkpoint_was_taken(taken: int, more: int) -> None:
    whole, parts = copying().train_dataloader(), copying().train_dataloader()
    batches: Iterator[Batch] = iter(whole)
    expected = list(islice(batches, taken + more))[taken:]
    first(parts, taken)
    resumed = copying().train_dataloader()
    resumed.load_state_dict(parts.state_dict() if taken else {"taken": 0})
    assert all(same(a, b) for a, b in zip(first(resumed, more), expected, strict=True))
    assert resumed.state_dict() == {"taken": taken + more}


def test_points_within_and_beyond_the_trained_ones_are_distinguished() -> None:
    data = recalling()
    assert data.in_distribution({"gap": 5, "symbols": 2})
    assert not data.in_distribution({"gap": 9, "symbols": 2})
    assert not data.in_distribution({"gap": 4, "symbols": 4})
    assert not data.in_distribution({"gap": 0, "symbols": 2})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"train": [{"gap": [1]}]}, r"data.train\[0\] gives gap, but Recall needs a value for each of gap, symbols"),
        ({"control": {"gap": 1, "symbols": 2, "length": 3}}, "data.control gives gap, length, symbols, but Recall"),
        ({"test": [Axis("gap", [1])]}, r"data.test\[0\] gives gap, but Recall"),
        ({"control": {}}, "data.control gives nothing, but Recall"),
        ({"train": []}, "data.train is empty"),
        ({"train": [{"gap": [], "symbols": [2]}]}, r"data.train\[0\].gap is empty"),
        ({"test": [Axis("gap", [], {"symbols": 2})]}, r"data.test\[0\].values is empty"),
        ({"test": []}, "data.test is empty"),
        ({"rows": 0}, "data.rows, validation_examples and test_examples must be at least 1"),
        ({"training_examples": -64}, "training_examples, curriculum_steps and seed at least 0"),
        ({"curriculum_steps": -5}, "training_examples, curriculum_steps and seed at least 0"),
        ({"seed": -1}, "training_examples, curriculum_steps and seed at least 0"),
        ({"task": Recall(alphabet=0)}, r"data\.task\.init_args\.alphabet is 0; it must be at least 1"),
        ({"test": [Axis("symbols", [1, 0], {"gap": 4})]}, r"data\.test\[0\]: symbols is 0"),
        ({"control": {"gap": 9, "symbols": 2}}, r"data\.control is .*, outside of training"),
    ],
)
def test_a_setting_that_does_not_fit_the_task_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        recalling(**changes)
