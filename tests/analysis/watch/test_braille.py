import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.watch.braille import DOTS, curve

VALUES = st.floats(-1e6, 1e6)
POINTS = st.lists(st.tuples(st.integers(0, 10_000), VALUES), min_size=1, max_size=60)


def dots(rows: list[str]) -> set[tuple[int, int]]:
    """(column, height from the bottom) of every dot, by the numbering of the Unicode standard: 1 2 3 7 and 4 5 6 8."""
    found = set()
    for number, row in enumerate(reversed(rows)):
        for place, character in enumerate(row):
            for bit, (column, height) in enumerate([(0, 3), (0, 2), (0, 1), (1, 3), (1, 2), (1, 1), (0, 0), (1, 0)]):
                if (ord(character) - 0x2800) >> bit & 1:
                    found.add((2 * place + column, 4 * number + height))
    return found


def test_each_dot_of_a_character_has_its_own_bit() -> None:
    assert sorted(bit for column in DOTS for bit in column) == [1, 2, 4, 8, 16, 32, 64, 128]


def test_a_rising_line_goes_from_the_lower_left_to_the_upper_right() -> None:
    assert dots(curve([(0, 0.0), (7, 7.0)], 4, 2)) == {(i, i) for i in range(8)}
    assert curve([(0, 0.0), (7, 7.0)], 4, 2) == ["⠀⠀⡠⠊", "⡠⠊⠀⠀"]


def test_a_falling_line_is_its_mirror_image() -> None:
    assert dots(curve([(0, 7.0), (7, 0.0)], 4, 2)) == {(i, 7 - i) for i in range(8)}


def test_a_sudden_fall_is_a_connected_line() -> None:
    assert dots(curve([(0, 1.0), (1, 0.0)], 1, 2)) == {(0, 7)} | {(1, height) for height in range(7)}


def test_a_constant_is_a_line_at_the_bottom_and_one_point_a_dot() -> None:
    assert dots(curve([(0, 3.0), (9, 3.0)], 2, 2)) == {(i, 0) for i in range(4)}
    assert dots(curve([(5, 3.0)], 2, 2)) == {(0, 0)}


def test_points_in_one_column_are_drawn_at_their_mean() -> None:
    assert curve([(0, 0.0), (1, 0.0), (99, 3.0), (100, 5.0)], 1, 1) == curve([(0, 0.0), (100, 4.0)], 1, 1)


def test_steps_are_to_scale() -> None:
    (row,) = curve([(0, 0.0), (90, 0.0), (100, 3.0)], 5, 1)
    assert {column for column, height in dots([row]) if height} == {9}


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, 1e300])
def test_what_is_no_number_is_left_out(odd: float) -> None:
    points = [(0, 0.0), (7, 7.0)]
    assert curve([points[0], (3, odd), points[1]], 4, 2) == curve(points, 4, 2)
    assert curve([(0, odd)], 4, 2) == []


@given(POINTS, st.integers(1, 40), st.integers(1, 4))
def test_every_curve_fills_its_place_and_every_column_up_to_the_last_point(
    points: list[tuple[int, float]], columns: int, rows: int
) -> None:
    drawn = curve(points, columns, rows)
    assert [len(row) for row in drawn] == [columns] * rows
    reached = {column for column, _ in dots(drawn)}
    assert reached == set(range(2 * columns) if len({x for x, _ in points}) > 1 else (0,))


@given(POINTS, st.integers(1, 40))
def test_the_order_of_points_does_not_matter(points: list[tuple[int, float]], columns: int) -> None:
    whole = [(x, float(round(y))) for x, y in points]  # sums of whole numbers are exact in any order
    assert curve(whole, columns, 2) == curve(whole[::-1], columns, 2)
