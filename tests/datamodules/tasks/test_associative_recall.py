import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from datamodules.tasks.associative_recall import AssociativeRecall, distinct
from datamodules.tasks.task import FIRST, Drawn

TASK = AssociativeRecall(keys=12, answers=10, filler=3)


@st.composite
def points(make: st.DrawFn) -> dict[str, int]:
    keys = make(st.integers(1, 12))
    return {"pairs": make(st.integers(1, min(keys, 10))), "gap": make(st.integers(0, 20)), "keys": keys}


def draw(point: dict[str, int], seed: int = 0, rows: int = 5) -> Drawn:
    return TASK.draw(np.random.default_rng(seed), rows, point, "train")


@given(st.integers(0, 2**32), points())
def test_every_query_is_answered_by_the_value_behind_its_key(seed: int, point: dict[str, int]) -> None:
    assert TASK.source_vocab_size == TASK.target_vocab_size == FIRST + 25
    for source, queries, labels in zip(*(part.tolist() for part in draw(point, seed)), strict=True):
        context, filler = source[: 2 * point["pairs"]], source[2 * point["pairs"] :]
        pairs = dict(zip(context[::2], context[1::2], strict=True))
        assert len(pairs) == len(set(pairs.values())) == point["pairs"]
        assert [pairs[query] for query in queries] == labels
        assert sorted(queries) == sorted(pairs)
        assert set(pairs) <= set(range(FIRST, FIRST + point["keys"]))
        assert set(labels) <= set(range(FIRST + 12, FIRST + 12 + min(point["keys"], 10)))
        assert set(filler) <= set(range(FIRST + 22, FIRST + 25))
        assert len(filler) == point["gap"]


def test_distinct_gives_every_order_and_every_number_alike() -> None:
    drawn = distinct(np.random.default_rng(0), 24_000, size=4, count=3)
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(counts) == 24
    assert chisquare(counts).pvalue > 1e-3
    for column in distinct(np.random.default_rng(0), 4000, size=100, count=20).T:
        assert chisquare(np.bincount(column, minlength=100)).pvalue > 1e-4


def test_keys_values_and_queries_are_uniform_and_independent() -> None:
    pairs = 4
    drawn = draw({"pairs": pairs, "gap": 2, "keys": 12}, rows=12_000)
    keys = drawn.source[:, : 2 * pairs : 2]
    for place in range(pairs):
        assert chisquare(np.bincount(keys[:, place] - FIRST, minlength=12)).pvalue > 1e-3
        assert chisquare(np.bincount(drawn.source[:, 2 * place + 1] - FIRST - 12, minlength=10)).pvalue > 1e-3
        asked = (keys == drawn.decoder_input[:, [place]]).argmax(axis=1)
        assert chisquare(np.bincount(asked, minlength=pairs)).pvalue > 1e-3
    both = 10 * (keys[:, 0] - FIRST) + drawn.source[:, 1] - FIRST - 12
    assert chisquare(np.bincount(both, minlength=120)).pvalue > 1e-3


@pytest.mark.parametrize(
    ("pairs", "gap", "keys", "message"),
    [
        (4, 0, 13, "keys is 13, but the task has 12 keys: ask for 12 or fewer"),
        (4, -1, 8, "gap is -1, but it is a number of filler tokens: ask for 0 or more"),
        (0, 0, 8, "pairs is 0, but at least one value has to be asked for: ask for 1 or more"),
        (9, 0, 8, "pairs is 9, but .* 8 keys and 8 values are in use: ask for 8 pairs or fewer"),
        (11, 0, 12, "pairs is 11, but .* 12 keys and 10 values are in use: ask for 10 pairs"),
    ],
)
def test_impossible_points_are_refused(pairs: int, gap: int, keys: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw({"pairs": pairs, "gap": gap, "keys": keys})
