import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from datamodules.batch import BOS, EOS
from datamodules.tasks.copying import Copy, Reverse
from datamodules.tasks.task import FIRST, Drawn

seeds, lengths, sizes = st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 20)
both = pytest.mark.parametrize("kind", [Copy, Reverse])


def draw(task: Copy, length: int, seed: int = 0, rows: int = 5) -> Drawn:
    return task.draw(np.random.default_rng(seed), rows, {"length": length}, "train")


@given(seeds, lengths, sizes)
@settings(deadline=None)
def test_copy_asks_for_the_source_and_then_its_end(seed: int, length: int, symbols: int) -> None:
    drawn = draw(Copy(symbols), length, seed)
    assert drawn.source.shape == (5, length)
    for source, decoder_input, labels in zip(*(part.tolist() for part in drawn), strict=True):
        assert decoder_input == [BOS, *source]
        assert labels == [*source, EOS]


@given(seeds, lengths, sizes)
@settings(deadline=None)
def test_reverse_asks_for_the_last_token_first(seed: int, length: int, symbols: int) -> None:
    drawn = draw(Reverse(symbols), length, seed)
    for source, decoder_input, labels in zip(*(part.tolist() for part in drawn), strict=True):
        assert labels == [*reversed(source), EOS]
        assert decoder_input == [BOS, *labels[:-1]]


@both
@given(seed=seeds, length=lengths, symbols=sizes)
@settings(deadline=None)
def test_tokens_lie_within_the_vocabularies(kind: type[Copy], seed: int, length: int, symbols: int) -> None:
    task = kind(symbols)
    drawn = draw(task, length, seed)
    assert FIRST <= drawn.source.min() <= drawn.source.max() < task.source_vocab_size == task.target_vocab_size
    assert {part.dtype for part in drawn} == {np.dtype(np.int64)}


@both
def test_the_seed_decides_the_examples(kind: type[Copy]) -> None:
    first, again, other = (draw(kind(), 12, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.source, other.source)


@both
def test_every_symbol_is_equally_likely_at_every_place(kind: type[Copy]) -> None:
    source = draw(kind(16), 4, rows=8000).source
    for place in range(4):
        assert chisquare(np.bincount(source[:, place] - FIRST, minlength=16)).pvalue > 1e-3


@both
@pytest.mark.parametrize("length", [1, 3, 10])
def test_chance_is_what_guessing_with_a_known_length_scores(kind: type[Copy], length: int) -> None:
    task = kind(6)
    labels = draw(task, length, rows=40_000).labels
    guesses = np.random.default_rng(9).integers(FIRST, FIRST + 6, labels.shape)
    guesses[:, length] = EOS
    assert task.chance({"length": length}) == {"guessing": pytest.approx((guesses == labels).mean(), abs=0.005)}


@both
def test_an_empty_source_is_refused(kind: type[Copy]) -> None:
    with pytest.raises(ValueError, match="length is 0, but the shortest source has one token: ask for 1 or more"):
        draw(kind(), 0)
