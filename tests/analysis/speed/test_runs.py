"""Speed runs as read: medians, rounds, ratios, and no comparison across machines."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from analysis.speed.machine import machine_table
from analysis.speed.runs import Series, Speed, growth, measured, ratio, round_ratios
from analysis.store import System, read_store
from tests.support.fakes.runs import result, row, write_json
from tests.support.fakes.speed import as_process, repeat, write_cost, write_length, write_speed, write_text

LSTM, BAHDANAU, TRANSFORMER = (System(model, "base") for model in ("lstm", "bahdanau", "transformer"))
RATE = "target_tokens_per_second"
TASK = "text-multi30k-en-de"


def read(path: Path) -> Speed:
    return measured(read_store(path, "quick"))


def machine(**changes: Any) -> dict[str, Any]:
    return {"machine": result("quick", "lstm", "base", 0, [])["machine"] | changes}


def test_medians_have_their_quartiles_and_curves_their_order(tmp_path: Path) -> None:
    write_length(tmp_path, "lstm", lambda n: n / 1000, lengths=(64, 16, 32), memory_ends=32)
    speed = read(tmp_path)
    assert speed.curve("length", LSTM, "step_seconds") == {
        16: pytest.approx((0.016, 0.016 * 0.985, 0.016 * 1.015)),
        32: pytest.approx((0.032, 0.032 * 0.985, 0.032 * 1.015)),
    }
    assert speed.out_of_memory("length", LSTM) == [64]
    assert math.isnan(speed.value("length", LSTM, "step_seconds", "length", 64))
    assert math.isnan(speed.value("length", TRANSFORMER, "step_seconds", "length", 16))
    assert math.isnan(speed.median("length", LSTM, "peak_memory", "length", 16).low)
    assert speed.value("length", LSTM, "matmul_peak") == 200e9
    assert speed.held("length", "width") == [128]


def rates(speed: Speed) -> tuple[Series, Series]:
    """Of the Transformer and the LSTM on real sentences."""
    first, second = (speed.series(TASK, system, RATE, "loop", "bare") for system in (TRANSFORMER, LSTM))
    return first, second


def test_a_series_has_its_rounds(tmp_path: Path) -> None:
    write_text(tmp_path, "lstm", 2300.0, 1150.0, noise=(0.0, 1.0, -0.5))
    speed = read(tmp_path)
    assert speed.series(TASK, LSTM, RATE, "loop", "bare").rounds == {0: 2300.0, 1: 1150.0, 2: 4600.0}
    assert speed.series(TASK, LSTM, "step_seconds", "loop", "trainer").rounds == {0: 2.0, 1: 4.0, 2: 1.0}
    assert speed.series(TASK, LSTM, "positions_per_second", "loop", "bare").rounds == {}
    assert speed.series(TASK, TRANSFORMER, RATE, "loop", "bare").rounds == {}


@pytest.mark.parametrize(("blocks", "low", "high"), [(True, 3, 3), (False, 3 * 0.985 / 1.015, 3 * 1.015 / 0.985)])
def test_ratios_pair_rounds_so_that_common_noise_cancels_or_else_join_quartiles(
    tmp_path: Path, blocks: bool, low: float, high: float
) -> None:
    for model, rate in (("lstm", 1000.0), ("transformer", 3000.0)):
        write_text(tmp_path, model, rate, rate, noise=(0.0, 0.5, -0.3, 0.2, -0.2), blocks=blocks)
    assert ratio(*rates(read(tmp_path))) == pytest.approx((3, low, high))


def test_a_round_that_was_slow_for_one_widens_the_ratio(tmp_path: Path) -> None:
    write_text(tmp_path, "lstm", 1000.0, 1000.0, noise=(0.0, 0.0, 0.0))
    write_text(tmp_path, "transformer", 1000.0, 1000.0, noise=(0.0, 1.0, -0.5))
    pair = rates(read(tmp_path))
    assert sorted(round_ratios(*pair).values()) == pytest.approx([0.5, 1, 2])
    assert ratio(*pair) == pytest.approx((1, 0.5, 2))


def test_a_process_in_which_all_was_different_widens_the_ratio(tmp_path: Path) -> None:
    """Its rounds agree with each other: pooled with those of two other processes they would be outvoted."""
    for folder, rate in ((tmp_path, 3000.0), (tmp_path / "other", 2000.0)):
        write_text(folder, "lstm", 1000.0, 1000.0, noise=(0.0,) * 7)
        write_text(folder, "transformer", rate, rate, noise=(0.0,) * 7)
    repeat(tmp_path, 4)
    as_process(tmp_path, tmp_path / "other", 4)
    assert ratio(*rates(read(tmp_path))) == pytest.approx((3, 2, 3))


def test_quartiles_of_several_processes_are_the_outermost(tmp_path: Path) -> None:
    write_length(tmp_path, "lstm", lambda n: 1.0)
    write_length(tmp_path / "other", "lstm", lambda n: 9.0)
    as_process(tmp_path, tmp_path / "other", 1)
    median = read(tmp_path).median("length", LSTM, "step_seconds", "length", 16)
    assert median == pytest.approx((5.0, 0.985, 9 * 1.015))


def test_growth_is_between_lengths_that_all_were_measured_at(tmp_path: Path) -> None:
    """A model measured to twice the length of the others is not said to grow twice as much."""
    write_length(tmp_path, "lstm", lambda n: n / 16, lengths=(16, 64, 256))
    write_length(tmp_path, "transformer", lambda n: n / 16, lengths=(16, 64, 256, 4096))
    write_length(tmp_path, "bahdanau", lambda n: n / 16, lengths=(64,))
    speed = read(tmp_path)
    ends, grown = growth(speed, "length", (LSTM, TRANSFORMER, BAHDANAU), "step_seconds")
    assert (ends, list(grown)) == ((16, 256), [LSTM, TRANSFORMER])
    assert [each.value for each in grown.values()] == pytest.approx([16, 16])
    assert growth(speed, "length", (BAHDANAU,), "step_seconds")[1] == {}


def test_operations_count_wherever_they_were_counted(tmp_path: Path) -> None:
    write_text(tmp_path, "lstm", 1.0, 1.0)
    folder = write_cost(tmp_path, "lstm", 7.0)
    record = json.loads((folder / "result.json").read_text())
    write_json(folder / "result.json", record | machine(cpu="another CPU"))
    speed = read(tmp_path)
    assert speed.left_out == []
    assert speed.value("cost-multi30k", LSTM, "flops_per_target_token") == 7
    (processor, *_) = machine_table(speed).rows
    assert "another CPU" not in processor[1]


def test_another_number_of_threads_is_left_out_of_its_task_alone(tmp_path: Path) -> None:
    for model in ("lstm", "bahdanau"):
        write_length(tmp_path, model, lambda n: 1.0)
    write_length(tmp_path, "transformer", lambda n: 1.0, changes=machine(threads=1))
    write_speed(tmp_path, "devices", "transformer", [], changes=machine(threads=1))
    speed = read(tmp_path)
    assert [(run.task, run.model) for run in speed.left_out] == [("length", "transformer")]
    assert speed.systems("devices") == [TRANSFORMER]


def test_of_as_many_runs_the_latest_machine_counts(tmp_path: Path) -> None:
    write_length(tmp_path, "lstm", lambda n: 1.0)
    late = machine(cpu="another CPU") | {"finished": "2027-01-01T00:00:00+00:00"}
    write_length(tmp_path, "transformer", lambda n: 1.0, changes=late)
    assert read(tmp_path).systems("length") == [TRANSFORMER]


def test_further_seeds_are_the_same_measurement_in_other_processes(tmp_path: Path) -> None:
    folder = write_length(tmp_path, "lstm", lambda n: 1.0)
    write_length(tmp_path, "transformer", lambda n: 1.0)
    record = json.loads((folder / "result.json").read_text())
    changed = [r | {"value": 9.0} for r in record["measurements"]]
    write_json(folder.with_name("seed1") / "result.json", record | {"seed": 1, "measurements": changed})
    speed = read(tmp_path)
    assert speed.value("length", LSTM, "step_seconds", "length", 16) == 5.0, "the median of both"
    (second,) = speed.again
    assert second.value("length", LSTM, "step_seconds", "length", 16) == 9.0
    assert second.systems("length") == [LSTM]


def test_a_point_that_is_no_number_is_in_no_curve(tmp_path: Path) -> None:
    rows = [row("step_seconds", 1.0, "s", 1, "length", x) for x in ("short", "long")]
    write_speed(tmp_path, "length", "lstm", rows)
    assert read(tmp_path).curve("length", LSTM, "step_seconds") == {}
