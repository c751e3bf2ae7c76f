"""Figures of translation: bins with their sizes, numbers in words, tokens as they were written."""

import xml.etree.ElementTree as ET

from analysis.page.look import Look
from analysis.statistics.intervals import Interval
from analysis.store import System
from analysis.translation.figures import Bin, bin_names, by_bin

LSTM, TRANSFORMER = System("lstm", "base"), System("transformer", "base")
LOOK = Look([LSTM, TRANSFORMER])
NAN = float("nan")


def texts(svg: str) -> list[str]:
    return ["".join(t.itertext()) for t in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_bins_have_their_sizes_and_missing_intervals_no_band() -> None:
    one = {0: Bin(Interval(20.0, NAN, NAN), [20.0]), 1: Bin(Interval(60.0, 55.0, 65.0), [60.0])}
    seeds = {0: Bin(Interval(NAN, NAN, NAN), [NAN, NAN]), 1: Bin(Interval(70.0, 65.0, 75.0), [69.0, 71.0])}
    bins = dict(zip(bin_names([1, 11]), (40, 7), strict=True))
    figure = by_bin("f", "test2016", LOOK, {LSTM: one, TRANSFORMER: seeds}, bins, "source words", "BLEU")
    assert "BLEU by source words (1–10, 11+). LSTM: 20.0, 60.0; Transformer: –, 70.0." in figure.description
    assert {"1–10", "11+", "n=40", "n=7"} <= set(texts(figure.svg))
    assert "nan" not in figure.svg.lower()
    assert bin_names([1, 11, 12]) == ["1–10", "11", "12+"]
