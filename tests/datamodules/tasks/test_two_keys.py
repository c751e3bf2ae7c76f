import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from datamodules.tasks.task import FIRST, Drawn
from datamodules.tasks.two_keys import TwoKeys

TASK = TwoKeys(keys=6, answers=5)


def draw(pairs: int, rows: int = 5, seed: int = 0) -> Drawn:
    return TASK.draw(np.random.default_rng(seed), rows, {"pairs": pairs}, "train")


@given(st.integers(2, 6), st.integers(0, 2**32))
def test_the_answer_is_the_value_of_the_first_key_minus_that_of_the_second(pairs: int, seed: int) -> None:
    drawn = draw(pairs, seed=seed)
    assert TASK.source_vocab_size == FIRST + 11
    assert TASK.target_vocab_size == FIRST + 41
    for source, query, label in zip(drawn.source, drawn.decoder_input[:, 0], drawn.labels[:, 0], strict=True):
        value_of = dict(zip((source[::2] - FIRST).tolist(), (source[1::2] - FIRST - 6).tolist(), strict=True))
        assert len(value_of) == pairs
        assert set(value_of) <= set(range(6))
        assert set(value_of.values()) <= set(range(5))
        first, second = divmod(int(query) - FIRST, 6)
        assert first != second
        assert label - FIRST - 36 == (value_of[first] - value_of[second]) % 5


def test_every_ordered_pair_of_keys_and_every_answer_comes_as_often_and_one_value_says_nothing() -> None:
    drawn = draw(3, rows=20_000)
    counts = np.bincount(drawn.decoder_input[:, 0] - FIRST, minlength=36)
    assert (counts == 0).sum() == 6
    assert chisquare(counts[counts > 0]).pvalue > 1e-3
    first = FIRST + (drawn.decoder_input[:, 0] - FIRST) // 6
    place = (drawn.source[:, ::2] == first[:, None]).argmax(axis=1)
    value = np.take_along_axis(drawn.source[:, 1::2], place[:, None], axis=1)[:, 0] - FIRST - 6
    assert chisquare(np.bincount(5 * value + drawn.labels[:, 0] - FIRST - 36, minlength=25)).pvalue > 1e-3
    assert set(place.tolist()) == {0, 1, 2}


@pytest.mark.parametrize("pairs", [1, 7])
def test_impossible_points_are_refused(pairs: int) -> None:
    with pytest.raises(ValueError, match=f"pairs is {pairs}, but .*: ask for 2 to 6"):
        draw(pairs)
