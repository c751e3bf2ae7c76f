"""Verdicts: what lines ask of an interval, what would change the outcome, and who was still learning."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.claims.ledger import decides, what_changes
from analysis.claims.verdict import (
    ABOVE,
    AT_LEAST,
    BELOW,
    CANNOT_TELL,
    CONTRADICTED,
    NOT_DECIDED,
    SUPPORTED,
    Finding,
    Line,
    Power,
    Rule,
    Verdict,
    above,
    below,
    decided,
    verdict,
    within,
)
from analysis.statistics.intervals import Interval


def judge(lines: Sequence[Line], value: float, low: float, high: float) -> Verdict:
    return decided(lines, Finding("", Interval(value, low, high)))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            decided(above(0.05), Finding("", Interval(0.6, 0.5, 0.7))),
            "Not decided if the interval (0.500 to 0.700) reached down to 0.05; contradicted if it lay below 0.05.",
        ),
        (
            decided(within(0.05), Finding("", Interval(0.0, -0.01, 0.01))),
            "Not decided if the interval (−0.010 to 0.010) reached up to 0.05 or reached down to −0.05; contradicted "
            "if it lay above 0.05 or lay below −0.05.",
        ),
        (
            decided((Line("the ratio", BELOW, 0.5, 0.9),), Finding("", Interval(4, 4, 4))),
            "Not decided if the ratio (4.000) reached down to 0.9; supported if it lay below 0.5.",
        ),
        (
            decided(above(0.05), Finding("", Interval(1, math.nan, math.nan))),
            "Supported if the interval (unknown) lay above 0.05; contradicted if it lay below 0.05.",
        ),
        (Verdict(NOT_DECIDED, "", needed="A longer budget."), "A longer budget."),
    ],
)
def test_what_would_change_a_verdict_is_said_with_the_numbers_of_its_rule(found: Verdict, said: str) -> None:
    assert what_changes(found) == said


@given(st.sampled_from([above(0.3), below(0.3), within(0.3)]), st.floats(-1, 1), st.floats(0, 1), st.floats(-1, 1))
def test_a_verdict_changes_as_said(lines: tuple[Line, ...], low: float, width: float, shift: float) -> None:
    """An interval that is moved keeps its verdict until it reaches a line of the rule."""
    before, after = (judge(lines, x, x, x + width) for x in (low, low + shift))
    ends = sorted((low, low + shift))
    if before.outcome != after.outcome:
        assert any(ends[0] <= line.at <= ends[1] + width for line in lines)


@pytest.mark.parametrize(
    ("lines", "outcomes"),
    [
        (above(0.05), [CONTRADICTED, NOT_DECIDED, SUPPORTED]),
        (below(0.05), [SUPPORTED, NOT_DECIDED, CONTRADICTED]),
        (within(0.05), [SUPPORTED, NOT_DECIDED, CONTRADICTED]),
    ],
)
def test_lines_are_for_the_whole_interval(lines: tuple[Line, ...], outcomes: list[str]) -> None:
    intervals = [(0.02, 0.0, 0.04), (0.05, 0.04, 0.06), (0.08, 0.06, 0.1)]
    assert [judge(lines, *interval).outcome for interval in intervals] == outcomes
    assert judge(lines, 1.0, math.nan, math.nan).outcome == NOT_DECIDED


def test_a_rule_is_said_with_the_numbers_of_its_lines() -> None:
    lines = (Line("the change", BELOW, 0.001, 0.01), Line("the other", ABOVE, -2))
    rule = Rule("", lines, lambda: Finding("", Interval(0, 0, 0)))
    assert decides(rule) == (
        "Supported if the change lies below 0.001 and the other lies above −2; contradicted if the change lies above "
        "0.01 or the other lies below −2"
    )


@pytest.mark.parametrize(
    ("side", "enough", "short"), [(ABOVE, 2.1, 2.0), (BELOW, 1.9, 2.0), (BELOW, 1.9, math.nan), (AT_LEAST, 2.0, 1.9)]
)
def test_a_measurement_without_power_cannot_tell(side: str, enough: float, short: float) -> None:
    power, effect = Power("the length", side, 2, "tokens"), Interval(0.5, 0.4, 0.6)

    def rule(value: float) -> Rule:
        return Rule("", above(0.3), lambda: Finding("seen", effect, power=[value]), [power])

    assert verdict(rule(enough)).outcome == SUPPORTED
    found = verdict(rule(short))
    assert (found.outcome, found.tested, found.effect) == (CANNOT_TELL, True, effect)
    said = "unknown" if math.isnan(short) else f"{short:g}"
    assert found.reason == f"seen; the length is {said}, not {side} 2 tokens"
    assert what_changes(found) == f"A measurement in which the length is {side} 2 tokens."


def test_a_rule_says_whether_its_measurement_had_power() -> None:
    rule = Rule("", above(0.3), lambda: Finding("", Interval(0.5, 0.4, 0.6)), [Power("the length", ABOVE, 2)])
    with pytest.raises(ValueError, match="shorter"):
        verdict(rule)


def test_why_nothing_is_decided_is_said() -> None:
    assert judge((Line("it", ABOVE, 1, 0),), 0.5, 0.4, 0.6).reason == "; it is not above 1 and not below 0"
    assert judge(above(0.5), 0.5, 0.4, 0.6).reason == "; the interval crosses 0.5"
