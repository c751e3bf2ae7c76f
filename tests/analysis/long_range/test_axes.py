"""What the long-range runs measured: accuracy along an axis, controls, and where 0.9 is lost."""

from pathlib import Path

import pytest

from analysis.long_range.axes import axes, controls, main_axis, reach
from analysis.long_range.tables import status
from analysis.page.curves import Point
from analysis.scoreboard import standing
from analysis.statistics.intervals import Interval, pooled, wilson
from analysis.store import Store, System, read_store
from tests.support.fakes.long_range import FALLING, PAIRS, N, axis_rows, folder_of, write_long_range, write_pairs
from tests.support.fakes.runs import row

LSTM = System("lstm", "base")


def points(*pairs: tuple[float, float]) -> list[Point]:
    return [Point(x, Interval(value, value, value), {0: value}, N) for x, value in pairs]


def store_of(path: Path) -> Store:
    return read_store(path, "quick")


def test_a_few_examples_reach_nothing() -> None:
    few = Point(16, Interval(0.5, 0.5, 0.5), {0: 0.5}, 29)
    assert str(reach([*points((4, 1.0), (8, 0.95)), few])) == "> 8"


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        (points((4, 1.0), (8, 0.95), (16, 0.85)), "12"),
        (points((4, 1.0), (8, 0.9)), "> 8"),
        (points((4, 0.89), (8, 0.5)), "< 4"),
        (points((4, 0.8), (8, 1.0), (16, 0.8)), "12"),  # too short to have been trained on, then held
        (points((4, 1.0), (8, 0.8), (16, 1.0)), "6"),
    ],
)
def test_reach_is_where_accuracy_first_falls_below_nine_tenths(curve: list[Point], expected: str) -> None:
    assert str(reach(curve)) == expected


def test_axes_hold_means_seeds_chance_and_the_range_of_training(tmp_path: Path) -> None:
    for seed, value in ((0, 0.9), (1, 0.7)):
        rows = axis_rows({8: 1.0, 64: value}, "gap, symbols 4")
        write_long_range(tmp_path, "recall", "lstm", rows, seed=seed)
    write_long_range(tmp_path, "recall", "lstm", axis_rows({8: 0.1}, "gap, symbols 4"), seed=2)
    (folder_of(tmp_path, "recall", "lstm", seed=2) / "result.json").unlink()  # an unfinished run is in no number
    (axis,) = axes(store_of(tmp_path), "recall")
    inside, beyond = axis.curves[LSTM]
    assert (axis.name, axis.vary, axis.xs, axis.beyond) == ("gap, symbols 4", "gap", [8, 64], [64])
    assert (inside.trained, beyond.trained) == (True, False)
    assert beyond.value == pytest.approx(0.8)
    assert beyond.seeds == {0: 0.9, 1: 0.7}
    assert beyond.n == N
    assert beyond.interval == pooled([0.9, 0.7], [0.005, 0.005], N)
    assert axis.chance == {"guessing": [(8, 0.125), (64, 0.125)]}


def test_x_in_words_is_on_no_axis(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    (axis,) = axes(store_of(tmp_path), PAIRS, "contrastive_accuracy")
    assert axis.chance == {"the more frequent number": [(1, 0.5), (5, 0.5), (15, 0.5)]}


def test_what_was_not_recorded_is_none_and_nothing_fails(tmp_path: Path) -> None:
    write_long_range(tmp_path, "copy", "lstm", [row("token_accuracy", 0.5, "share", 64, "length", 4)], control=None)
    store = store_of(tmp_path)
    (axis,) = axes(store, "copy")
    (point,) = axis.curves[LSTM]
    assert (point.trained, axis.chance, axis.beyond) == (None, {}, [])
    assert point.interval == wilson(0.5, 64)
    assert controls(store, "copy") == {}
    assert axes(store, "never run") == []


def test_a_control_is_mastered_by_every_seed_or_not_at_all(tmp_path: Path) -> None:
    for seed, control in ((0, 1.0), (1, 0.98)):
        write_long_range(tmp_path, "copy", "lstm", axis_rows(FALLING, "length"), seed=seed, control=control)
        write_long_range(tmp_path, "copy", "gru", axis_rows(FALLING, "length"), seed=seed, control=0.99)
    found = controls(store_of(tmp_path), "copy")
    assert not found[LSTM].mastered
    assert found[LSTM].steps == {0: 600}
    assert found[LSTM].setting == "length 4"
    assert found[System("gru", "base")].mastered


def test_a_model_is_unable_where_no_seed_learns_with_ten_times_the_budget(tmp_path: Path) -> None:
    rows, longer = axis_rows(FALLING, "length"), System("lstm", "tenfold")
    for seed, control in ((0, 0.6), (1, 0.7)):
        write_long_range(tmp_path, "copy", "lstm", rows, seed=seed, control=control)
    assert controls(store_of(tmp_path), "copy")[LSTM].under_trained
    write_long_range(tmp_path, "copy", "lstm", rows, control=0.8, variant="tenfold", steps=15000)
    found = controls(store_of(tmp_path), "copy")
    assert [(found[s].unable, found[s].under_trained) for s in (LSTM, longer)] == [(True, False)] * 2
    assert status(found[LSTM]) == "not learned with ten times the budget (control below 0.99)"
    assert standing(found[LSTM]) == (False, True, False)
    write_long_range(tmp_path, "copy", "lstm", rows, seed=1, control=1.0)
    assert [controls(store_of(tmp_path), "copy")[s].under_trained for s in (LSTM, longer)] == [True, True]


def test_the_main_axis_is_the_one_asked_for_then_the_most_trained_then_the_fullest_then_the_farthest(
    tmp_path: Path,
) -> None:
    rows = axis_rows({4: 1.0}, "pairs, gap 52") + axis_rows({8: 1.0}, "pairs, gap 104")
    write_long_range(tmp_path, "recall", "lstm", rows)
    found = axes(store_of(tmp_path), "recall")
    assert main_axis(found).name == "pairs, gap 104"
    write_long_range(tmp_path, "recall", "lstm", [*rows, *axis_rows({4: 1.0, 5: 1.0}, "gap")])
    found = axes(store_of(tmp_path), "recall")
    assert main_axis(found).name == "gap"
    assert main_axis(found, "pairs").name == "pairs, gap 104"
    far = axis_rows({4: 1.0, 40: 1.0, 80: 1.0}, "far")  # of which one was trained
    write_long_range(tmp_path, "recall", "lstm", [*axis_rows({4: 1.0, 5: 1.0}, "gap"), *far])
    assert main_axis(axes(store_of(tmp_path), "recall")).name == "gap"
