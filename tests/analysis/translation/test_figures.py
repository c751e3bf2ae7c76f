"""Figures of differences: shares that add up, colours of the models, and numbers told to those who cannot see."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.page.labels import COLOURS, Look
from analysis.statistics.intervals import Interval
from analysis.store import System
from analysis.translation.figures import chrf_differences, frequency_curves, length_ratios, step_shares

LSTM, TRANSFORMER, BIG = System("lstm", "base"), System("transformer", "base"), System("transformer", "big")
LOOK = Look([LSTM, TRANSFORMER, BIG])
NAN = float("nan")


@pytest.mark.parametrize(
    ("difference", "place"),
    [
        *[(-100, 0), (-40, 0), (-39, 1), (-20, 1), (-10, 2), (-9.9, 3), (-0.1, 3), (0, 4), (1e-12, 4)],
        *[(0.1, 5), (10, 6), (20, 7), (39, 7), (40, 8), (100, 8)],
    ],
)
def test_a_difference_stands_on_its_side_and_step(difference: float, place: int) -> None:
    assert step_shares(np.array([difference])).tolist() == [100.0 if i == place else 0.0 for i in range(9)]


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=30))
def test_shares_add_up_and_turn_round(differences: list[float]) -> None:
    there, back = (step_shares(sign * np.array(differences)) for sign in (1, -1))
    assert there.sum() == pytest.approx(100)
    assert there.tolist() == back[::-1].tolist()


def texts(svg: str) -> set[str]:
    return {"".join(t.itertext()) for t in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")}


def test_sides_have_the_colours_of_their_models() -> None:
    figure = chrf_differences("chrf", LOOK, LSTM, TRANSFORMER, np.array([-5.0, 0, 12, 50]))
    assert all(COLOURS[model].lower() in figure.svg.lower() for model in ("lstm", "transformer"))
    assert {"LSTM better", "equal", "Transformer better"} <= texts(figure.svg)
    assert "equal: 25.0 %" in figure.description
    assert "Transformer better by below 10: 0.0 %, 10–20: 25.0 %, 20–40: 0.0 %, 40+: 25.0 %" in figure.description
    assert "LSTM better by below 10: 25.0 %" in figure.description


def test_variants_of_one_model_are_told_apart_by_hatching() -> None:
    differences = np.array([-5.0, 5.0])
    assert "pattern" in chrf_differences("a", LOOK, TRANSFORMER, BIG, differences).svg
    assert "pattern" not in chrf_differences("b", LOOK, LSTM, BIG, differences).svg


def test_frequency_curves_say_their_numbers_and_leave_out_missing_bands() -> None:
    curve = [(Interval(20.0, NAN, NAN), [20.0]), (Interval(60.0, 55.0, 65.0), [60.0])]
    seeds = [(Interval(NAN, NAN, NAN), [NAN, NAN]), (Interval(70.0, 65.0, 75.0), [69.0, 71.0])]
    figure = frequency_curves("f", "test2016", LOOK, {LSTM: curve, TRANSFORMER: seeds}, ["0", "1+"], [4, 900])
    assert "LSTM: 20.0, 60.0" in figure.description
    assert {"n=4", "n=900"} <= texts(figure.svg)
    assert "nan" not in figure.svg.lower()


def test_lengths_beyond_the_axis_are_drawn_at_its_end() -> None:
    figure = length_ratios("lengths", "Lengths", LOOK, {LSTM: [np.array([0.0, 1.0, 40.0])]})
    assert "LSTM: median 1.00" in figure.description
    assert "Lengths" in texts(figure.svg)
