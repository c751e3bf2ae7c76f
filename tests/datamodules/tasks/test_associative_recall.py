import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from datamodules.tasks.associative_recall import AssociativeRecall, distinct
from datamodules.tasks.task import FIRST, Drawn

TASK = AssociativeRecall(keys=12, answers=10, filler=3)
seeds = st.integers(0, 2**32)


@st.composite
def points(make: st.DrawFn) -> dict[str, int]:
    keys = make(st.integers(1, 12))
    return {"pairs": make(st.integers(1, min(keys, 10))), "gap": make(st.integers(0, 20)), "keys": keys}


def draw(point: dict[str, int], seed: int = 0, rows: int = 5, task: AssociativeRecall = TASK) -> Drawn:
    return task.draw(np.random.default_rng(seed), rows, point, "train")


@given(seeds, points())
@settings(deadline=None)
def test_every_query_is_answered_by_what_stood_behind_its_key(seed: int, point: dict[str, int]) -> None:
    drawn = draw(point, seed)
    for source, queries, labels in zip(*(part.tolist() for part in drawn), strict=True):
        context = source[: 2 * point["pairs"]]
        pairs = dict(zip(context[::2], context[1::2], strict=True))
        assert len(pairs) == len(set(pairs.values())) == point["pairs"]
        assert [pairs[query] for query in queries] == labels
        assert sorted(queries) == sorted(pairs)


@given(seeds, points())
@settings(deadline=None)
def test_keys_values_and_filler_never_share_a_token(seed: int, point: dict[str, int]) -> None:
    drawn = draw(point, seed)
    pairs = point["pairs"]
    keys, values, filler = (
        drawn.source[:, : 2 * pairs : 2],
        drawn.source[:, 1 : 2 * pairs : 2],
        drawn.source[:, 2 * pairs :],
    )
    assert filler.shape == (5, point["gap"])
    assert FIRST <= keys.min() <= keys.max() < FIRST + point["keys"] <= FIRST + 12
    assert FIRST + 12 <= values.min() <= values.max() < FIRST + 12 + min(point["keys"], 10)
    assert np.isin(filler, np.arange(FIRST + 22, FIRST + 25)).all()
    assert TASK.source_vocab_size == TASK.target_vocab_size == FIRST + 25
    assert {part.dtype for part in drawn} == {np.dtype(np.int64)}


def test_the_seed_decides_the_examples() -> None:
    point = {"pairs": 6, "gap": 7, "keys": 12}
    first, again, other = (draw(point, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_distinct_gives_every_order_alike() -> None:
    drawn = distinct(np.random.default_rng(0), 24_000, size=4, count=3)
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(counts) == 24
    assert chisquare(counts).pvalue > 1e-3


def test_distinct_gives_every_number_to_every_place_alike() -> None:
    drawn = distinct(np.random.default_rng(0), 4000, size=100, count=20)
    for place in range(20):
        assert chisquare(np.bincount(drawn[:, place], minlength=100)).pvalue > 1e-4


def test_keys_values_and_the_places_asked_for_are_uniform_and_independent() -> None:
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


def test_chance_lines_are_what_their_strategies_score() -> None:
    point = {"pairs": 5, "gap": 1, "keys": 12}
    drawn = draw(point, rows=20_000)
    rng = np.random.default_rng(9)
    any_value = rng.integers(FIRST + 12, FIRST + 22, drawn.labels.shape)
    known_values = np.take_along_axis(drawn.source, 2 * rng.integers(0, 5, drawn.labels.shape) + 1, axis=1)
    assert TASK.chance(point) == {
        "guessing": pytest.approx((any_value == drawn.labels).mean(), abs=0.005),
        "values without their keys": pytest.approx((known_values == drawn.labels).mean(), abs=0.005),
    }


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"pairs": 4, "gap": 0, "keys": 13}, "keys is 13, but the task has 12 keys: ask for 12 or fewer"),
        ({"pairs": 4, "gap": -1, "keys": 8}, "gap is -1, but it is a number of filler tokens: ask for 0 or more"),
        (
            {"pairs": 0, "gap": 0, "keys": 8},
            "pairs is 0, but at least one value has to be asked for: ask for 1 or more",
        ),
        (
            {"pairs": 9, "gap": 0, "keys": 8},
            "pairs is 9, but .* 8 keys and 8 values are in use: ask for 8 pairs or fewer",
        ),
        ({"pairs": 11, "gap": 0, "keys": 12}, "pairs is 11, but .* 12 keys and 10 values are in use: ask for 10 pairs"),
    ],
)
def test_impossible_points_are_refused(point: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw(point)
