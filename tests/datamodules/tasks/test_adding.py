import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from datamodules.batch import BOS
from datamodules.tasks.adding import Adding
from datamodules.tasks.task import FIRST, Drawn

seeds, lengths, sizes = st.integers(0, 2**32), st.integers(2, 40), st.integers(1, 120)


def draw(task: Adding, length: int, seed: int = 0, rows: int = 5) -> Drawn:
    return task.draw(np.random.default_rng(seed), rows, {"length": length}, "train")


@given(seeds, lengths, sizes)
@settings(deadline=None)
def test_the_answer_stands_for_the_sum_of_the_marked_numbers(seed: int, length: int, levels: int) -> None:
    task = Adding(levels)
    drawn = draw(task, length, seed)
    assert drawn.source.shape == (5, length)
    for source, decoder_input, labels in zip(*(part.tolist() for part in drawn), strict=True):
        numbers = [((token - FIRST) // 2 + 0.5) / levels for token in source]
        marked = [place for place, token in enumerate(source) if (token - FIRST) % 2]
        first, second = marked
        assert first < length // 2 <= second
        assert task.values[labels[0]] == pytest.approx(numbers[first] + numbers[second])
        assert (decoder_input, len(labels)) == ([BOS], 1)


@given(seeds, lengths, sizes)
@settings(deadline=None)
def test_tokens_lie_within_the_vocabularies(seed: int, length: int, levels: int) -> None:
    task = Adding(levels)
    drawn = draw(task, length, seed)
    assert FIRST <= drawn.source.min() <= drawn.source.max() < task.source_vocab_size
    assert FIRST <= drawn.labels.min() <= drawn.labels.max() < task.target_vocab_size
    assert task.values.shape == (task.target_vocab_size,)
    assert {part.dtype for part in drawn} == {np.dtype(np.int64)}


def test_every_class_is_reached_and_special_tokens_stand_for_the_mean() -> None:
    labels = draw(Adding(3), 2, rows=500).labels
    assert set(labels.flatten().tolist()) == set(range(FIRST, Adding(3).target_vocab_size))
    assert Adding(3).values.tolist() == pytest.approx([1, 1, 1, 1, 1 / 3, 2 / 3, 1, 4 / 3, 5 / 3])
    assert not Adding.shared_vocabulary


def test_the_seed_decides_the_examples() -> None:
    first, again, other = (draw(Adding(), 12, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.source, other.source)
    assert not np.array_equal(first.labels, other.labels)


def test_numbers_and_markers_are_uniform_and_markers_say_nothing_of_the_number() -> None:
    tokens = draw(Adding(10), 7, rows=9000).source - FIRST
    for marked in (0, 1):
        assert chisquare(np.bincount(tokens[tokens % 2 == marked] // 2, minlength=10)).pvalue > 1e-3
    counts = (tokens % 2).sum(axis=0)
    assert chisquare(counts[:3]).pvalue > 1e-3
    assert chisquare(counts[3:]).pvalue > 1e-3


def test_always_answering_the_mean_has_the_known_squared_error() -> None:
    task = Adding()
    sums = task.values[draw(task, 2, rows=1_000_000).labels]
    error = ((sums - 1) ** 2).mean()
    assert error == pytest.approx(0.1667, abs=5e-4)
    assert task.mean_squared_error_of_the_mean() == pytest.approx(error, abs=5e-4)


@pytest.mark.parametrize("levels", [1, 2, 7])
def test_squared_error_of_the_mean_is_exact(levels: int) -> None:
    numbers = (np.arange(levels) + 0.5) / levels
    sums = numbers[:, None] + numbers
    assert Adding(levels).mean_squared_error_of_the_mean() == pytest.approx(sums.var())


def test_chance_is_the_accuracy_of_answering_the_mean() -> None:
    task = Adding(20, tolerance=0.1)
    values = task.values[draw(task, 6, rows=100_000).labels]
    near = float((np.abs(values - 1) < task.tolerance + 1e-9).mean())
    assert task.chance({"length": 6}) == {"answering the mean": pytest.approx(near, abs=0.005)}


def test_a_source_too_short_for_two_markers_is_refused() -> None:
    with pytest.raises(
        ValueError, match="length is 1, but each half of a source holds a marked number: ask for 2 or more"
    ):
        draw(Adding(), 1)
