"""Exponents and crossings: against power laws and curves whose answers are known."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.speed.runs import measured
from analysis.speed.scaling_laws import crossings, held_by_processes, meetings, over, power_law, upper_half
from analysis.store import System, read_store
from tests.support.fakes.speed import as_process, repeat, write_length

LSTM, TRANSFORMER = System("lstm", "base"), System("transformer", "base")
LENGTHS = (16.0, 32.0, 64.0, 128.0, 256.0)


@given(st.floats(-2, 3), st.floats(1e-6, 1e6), st.integers(3, 8))
def test_a_power_law_is_recovered(exponent: float, scale: float, points: int) -> None:
    fit = power_law({2.0**i: scale * 2.0 ** (i * exponent) for i in range(points)})
    assert fit is not None
    assert fit.exponent.value == pytest.approx(exponent, abs=1e-6)
    assert fit.exponent.low == pytest.approx(exponent, abs=1e-4)
    assert fit.at(4) == pytest.approx(scale * 4**exponent, rel=1e-6)


def test_the_interval_is_that_of_the_slope() -> None:
    values = {1.0: 1.0, 2.0: 2.5, 4.0: 3.6, 8.0: 9.0}
    line = stats.linregress([math.log(x) for x in values], [math.log(y) for y in values.values()])
    fit = power_law(values)
    assert fit is not None
    half = 4.302652729911275 * line.stderr  # t with two degrees of freedom
    assert fit.exponent[1:] == pytest.approx((line.slope - half, line.slope + half))
    assert (fit.start, fit.end, fit.points) == (1, 8, 4)


def test_two_points_have_no_interval_one_no_exponent_and_a_constant_no_doubt() -> None:
    pair = power_law({1.0: 1.0, 2.0: 4.0})
    assert pair is not None
    assert pair.exponent.value == pytest.approx(2)
    assert math.isnan(pair.exponent.low)
    assert power_law({1.0: 1.0}) is None
    assert power_law({1.0: 1.0, 2.0: 0.0}) is None
    flat = power_law({1.0: 3.0, 2.0: 3.0, 4.0: 3.0})
    assert flat is not None
    assert flat.exponent == (0, 0, 0)


def test_the_longer_half_holds_the_middle() -> None:
    assert list(upper_half(dict.fromkeys((64.0, 16.0, 32.0), 1.0))) == [32, 64]
    assert list(upper_half(dict.fromkeys((16.0, 32.0, 64.0, 128.0), 1.0))) == [64, 128]


@given(st.floats(20, 200))
def test_two_power_laws_cross_where_they_are_equal(at: float) -> None:
    first, second = {x: (x / at) ** 1.5 for x in LENGTHS}, {x: (x / at) ** 0.5 for x in LENGTHS}
    if at not in LENGTHS:
        ((x, y, first_smaller),) = meetings(first, second)
        assert x == pytest.approx(at)
        assert y == pytest.approx(1)
        assert first_smaller
        ((x, _, second_smaller),) = meetings(second, first)
        assert x == pytest.approx(at)
        assert not second_smaller


def test_curves_may_cross_twice_or_never_or_share_no_length() -> None:
    level = dict.fromkeys(LENGTHS, 1.0)
    bend = {x: 2.0 if x in (16, 256) else 0.5 for x in LENGTHS}
    assert [(round(x, 1), smaller) for x, _, smaller in meetings(bend, level)] == [(22.6, False), (181.0, True)]
    assert meetings(level, dict.fromkeys(LENGTHS, 2.0)) == []
    assert meetings(level, level) == []
    assert meetings({1.0: 1.0}, {2.0: 1.0}) == []
    assert over({1.0: 6.0, 2.0: 1.0}, {1.0: 2.0}) == {1.0: 3.0}


def test_a_crossing_has_the_interval_of_all_processes(tmp_path: Path) -> None:
    write_length(tmp_path, "lstm", lambda n: n / 100)
    write_length(tmp_path, "transformer", lambda n: 1.0)
    (found,) = crossings(measured(read_store(tmp_path, "quick")), [TRANSFORMER, LSTM])
    assert (found.before, found.after) == (LSTM, TRANSFORMER)
    assert found.x.value == pytest.approx(100)
    assert math.isnan(found.x.low)
    repeat(tmp_path, 2)
    write_length(tmp_path / "other", "lstm", lambda n: n / 80)
    write_length(tmp_path / "other", "transformer", lambda n: 1.0)
    as_process(tmp_path, tmp_path / "other", 2)
    (found,) = crossings(measured(read_store(tmp_path, "quick")), [TRANSFORMER, LSTM])
    assert found.x == pytest.approx((100, 80, 100))


def test_without_a_crossing_in_every_process_there_is_no_interval() -> None:
    assert math.isnan(held_by_processes(10, [[9.0], []]).low)
    assert held_by_processes(10, [[9.0, 100.0], [9.5]]) == (10, 9, 10)
