import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from datamodules.batch import BOS, PAD
from datamodules.tasks.selective_copy import SelectiveCopy
from datamodules.tasks.task import FIRST, Drawn

seeds = st.integers(0, 2**32)
points = st.integers(1, 40).flatmap(lambda length: st.tuples(st.just(length), st.integers(1, length)))


def draw(task: SelectiveCopy, length: int, content: int, seed: int = 0, rows: int = 5) -> Drawn:
    return task.draw(np.random.default_rng(seed), rows, {"length": length, "content": content}, "train")


@given(seeds, points, st.integers(1, 20))
@settings(deadline=None)
def test_the_answer_is_the_source_without_blanks(seed: int, point: tuple[int, int], symbols: int) -> None:
    task = SelectiveCopy(symbols)
    drawn = draw(task, *point, seed)
    assert drawn.source.shape == (5, point[0])
    for source, decoder_input, labels in zip(*(part.tolist() for part in drawn), strict=True):
        assert [token for token in source if token != FIRST + symbols] == labels
        assert len(labels) == point[1]
        assert decoder_input == [BOS, *labels[:-1]]


@given(seeds, points, st.integers(1, 20))
@settings(deadline=None)
def test_tokens_lie_within_the_vocabularies(seed: int, point: tuple[int, int], symbols: int) -> None:
    task = SelectiveCopy(symbols)
    drawn = draw(task, *point, seed)
    assert FIRST <= drawn.labels.min() <= drawn.labels.max() < task.blank < task.source_vocab_size
    assert FIRST <= drawn.source.min() <= drawn.source.max() < task.source_vocab_size == task.target_vocab_size
    assert PAD not in drawn.source
    assert {part.dtype for part in drawn} == {np.dtype(np.int64)}


def test_the_seed_decides_the_examples() -> None:
    first, again, other = (draw(SelectiveCopy(), 20, 6, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.source, other.source)


def test_every_set_of_places_is_equally_likely() -> None:
    task = SelectiveCopy()
    content = draw(task, length=6, content=3, rows=20_000).source != task.blank
    counts = np.bincount(content @ (1 << np.arange(6)))
    assert chisquare(counts[counts > 0]).pvalue > 1e-3
    assert (counts > 0).sum() == 20
    assert content[:, -1].mean() == pytest.approx(0.5, abs=0.02)  # the last symbol does not always end the source


def test_symbols_are_uniform() -> None:
    labels = draw(SelectiveCopy(7), length=9, content=3, rows=8000).labels
    for place in range(3):
        assert chisquare(np.bincount(labels[:, place] - FIRST, minlength=7)).pvalue > 1e-3


def test_chance_is_what_guessing_scores() -> None:
    task = SelectiveCopy(5)
    labels = draw(task, length=9, content=4, rows=20_000).labels
    guesses = np.random.default_rng(9).integers(FIRST, FIRST + 5, labels.shape)
    score = (guesses == labels).mean()
    assert task.chance({"length": 9, "content": 4}) == {"guessing": pytest.approx(score, abs=0.005)}


@pytest.mark.parametrize(("length", "content"), [(8, 9), (8, 0), (0, 0)])
def test_impossible_points_are_refused(length: int, content: int) -> None:
    message = f"content is {content}, but it is how many of the {length} tokens are not blank: ask for at least 1"
    with pytest.raises(ValueError, match=message):
        draw(SelectiveCopy(), length, content)
