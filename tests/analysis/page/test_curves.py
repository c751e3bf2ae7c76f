"""Curves along an axis of a task: marks on a logarithmic axis."""

import re

import pytest

from analysis.page.curves import Point, by_x
from analysis.page.look import Look
from analysis.statistics.intervals import Interval
from analysis.store import System


@pytest.mark.parametrize(("low", "marks"), [(0.002, {"0.002", "0.01", "0.05", "0.2"}), (1e-7, set())])
def test_logarithmic_axes_of_few_decades_have_marks_between_them(low: float, marks: set[str]) -> None:
    lstm = System("lstm", "base")
    points = [Point(x, Interval(y, y, y), {0: y}, 8) for x, y in ((1, 0.2), (8, low))]
    figure = by_x("errors", "Errors", Look([lstm]), {lstm: points}, {}, "length", "error", share=False, log_y=True)
    found = {text for text in re.findall(r"<text[^>]*>([^<]*)</text>", figure.svg) if text.startswith("0.")}
    assert found >= marks
    assert bool(found) == bool(marks)
