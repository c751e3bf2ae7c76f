"""Logarithmic figures: values, fits, crossings and missing memory are drawn and said."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from analysis.page.canvas import Figure
from analysis.page.look import COLOURS, Look
from analysis.speed.figures import Chart, logarithmic
from analysis.speed.runs import Median
from analysis.speed.scaling_laws import Crossing, Fit
from analysis.statistics.intervals import Interval
from analysis.store import System

LSTM, TRANSFORMER = System("lstm", "base"), System("transformer", "base")
LOOK = Look([LSTM, TRANSFORMER])
NAN = float("nan")
CHART = Chart(
    "speed-step",
    "Step time by length",
    "length",
    "step time",
    "ms",
    {
        LSTM: {16.0: Median(0.01, 0.009, 0.011), 64.0: Median(0.04, 0.03, 0.05), 256.0: Median(2.0, 1.0, 3.0)},
        TRANSFORMER: {16.0: Median(0.03, NAN, NAN), 64.0: Median(0.03, NAN, NAN)},
    },
    fits={LSTM: Fit(Interval(0.5, 0.4, 0.6), 0.005, 16, 64, 3)},
    crossings=[Crossing(LSTM, TRANSFORMER, Interval(48, 40, 60), 0.03)],
    absent={TRANSFORMER: [256.0]},
    scale=1000,
)
SVG = "{http://www.w3.org/2000/svg}"


def texts(figure: Figure) -> list[str]:
    return ["".join(t.itertext()) for t in ET.fromstring(figure.svg).iter(f"{SVG}text")]


def test_the_description_says_all_that_is_drawn() -> None:
    said = logarithmic(LOOK, CHART).description
    assert "step time in ms over length" in said
    assert "LSTM: 10 at 16, 40 at 64, 2,000 at 256 (exponent 0.50 from 16 to 64)" in said
    assert "Transformer: 30 at 16, 30 at 64; Transformer ran out of memory at 256" in said
    assert "LSTM and Transformer cross at 48" in said


def test_values_are_marked_on_both_axes_in_plain_numbers() -> None:
    shown = texts(logarithmic(LOOK, CHART))
    assert {"16", "64", "256", "10", "100", "1,000", "step time (ms)"} <= set(shown)
    assert not any("e+" in text for text in shown)


def test_lengths_without_memory_are_on_the_axis() -> None:
    curves = {s: {x: m for x, m in curve.items() if x < 256} for s, curve in CHART.curves.items()}
    assert "256" in texts(logarithmic(LOOK, replace(CHART, curves=curves)))
    assert "256" not in texts(logarithmic(LOOK, replace(CHART, curves=curves, absent={})))


@pytest.mark.parametrize("part", ["fits", "crossings", "absent"])
def test_every_part_leaves_its_mark(part: str) -> None:
    without = replace(CHART, **{part: () if part == "crossings" else {}})  # type: ignore[arg-type]
    assert logarithmic(LOOK, CHART).svg.count("<path") > logarithmic(LOOK, without).svg.count("<path")


def test_missing_quartiles_are_not_drawn() -> None:
    figure = logarithmic(LOOK, CHART)
    assert "nan" not in re.sub(r"<desc.*?</desc>", "", figure.svg).lower()
    assert COLOURS["transformer"].lower() in figure.svg.lower()


@pytest.mark.parametrize("value", [0.8, 3.0, 47.0])
def test_an_axis_of_one_value_has_marks(value: float) -> None:
    curve = {16.0: Median(value, value, value), 64.0: Median(value * 1.01, NAN, NAN)}
    figure = logarithmic(LOOK, replace(CHART, curves={LSTM: curve}, fits={}, crossings=(), absent={}, scale=1))
    numbers = [text for text in texts(figure) if re.fullmatch(r"[\d.,]+", text)]
    assert len(numbers) >= 4  # two lengths and at least two values


def test_large_values_have_prefixes_and_the_ideal_line_its_name() -> None:
    assert {"100k", "ideal"} <= set(texts(logarithmic(LOOK, replace(CHART, scale=1e6, ideal=[(16, 0.01), (256, 1)]))))
