"""`make plan`: its arithmetic by hand, its output on a small suite, and what it says of mistakes."""

import math
import re
from pathlib import Path
from typing import Any

import pytest

from experiments.planning.grid import EXPERIMENTS, models_in
from experiments.speed.cost import estimate as cost
from experiments.speed.cost.estimate import PUBLISHED, Cluster, Estimate
from experiments.speed.cost.throughput import Interval, Rate
from tests.experiments.speed.cost.test_recipe import RECIPE
from tests.experiments.speed.cost.test_throughput import GPU, record

WORK = 6e6 * 10 * 1000  # FLOP of RECIPE


def estimate(cluster: Cluster, rate: tuple[float, float], share: tuple[float, float] = (1.0, 1.0)) -> Estimate:
    return Estimate(RECIPE, cluster, Rate(Interval(*rate), "here"), Rate(Interval(*share), "here"))


def printed(capsys: pytest.CaptureFixture[str], **given: Any) -> str:
    """The plan of a small suite."""
    cost.main(**{"suite": "smoke", "models": "transformer", **given})
    return capsys.readouterr().out


def test_hours_are_operations_over_rate_devices_and_efficiency() -> None:
    assert estimate(Cluster(1, 1), (WORK / 3600, WORK / 1800)).hours == pytest.approx((0.5, 1.0))
    of_eight = estimate(Cluster(4, 2, 3.0), (WORK, WORK), (0.5, 0.8))
    assert of_eight.hours == pytest.approx((1 / 3600 / 8 / 0.8, 1 / 3600 / 8 / 0.5))
    assert of_eight.device_hours == pytest.approx((1 / 3600 / 0.8, 1 / 3600 / 0.5))
    assert of_eight.cost == pytest.approx((3 / 3600 / 0.8, 3 / 3600 / 0.5))


def test_a_plan_from_measured_speed_lists_its_assumptions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path, "length", "transformer", "base", {32: 1e9})
    plan = re.sub(r"\s+", " ", printed(capsys, root=str(tmp_path), devices=2, price=2.5))
    assert "hours on 2 devices" in plan
    assert "transformer base at length 32 in" in plan
    assert "Not a GPU: these are hours of machines like this one." in plan
    assert "A device costs 2.5 an hour." in plan
    assert "set data.init_args.max_tokens to " in plan
    on_gpu = record(tmp_path / "gpu", "length", "transformer", "base", {32: 1e6}, machine=GPU)
    plan = printed(capsys, root=str(on_gpu), devices=1)
    assert "Measured on a GPU." in plan
    assert "Not a GPU" not in plan
    assert "cost " not in plan
    work, hours = (
        float(re.findall(rf"^{name} +(\S+)$", plan, re.MULTILINE)[0].replace(",", ""))
        for name in ("FLOP in all", "hours on one device")
    )
    assert hours == pytest.approx(work / 1e6 / 3600, rel=0.1)


def test_a_device_that_was_not_measured_reaches_the_published_share_of_its_peak(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small networks stand for those of the publication, which the suite paper has."""
    assert {*PUBLISHED} <= {*models_in(EXPERIMENTS / "configs" / "bleu" / "paper")}
    planned = cost.planned
    monkeypatch.setattr(cost, "planned", lambda _, name: planned("smoke", name.partition("-")[0]))
    plan = re.sub(r"\s+", " ", printed(capsys, peak=100, devices=1))
    assert "of the data sheet's peak, as transformer on a V100" in plan
    assert "Devices faster than a V100 reach a smaller share" in plan


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "no speed was measured yet in .*make speed SUITE=full"),
        ({"suite": "huge"}, "SUITE is 'huge'"),
        ({"models": "gpt", "peak": 100}, "MODELS names 'gpt'"),
        ({"price": math.inf, "devices": 1}, "cannot convert float infinity"),
        ({"devices": 9999, "peak": 100}, "9999 devices are too many"),
    ],
)
def test_a_mistake_is_one_line(given: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    if given.keys() & {"suite", "price"}:
        record(tmp_path, "length", "lstm", "base", {32: 1e9})
    with pytest.raises(SystemExit) as stopped:
        cost.main(**{"suite": "smoke", "models": "lstm", "root": str(tmp_path), **given})
    assert re.match(f"error: {complaint}", str(stopped.value.code))
    assert "\n" not in str(stopped.value.code)
