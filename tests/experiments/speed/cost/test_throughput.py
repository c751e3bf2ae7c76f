"""Measured and published rates, and how they are extrapolated to other devices."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments.speed.cost.throughput import (
    PUBLISHED_DEVICES,
    RECURRENT_EFFICIENCY,
    TRANSFORMER_BIG_TOKENS,
    TRANSFORMER_EFFICIENCY,
    V100_PEAK,
    Interval,
    efficiency,
    measured_rate,
    published_rate,
    read_records,
)
from tests.experiments.speed.cost.test_recipe import RECIPE
from tests.support.fakes.runs import result, row

CPU = result("full", "lstm", "base", 0, [])["machine"]
GPU = CPU | {"gpus": ["a GPU"]}


def record(root: Path, task: str, model: str, variant: str, rows: dict[float, float], **more: Any) -> Path:
    """Write a result of the speed suite; returns `root`. `more`: suite, metric, machine."""
    suite, metric = more.get("suite", "full"), more.get("metric", "flops_per_second")
    folder = root / suite / "speed" / task / model / variant / f"seed{more.get('seed', 0)}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "result.json"
    measurements = json.loads(path.read_text())["measurements"] if path.exists() else []
    measurements += [row(metric, value, "FLOP/s", 1, task, x) for x, value in rows.items()]
    key = {"experiment": "speed", "task": task, "machine": more.get("machine", CPU)}
    path.write_text(json.dumps(result(suite, model, variant, more.get("seed", 0), measurements) | key))
    return root


def test_the_first_suite_with_records_counts(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="run `make speed SUITE=full` first"):
        read_records(tmp_path, ["full", "quick"])
    for suite in ("quick", "full"):
        record(tmp_path, "length", "lstm", "base", {32: 1.0}, suite=suite)
        assert read_records(tmp_path, ["full", "quick"]).folder == tmp_path / suite / "speed"


def test_the_rate_is_the_range_of_the_nearest_measurements_of_each_sweep(tmp_path: Path) -> None:
    record(tmp_path, "length", "transformer", "base", {16: 1.0, 64: 5.0, 128: 2.0})
    record(tmp_path, "width", "transformer", "base", {128: 3.0, 256: 9.0})
    record(tmp_path, "batch", "transformer", "base", {1: 0.5, 16: 4.0})
    records = read_records(tmp_path, ["full"])
    rate = measured_rate(RECIPE, records, length=40, world=1)  # width 512, 25 rows
    assert rate.value == Interval(4.0, 9.0)
    assert "transformer base at length 64, width 256, batch 16" in rate.source
    assert measured_rate(RECIPE, records, length=40, world=10).value == Interval(0.5, 9.0)  # 2.5 rows


def test_every_process_counts_and_a_machine_that_only_counted_operations_does_not(tmp_path: Path) -> None:
    record(tmp_path, "cost-multi30k", "transformer", "base", {}, machine=GPU)
    for seed, rate in enumerate((3.0, 1.0, 2.0)):
        record(tmp_path, "length", "transformer", "base", {16: rate}, seed=seed)
    records = read_records(tmp_path, ["full"])
    assert measured_rate(RECIPE, records, 16, 1).value == Interval(1.0, 3.0)
    assert records.gpus == []
    record(tmp_path, "length", "transformer", "base", {16: 99.0}, seed=3, machine=GPU)
    assert measured_rate(RECIPE, read_records(tmp_path, ["full"]), 16, 1).value == Interval(1.0, 3.0)


def test_training_runs_in_bf16_where_it_was_measured_and_fitted_into_memory(tmp_path: Path) -> None:
    record(tmp_path, "length", "transformer", "base", {32: 1.0})
    record(tmp_path, "length", "transformer", "bf16", {16: 3.0})
    record(tmp_path, "length", "transformer", "bf16", {32: 1.0}, metric="out_of_memory")
    record(tmp_path, "length", "transformer", "compiled", {32: 9.0})
    rate = measured_rate(RECIPE, read_records(tmp_path, ["full"]), 32, 1)
    assert rate.value == Interval(3.0, 3.0)
    assert "bf16 at length 16" in rate.source


def test_one_routing_does_not_stand_for_another(tmp_path: Path) -> None:
    record(tmp_path, "length", "bahdanau", "base", {32: 1.0})
    parallel = replace(RECIPE, model="bahdanau", routing="parallel")
    with pytest.raises(ValueError, match=r"bahdanau \(parallel-bf16 or parallel\).*make speed SUITE=full TASKS=length"):
        measured_rate(parallel, read_records(tmp_path, ["full"]), 32, 1)
    record(tmp_path, "length", "bahdanau", "parallel", {32: 2.0})
    assert measured_rate(parallel, read_records(tmp_path, ["full"]), 32, 1).value.low == 2.0


def test_the_published_recipe_on_the_published_device_has_the_published_speed() -> None:
    big, gnmt = replace(RECIPE, flops_per_token=1.3e9), replace(RECIPE, model="bahdanau", routing="parallel")
    rate = published_rate(big, V100_PEAK, big, gnmt)
    tokens = Interval(*(value / big.flops_per_token for value in rate.value))
    assert tokens == pytest.approx(TRANSFORMER_BIG_TOKENS)
    twice = published_rate(big, 2 * V100_PEAK, big, gnmt)
    assert twice.value.low == pytest.approx(2 * rate.value.low)
    serial, parallel = (published_rate(replace(gnmt, routing=r), V100_PEAK, big, gnmt) for r in ("base", "parallel"))
    assert serial.value.high == pytest.approx(0.4 * parallel.value.high)
    assert "input feeding" in serial.source
    assert "input feeding" not in parallel.source


def test_published_efficiency_holds_for_its_devices_and_falls_as_a_power() -> None:
    assert efficiency(RECIPE, None, 1).value == (1.0, 1.0)
    assert efficiency(RECIPE, None, PUBLISHED_DEVICES).value == pytest.approx(TRANSFORMER_EFFICIENCY)
    squared = tuple(share**2 for share in RECURRENT_EFFICIENCY)
    assert efficiency(replace(RECIPE, model="lstm"), None, PUBLISHED_DEVICES**2).value == pytest.approx(squared)


def test_efficiency_of_gpus_is_the_measured_one_and_that_of_cores_says_nothing(tmp_path: Path) -> None:
    for machine in (CPU, GPU):
        root = tmp_path / str(len(machine["gpus"]))
        for kind, of_two in (("weak", 0.9), ("strong", 0.8)):
            metric = f"{kind}_efficiency"
            record(root, "devices", "transformer", "base", {1: 1.0, 2: of_two}, metric=metric, machine=machine)
        found = efficiency(RECIPE, read_records(root, ["full"]), 4)
        if machine is CPU:
            assert found == efficiency(RECIPE, None, 4)
        else:
            assert found.value == pytest.approx((0.8**2, 0.9**2))
            assert "80 to 90 % on 2 devices" in found.source
