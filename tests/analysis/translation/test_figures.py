"""Figures of translation: shares that add up, colours of the models, numbers in words, tokens as they were written."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from analysis.page.look import COLOURS, Look
from analysis.statistics.intervals import Interval
from analysis.store import System
from analysis.translation.figures import (
    Bin,
    attention_map,
    bin_names,
    by_bin,
    chrf_differences,
    length_ratios,
    step_shares,
)

LSTM, TRANSFORMER, BIG = System("lstm", "base"), System("transformer", "base"), System("transformer", "big")
LOOK = Look([LSTM, TRANSFORMER, BIG])
NAN = float("nan")


def texts(svg: str) -> list[str]:
    return ["".join(t.itertext()) for t in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize(
    ("difference", "place"),
    [
        *[(-100, 0), (-40, 0), (-39, 1), (-20, 1), (-10, 2), (-9.9, 3), (-0.1, 3), (0, 4), (1e-12, 4)],
        *[(0.1, 5), (10, 6), (20, 7), (39, 7), (40, 8), (100, 8)],
    ],
)
def test_a_difference_is_counted_on_its_side_and_step(difference: float, place: int) -> None:
    assert step_shares(np.array([difference])).tolist() == [100.0 if i == place else 0.0 for i in range(9)]


def test_sides_have_the_colours_of_their_models_or_hatching() -> None:
    figure = chrf_differences("chrf", LOOK, LSTM, TRANSFORMER, np.array([-5.0, 0, 12, 50]))
    assert all(COLOURS[model].lower() in figure.svg.lower() for model in ("lstm", "transformer"))
    assert {"LSTM better", "equal", "Transformer better"} <= set(texts(figure.svg))
    assert "equal: 25.0 %" in figure.description
    assert "Transformer better by below 10: 0.0 %, 10–20: 25.0 %, 20–40: 0.0 %, 40+: 25.0 %" in figure.description
    assert "LSTM better by below 10: 25.0 %" in figure.description
    assert "pattern" not in figure.svg
    assert "pattern" in chrf_differences("a", LOOK, TRANSFORMER, BIG, np.array([-5.0, 5.0])).svg


def test_bins_have_their_sizes_and_missing_intervals_no_band() -> None:
    one = {0: Bin(Interval(20.0, NAN, NAN), [20.0]), 1: Bin(Interval(60.0, 55.0, 65.0), [60.0])}
    seeds = {0: Bin(Interval(NAN, NAN, NAN), [NAN, NAN]), 1: Bin(Interval(70.0, 65.0, 75.0), [69.0, 71.0])}
    bins = dict(zip(bin_names([1, 11]), (40, 7), strict=True))
    figure = by_bin("f", "test2016", LOOK, {LSTM: one, TRANSFORMER: seeds}, bins, "source words", "BLEU")
    assert "BLEU by source words (1–10, 11+). LSTM: 20.0, 60.0; Transformer: –, 70.0." in figure.description
    assert {"1–10", "11+", "n=40", "n=7"} <= set(texts(figure.svg))
    assert "nan" not in figure.svg.lower()
    assert bin_names([1, 11, 12]) == ["1–10", "11", "12+"]


def test_lengths_beyond_the_axis_are_drawn_at_its_end() -> None:
    figure = length_ratios("lengths", "Lengths", LOOK, {LSTM: [np.array([0.0, 1.0, 40.0])]})
    assert "LSTM: median 1.00" in figure.description
    assert "Lengths" in texts(figure.svg)


@pytest.mark.parametrize("token", ["$x_1$", "$", "<script>alert(1)</script>", "&amp;", '"', "▁Straße", "_", "\\frac"])
def test_any_token_is_shown_as_written(token: str) -> None:
    weights = np.full((3, 2), 0.5)
    figure = attention_map("map", "Transformer", COLOURS["transformer"], weights, [token, "</s>"], ["a", token, "</s>"])
    assert texts(figure.svg).count(token) == 2
    assert "<script" not in figure.svg
