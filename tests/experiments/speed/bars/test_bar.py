import pytest

from experiments.speed.bars.bar import Bar, Row, table

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


def test_the_table_shows_bar_spread_outcome_and_how() -> None:
    rows = [Row(AT_LEAST, [3.0, 4.0, 5.0]), Row(AT_MOST, [2.0]), Row(AT_MOST, reason="no GPU: not measured")]
    head, first, second, third = table(rows).splitlines()
    assert first.split() == ["a", "/", "b", "≥", "3", "4.00", "(3.50", "to", "4.50)", "met", "interleaved"]
    assert second.split()[5:] == ["2.00", "(2.00", "to", "2.00)", "MISSED", "interleaved"]
    assert "no GPU: not measured" in third
    columns = [line.index("interleaved") for line in (first, second, third)]
    assert set(columns) == {head.index("how")}
