"""`make plan`: its arithmetic by hand, its output on a small suite, and what it says of mistakes."""

import inspect
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.speed.cost import estimate as cost
from experiments.speed.cost.estimate import Cluster, Estimate, between, check, scientific, table
from experiments.speed.cost.throughput import TERA, Efficiency, Interval, Pace
from tests.experiments.speed.cost.test_recipe import RECIPE
from tests.experiments.speed.cost.test_throughput import GPU, record
from tests.support.readme import ROOT

WORK = 6e6 * 10 * 1000  # FLOP of RECIPE
STEP = WORK / 10


def estimate(cluster: Cluster, pace: Pace, share: Interval = Interval(1.0, 1.0)) -> Estimate:  # noqa: B008
    return Estimate(RECIPE, cluster, pace, Efficiency(share, "here"))


def said(capsys: pytest.CaptureFixture[str], **given: str) -> str:
    """What a plan of a small suite prints."""
    cost.main(**{"suite": "smoke", "models": "transformer", **given})  # type: ignore[arg-type]
    return capsys.readouterr().out


def test_hours_are_operations_over_pace_devices_and_efficiency() -> None:
    of_one = estimate(Cluster(1, 1), Pace(Interval(WORK / 3600, WORK / 1800), "here"))
    assert of_one.hours == pytest.approx((0.5, 1.0))
    of_eight = estimate(Cluster(4, 2, 3.0), Pace(Interval(WORK, WORK), "here"), Interval(0.5, 0.8))
    assert of_eight.hours == pytest.approx((1 / 3600 / 8 / 0.8, 1 / 3600 / 8 / 0.5))
    assert of_eight.device_hours == pytest.approx((1 / 3600 / 0.8, 1 / 3600 / 0.5))
    assert of_eight.cost == pytest.approx((3 / 3600 / 0.8, 3 / 3600 / 0.5))


def test_more_devices_do_not_shorten_a_step_below_its_least() -> None:
    pace = Pace(Interval(STEP, STEP), "here", Interval(0.25, 0.5))  # one step takes a second on one device
    hours = {devices: estimate(Cluster(devices, 1), pace).hours for devices in (1, 2, 4, 8)}
    seconds = {devices: tuple(value * 360 for value in each) for devices, each in hours.items()}
    assert seconds[1] == pytest.approx((1.0, 1.0))
    assert seconds[2] == pytest.approx((0.5, 0.5))
    assert seconds[4] == pytest.approx((0.25, 0.5))
    assert seconds[8] == pytest.approx((0.25, 0.5))


positive = st.floats(1e-3, 1e3)


@given(st.tuples(positive, positive), st.tuples(positive, positive), st.tuples(positive, positive))
def test_the_lower_end_is_never_above_the_upper(
    pace: tuple[float, float], share: tuple[float, float], least: tuple[float, float]
) -> None:
    flops, shares, leasts = (Interval(*sorted(pair)) for pair in (pace, share, least))
    hours = estimate(Cluster(2, 3), Pace(flops, "here", leasts), shares).hours
    assert 0 < hours.low <= hours.high


@pytest.mark.parametrize(
    ("interval", "shown"),
    [((1.0, 1.0), "1.0"), ((0.0512, 0.0878), "0.051 to 0.088"), ((12.34, 1234.5), "12 to 1,200"), ((9.96, 10), "10")],
)
def test_estimates_are_shown_with_two_digits(interval: tuple[float, float], shown: str) -> None:
    assert between(Interval(*interval)) == shown


def test_large_numbers_are_short() -> None:
    assert [scientific(value) for value in (3.28e18, 2.5e9, 12345)] == ["3.3e18", "2.5e9", "1.2e4"]


def test_a_table_has_a_column_a_recipe_and_a_cost_only_with_a_price() -> None:
    pace = Pace(Interval(WORK, WORK), "here")
    lines = table([estimate(Cluster(5, 2), pace)] * 2)
    assert len({len(line) for line in lines}) == 1
    assert lines[0].split() == ["transformer", "transformer"]
    assert not any(line.startswith("cost") for line in lines)
    assert any(line.startswith("hours on 10 devices") for line in lines)
    assert any(line.startswith("cost") for line in table([estimate(Cluster(1, 1, 2.0), pace)]))


def test_a_plan_from_measured_speed_lists_what_it_rests_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path, "length", "transformer", "base", {32: 1e9})
    plan = re.sub(r"\s+", " ", said(capsys, root=str(tmp_path), devices="2", nodes="1", price="2.5"))
    assert "hours on 2 devices" in plan
    assert "transformer base at length 32 in" in plan
    assert "No GPU was: these are hours of machines like this one." in plan
    assert "A device costs 2.5 an hour: PRICE." in plan
    assert "max_tokens is to be " in plan
    record(tmp_path, "length", "transformer", "base", {32: 1e9}, machine=GPU)
    plan = said(capsys, root=str(tmp_path), devices="1")
    assert "Measured was one device, a GPU." in plan
    assert "No GPU" not in plan
    assert "cost " not in plan


def test_hours_printed_are_those_of_the_operations_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path, "length", "transformer", "base", {32: 1e6})
    plan = said(capsys, root=str(tmp_path), devices="1")
    work, hours = (float(re.findall(rf"^{name} +(\S+)$", plan, re.MULTILINE)[0].replace(",", "")) for name in (
        "FLOP in all", "hours on one device"
    ))  # fmt: skip
    assert hours == pytest.approx(work / 1e6 / 3600, rel=0.1)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "no speed was measured yet in .*make speed SUITE=full"),
        ({"suite": "huge"}, "SUITE is 'huge'"),
        ({"models": "gpt", "peak": "100"}, "MODELS names 'gpt'"),
        ({"devices": "two", "peak": "100"}, "DEVICES is 'two'; it must be a whole number above 0"),
        ({"nodes": "0", "peak": "100"}, "NODES is '0'"),
        ({"price": "free", "peak": "100"}, "PRICE is 'free'; it must be a number above 0"),
        ({"price": "nan", "peak": "100"}, "PRICE is 'nan'"),
        ({"peak": "-1"}, "PEAK is '-1'"),
        ({"devices": "9999", "peak": "100"}, "DEVICES x NODES is 9999"),
    ],
)
def test_a_mistake_is_one_line(given: dict[str, str], complaint: str, tmp_path: Path) -> None:
    if "suite" in given:
        record(tmp_path, "length", "lstm", "base", {32: 1e9})
    with pytest.raises(SystemExit) as stopped:
        cost.main(**{"suite": "smoke", "models": "lstm", "root": str(tmp_path), **given})  # type: ignore[arg-type]
    assert re.match(f"error: {complaint}", str(stopped.value.code))
    assert "\n" not in str(stopped.value.code)


def test_our_count_of_the_transformer_stands_beside_the_published_price() -> None:
    base = replace(RECIPE, steps=100_000, tokens=25_000, flops_per_token=3.3e18 / 2.5e9 / 4)
    checked = re.sub(r"\s+", " ", "".join(check([base])))
    assert "8.2e17 FLOP counted" in checked
    assert "did 2.4 TFLOP/s each, 25 % of that." in checked
    assert check([replace(base, name="lstm"), replace(base, steps=10)]) == []


def test_the_price_that_the_paper_prints_is_hours_times_an_assumed_speed() -> None:
    price = 12 * 3600 * 8 * 9.5 * TERA
    assert price == cost.VASWANI_HOURS * 3600 * cost.VASWANI_DEVICES * cost.VASWANI_SUSTAINED
    assert price == pytest.approx(cost.VASWANI_COST, rel=0.01)


def test_make_plan_passes_options_that_there_are() -> None:
    recipe = re.findall(r"^plan: .*?\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)[-1]
    options = set(re.findall(r"--([a-z]+) ", recipe))
    assert options <= set(inspect.signature(cost.main).parameters)
    assert {"suite", "devices", "nodes", "price", "peak"} <= options
