"""What was spent when a BLEU was first reached."""

from pathlib import Path

import pytest

from analysis.speed.quality import Quality, Validation, qualities, reached
from analysis.store import System, read_store
from tests.support.fakes.speed import MODELS, write_curve

LSTM, ATTENTION, TRANSFORMER = (System(model, "base") for model in MODELS)
POINTS = {  # target tokens, BLEU
    "lstm": [(1000.0, 10.0), (2000.0, 20.0)],
    "bahdanau": [(1000.0, 20.0), (2000.0, 40.0)],
    "transformer": [(500.0, 20.0), (1000.0, 42.0), (1500.0, 41.0)],
}


def write_three(path: Path) -> None:
    for model, points in POINTS.items():
        write_curve(path, model, points)


def read(path: Path) -> Quality:
    (quality,) = qualities(read_store(path, "quick"))
    return quality


def test_between_validations_the_way_is_straight() -> None:
    curve = [Validation(100, 0.0), Validation(200, 10.0), Validation(300, 5.0), Validation(400, 20.0)]
    assert [reached(curve, level) for level in (5, 10, 12.5, 20.1)] == [150, 200, 350, None]
    assert reached([Validation(100, 10.0)], 5) == 50


def test_levels_are_shares_of_the_weakest_and_the_best_of_the_next(tmp_path: Path) -> None:
    write_three(tmp_path)
    assert read(tmp_path).levels() == [10, 15, 18, 20, 40]
    for model, best in (("lstm", 30.0), ("bahdanau", 9.99), ("transformer", 9.99)):
        write_curve(tmp_path, model, [(1.0, best)])
    assert read(tmp_path).levels() == [4.9, 7.4, 8.9, 9.9]  # rounded down


def test_ratios_hold_for_the_highest_bleu_that_both_reach(tmp_path: Path) -> None:
    write_three(tmp_path)
    quality = read(tmp_path)
    found = quality.ratio(ATTENTION, TRANSFORMER)
    assert found is not None
    # to 40 and 38 and 36: 2000, 1900 and 1800 tokens against 500 + 500 · (20, 18, 16) / 22
    assert found.value == pytest.approx(2000 / (500 + 500 * 20 / 22))
    assert (found.low, found.high) == pytest.approx((found.value, 1800 / (500 + 500 * 16 / 22)), rel=0.02)
    assert quality.ratio(System("gru", "base"), TRANSFORMER) is None
    assert quality.tokens(LSTM, 0, 15) == 1500
    assert quality.tokens(LSTM, 0, 21) is None


def test_without_validation_bleu_there_is_nothing(tmp_path: Path) -> None:
    write_curve(tmp_path, "lstm", [])
    assert qualities(read_store(tmp_path, "quick")) == []
