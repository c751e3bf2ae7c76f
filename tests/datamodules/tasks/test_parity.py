import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from datamodules.batch import BOS
from datamodules.tasks.parity import Parity
from datamodules.tasks.task import FIRST, Drawn

seeds, lengths = st.integers(0, 2**32), st.integers(1, 60)


def draw(length: int, seed: int = 0, rows: int = 5) -> Drawn:
    return Parity().draw(np.random.default_rng(seed), rows, {"length": length}, "train")


@given(seeds, lengths)
@settings(deadline=None)
def test_the_answer_is_whether_the_ones_are_odd(seed: int, length: int) -> None:
    drawn = draw(length, seed)
    assert drawn.source.shape == (5, length)
    for source, decoder_input, labels in zip(*(part.tolist() for part in drawn), strict=True):
        odd = False
        for token in source:
            odd ^= {FIRST: False, FIRST + 1: True}[token]
        assert labels == [FIRST + odd]
        assert decoder_input == [BOS]


def test_tokens_lie_within_the_vocabularies() -> None:
    drawn = draw(9, rows=50)
    assert set(drawn.source.flatten().tolist()) == set(drawn.labels.flatten().tolist()) == {FIRST, FIRST + 1}
    assert Parity().source_vocab_size == Parity().target_vocab_size == FIRST + 2
    assert {part.dtype for part in drawn} == {np.dtype(np.int64)}


def test_the_seed_decides_the_examples() -> None:
    first, again, other = (draw(30, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.source, other.source)


def test_every_source_is_equally_likely() -> None:
    numbers = (draw(4, rows=8000).source - FIRST) @ (1 << np.arange(4))
    assert chisquare(np.bincount(numbers, minlength=16)).pvalue > 1e-3


@pytest.mark.parametrize("length", [1, 2, 25])
def test_chance_is_what_guessing_scores(length: int) -> None:
    labels = draw(length, rows=20_000).labels
    guesses = np.random.default_rng(9).integers(FIRST, FIRST + 2, labels.shape)
    assert Parity().chance({"length": length}) == {"guessing": pytest.approx((guesses == labels).mean(), abs=0.012)}


def test_an_empty_source_is_refused() -> None:
    with pytest.raises(ValueError, match="length is 0, but the shortest source has one bit: ask for 1 or more"):
        draw(0)
