import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules import shapes
from datamodules.shapes import rectangles

pairs = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=60).map(np.array)


@given(pairs, st.integers(1, 10))
def test_few_rectangles_hold_everything_smallest_first(lengths: np.ndarray, most: int) -> None:
    found = rectangles(lengths, most)
    assert 1 <= len(found) <= most
    assert (lengths[:, None] <= found).all(2).any(1).all()
    assert (found.sum(1)[1:] >= found.sum(1)[:-1]).all()
    assert (found[-1] == lengths.max(0)).all()


def test_with_enough_of_them_nothing_is_padded() -> None:
    lengths = np.array([(3, 4), (5, 2), (3, 4), (6, 6)])
    assert rectangles(lengths, 4).tolist() == [[3, 4], [5, 2], [6, 6]]


@pytest.mark.parametrize(("rows", "joined"), [((1, 50, 1), [[10, 10], [12, 12]]), ((50, 1, 1), [[9, 9], [12, 12]])])
def test_those_are_joined_that_lie_close_and_have_few_rows(rows: tuple[int, ...], joined: list[list[int]]) -> None:
    lengths = np.repeat([(9, 9), (10, 10), (12, 12)], rows, axis=0)
    assert rectangles(lengths, 3).tolist() == joined


def test_many_lengths_are_rounded_up_first(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = np.random.default_rng(0).integers(1, 200, (3000, 2))
    monkeypatch.setattr(shapes, "CELLS", 50)
    found = rectangles(lengths, 9)
    assert len(found) <= 9
    assert (lengths[:, None] <= found).all(2).any(1).all()
