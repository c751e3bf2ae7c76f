"""Time to quality: what was spent when a BLEU was first reached, and when times do not compare."""

from pathlib import Path
from typing import Any

import pytest

from analysis.speed.quality import Quality, Validation, qualities, reached
from analysis.speed.runs import measured
from analysis.store import System, read_store
from tests.support.fakes.long_range import write_task
from tests.support.fakes.runs import result
from tests.support.fakes.speed import MODELS, write_cost, write_curve, write_text, write_translation

LSTM, ATTENTION, TRANSFORMER = (System(model, "base") for model in MODELS)
POINTS = {  # seconds, target tokens, BLEU
    "lstm": [(100.0, 1000.0, 10.0), (200.0, 2000.0, 20.0)],
    "bahdanau": [(100.0, 1000.0, 20.0), (200.0, 2000.0, 40.0)],
    "transformer": [(50.0, 1000.0, 20.0), (100.0, 2000.0, 42.0), (150.0, 3000.0, 41.0)],
}


def write_three(path: Path, **changes: Any) -> None:
    for model, points in POINTS.items():
        write_curve(path, model, points, **changes)


def read(path: Path) -> Quality:
    store = read_store(path, "quick")
    (quality,) = qualities(store, measured(store))
    return quality


def test_between_validations_the_way_is_straight() -> None:
    curve = [Validation(10, 100, 0.0), Validation(20, 200, 10.0), Validation(30, 300, 5.0), Validation(40, 400, 20.0)]
    assert reached(curve, 5) == (15, 150)
    assert reached(curve, 10) == (20, 200)
    assert reached(curve, 12.5) == (35, 350)
    assert reached(curve, 20.1) is None
    assert reached([Validation(10, 100, 10.0)], 5) == (5, 50)


def test_flops_are_tokens_times_flops_a_token(tmp_path: Path) -> None:
    write_three(tmp_path)
    write_cost(tmp_path, "lstm", 7.0)
    quality = read(tmp_path)
    spent = quality.spent(LSTM, 0, 15)
    assert spent == (150, 1500, 10500)
    assert quality.spent(LSTM, 0, 21) is None
    other = quality.spent(TRANSFORMER, 0, 15)
    assert other is not None
    assert str(other.flops) == "nan"


def test_levels_are_shares_of_the_weakest_and_the_best_of_the_next(tmp_path: Path) -> None:
    write_three(tmp_path)
    assert read(tmp_path).levels() == [10, 15, 18, 20, 40]
    for model, best in (("lstm", 30.0), ("bahdanau", 9.99), ("transformer", 9.99)):
        write_curve(tmp_path, model, [(1.0, 1.0, best)])
    assert read(tmp_path).levels() == [4.9, 7.4, 8.9, 9.9]  # rounded down


def test_ratios_hold_for_the_highest_bleu_that_both_reach(tmp_path: Path) -> None:
    write_three(tmp_path)
    quality = read(tmp_path)
    found = quality.ratio(ATTENTION, TRANSFORMER, "seconds")
    assert found is not None
    # to 40 and 38 and 36: 200, 190 and 180 s against 50 + 50 · (20, 18, 16) / 22
    assert found.value == pytest.approx(200 / (50 + 50 * 20 / 22))
    assert (found.low, found.high) == pytest.approx((found.value, 180 / (50 + 50 * 16 / 22)), rel=0.02)
    assert quality.ratio(ATTENTION, TRANSFORMER, "flops") is None  # not counted
    assert quality.ratio(System("gru", "base"), TRANSFORMER, "seconds") is None


def test_runs_side_by_side_or_with_other_threads_or_machines_do_not(tmp_path: Path) -> None:
    write_three(tmp_path)
    times = {"started": "2026-01-02T03:00:30+00:00", "finished": "2026-01-02T03:01:30+00:00"}
    machine = result("quick", "lstm", "base", 0, [])["machine"]
    write_curve(tmp_path, "bahdanau", POINTS["bahdanau"], **times, machine=machine | {"threads": 1})
    found = "; ".join(read(tmp_path).flaws)
    assert "other runs ran at the same time: LSTM seed 0 and LSTM + attention seed 0" in found
    assert "threads differ: 2 (LSTM and Transformer), 1 (LSTM + attention)" in found
    write_curve(tmp_path, "bahdanau", POINTS["bahdanau"], **times, machine=machine | {"cpu": "another CPU"})
    assert read(tmp_path).flaws == ["they come from different machines"]


def test_any_other_run_of_the_machine_counts_as_side_by_side(tmp_path: Path) -> None:
    write_three(tmp_path)
    write_task(tmp_path, "copy")  # from 3:04:05 to 3:24:05
    assert read(tmp_path).flaws == []
    write_translation(tmp_path, "lstm", started="2026-01-02T03:24:00+00:00", finished="2026-01-02T03:25:00+00:00")
    assert "at the same time: LSTM seed 0" in read(tmp_path).flaws[0]


def test_without_validation_bleu_there_is_nothing(tmp_path: Path) -> None:
    write_curve(tmp_path, "lstm", [])
    write_text(tmp_path, "lstm", 1.0, 1.0)
    store = read_store(tmp_path, "quick")
    assert qualities(store, measured(store)) == []
