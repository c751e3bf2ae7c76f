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
def test_the_answer_is_the_values_of_both_keys_in_the_order_of_the_query(pairs: int, seed: int) -> None:
    drawn = draw(pairs, seed=seed)
    assert (TASK.source_vocab_size, TASK.target_vocab_size) == (FIRST + 30, FIRST + 36 + 25)
    for source, query, label in zip(*(part.tolist() for part in drawn), strict=True):
        value_of = dict(divmod(token - FIRST, 5) for token in source)
        assert len(value_of) == len(source) == pairs
        assert set(value_of) <= set(range(6))
        first, second = divmod(query[0] - FIRST, 6)
        assert first != second
        assert divmod(label[0] - FIRST - 36, 5) == (value_of[first], value_of[second])


def test_every_query_and_every_answer_comes_as_often_wherever_the_keys_are() -> None:
    drawn = draw(3, rows=20_000)
    queries = np.bincount(drawn.decoder_input[:, 0] - FIRST, minlength=36)
    assert (queries == 0).sum() == 6
    assert chisquare(queries[queries > 0]).pvalue > 1e-3
    keys = (drawn.source - FIRST) // 5
    places = [(keys == key).argmax(axis=1) for key in np.divmod(drawn.decoder_input - FIRST, 6)]
    together = 25 * (3 * places[0] + places[1]) + drawn.labels[:, 0] - FIRST - 36
    counts = np.bincount(together, minlength=225).reshape(9, 25)[[1, 2, 3, 5, 6, 7]]
    assert chisquare(counts.flatten()).pvalue > 1e-3


@pytest.mark.parametrize("pairs", [1, 7])
def test_impossible_points_are_refused(pairs: int) -> None:
    with pytest.raises(ValueError, match=f"pairs is {pairs}, but .*: ask for 2 to 6"):
        draw(pairs)
