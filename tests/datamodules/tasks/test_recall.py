import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from datamodules.batch import BOS
from datamodules.tasks.recall import Recall
from datamodules.tasks.task import FIRST, Drawn

tasks = st.builds(Recall, alphabet=st.integers(1, 12), filler=st.integers(1, 12), anywhere=st.booleans())
seeds, gaps, counts = st.integers(0, 2**32), st.integers(0, 40), st.integers(1, 6)


def draw(task: Recall, gap: int, symbols: int, seed: int = 0, rows: int = 5) -> Drawn:
    return task.draw(np.random.default_rng(seed), rows, {"gap": gap, "symbols": symbols}, "train")


def places(task: Recall, source: list[int]) -> list[int]:
    """Where symbols stand, told by their ids alone."""
    return [place for place, token in enumerate(source) if token < FIRST + task.alphabet]


@given(tasks, seeds, gaps, counts)
@settings(deadline=None)
def test_what_is_not_filler_is_the_answer(task: Recall, seed: int, gap: int, symbols: int) -> None:
    drawn = draw(task, gap, symbols, seed)
    for source, decoder_input, labels in zip(*(part.tolist() for part in drawn), strict=True):
        found = places(task, source)
        assert [source[place] for place in found] == labels
        assert decoder_input == [BOS, *labels[:-1]]
        assert found == list(range(found[0], found[0] + symbols))
        assert len(source) - symbols == gap
        assert task.anywhere or found[0] == 0


@given(tasks, seeds, gaps, counts)
@settings(deadline=None)
def test_tokens_lie_within_the_vocabularies(task: Recall, seed: int, gap: int, symbols: int) -> None:
    drawn = draw(task, gap, symbols, seed)
    assert FIRST <= drawn.source.min() <= drawn.source.max() < task.source_vocab_size
    assert drawn.labels.max() < task.target_vocab_size
    assert {part.dtype for part in drawn} == {np.dtype(np.int64)}


@pytest.mark.parametrize("anywhere", [False, True])
def test_the_seed_decides_the_examples(anywhere: bool) -> None:
    first, again, other = (draw(Recall(anywhere=anywhere), 9, 4, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.source, other.source)
    assert not np.array_equal(first.labels, other.labels)


def test_symbols_and_filler_are_uniform() -> None:
    drawn = draw(Recall(8, 5), gap=3, symbols=3, rows=8000)
    for place in range(3):
        assert chisquare(np.bincount(drawn.labels[:, place] - FIRST, minlength=8)).pvalue > 1e-3
        assert chisquare(np.bincount(drawn.source[:, 3 + place] - FIRST - 8, minlength=5)).pvalue > 1e-3


def test_symbols_anywhere_start_at_every_place_alike() -> None:
    task = Recall(anywhere=True)
    starts = [places(task, source)[0] for source in draw(task, gap=9, symbols=2, rows=8000).source.tolist()]
    counts_by_place = np.bincount(starts)
    assert len(counts_by_place) == 10
    assert chisquare(counts_by_place).pvalue > 1e-3


def test_chance_is_what_guessing_scores() -> None:
    labels = draw(Recall(5), gap=4, symbols=4, rows=20_000).labels
    guesses = np.random.default_rng(9).integers(FIRST, FIRST + 5, labels.shape)
    assert Recall(5).chance({"gap": 4, "symbols": 4}) == {
        "guessing": pytest.approx((guesses == labels).mean(), abs=0.005)
    }


@pytest.mark.parametrize(
    ("gap", "symbols", "message"),
    [
        (-1, 4, "gap is -1, but it is a number of filler tokens: ask for 0 or more"),
        (8, 0, "symbols is 0, but at least one symbol has to be recalled: ask for 1 or more"),
    ],
)
def test_impossible_points_are_refused(gap: int, symbols: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw(Recall(), gap, symbols)
