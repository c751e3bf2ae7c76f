import pytest

from experiments.speed.bars.bar import Bar, Row

AT_LEAST, AT_MOST = Bar("a / b", "≥", 3.0, "interleaved"), Bar("c / d", "≤", 1.15, "interleaved")


@pytest.mark.parametrize(
    ("bar", "ratios", "outcome"),
    [
        (AT_LEAST, [2.9, 3.0, 9.0], "met"),
        (AT_LEAST, [2.9, 2.99, 9.0], "MISSED"),
        (AT_MOST, [1.0, 1.15, 9.0], "met"),
        (AT_MOST, [1.16, 1.2, 1.0], "MISSED"),
        (AT_MOST, [], "not measured"),
        (Bar("e / f", "≥", None, "interleaved"), [0.1], "for information"),
    ],
)
def test_the_median_decides(bar: Bar, ratios: list[float], outcome: str) -> None:
    assert Row(bar, ratios, "no GPU").outcome == outcome
