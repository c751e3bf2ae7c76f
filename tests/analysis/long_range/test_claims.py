"""Rules of the claims about long range at their edges; nothing is decided on missing or under-trained runs."""

from pathlib import Path
from typing import Any

import pytest

from analysis.claims.ledger import effect_text
from analysis.claims.verdict import CONTRADICTED, NOT_DECIDED, SUPPORTED, Verdict
from analysis.long_range.claims import PARTS
from analysis.long_range.evidence import Point
from analysis.long_range.rules import change, loss
from analysis.long_range.section import GROUPS
from analysis.statistics.intervals import wilson
from tests.support import verdicts
from tests.support.fakes.long_range import (
    FALLING,
    FLAT,
    Curve,
    axis_rows,
    gradient_rows,
    score_rows,
    write_everything,
    write_long_range,
)
from tests.support.fakes.runs import row

VECTOR = "One fixed vector must hold everything: the LSTM alone fails as copies grow"
FIXES = "Attention on top of the RNN fixes the accuracy (copy)"
GRADIENT = "RNNs forget: the gradient of the first words fades (plain RNN)"
SHUFFLED = "Without positions, “dog bites man” equals “man bites dog”"
SOFTMAX = "1/√d keeps the softmax from saturating (random queries and keys)"
COPIES = "No model copies far beyond its training length"
POSITIONS = "Without positions, order is lost (copy, variant none)"


def decided(path: Path) -> dict[str, Verdict]:
    return verdicts.decided(path, "long range")


def write_copies(path: Path, curves: dict[str, Curve], trained_to: float = 32, **settings: Any) -> None:
    for model, curve in curves.items():
        write_long_range(path, "copy", model, axis_rows(curve, "length", trained_to=trained_to), **settings)


def test_effects_and_reasons_are_the_numbers(tmp_path: Path) -> None:
    write_everything(tmp_path)
    found = decided(tmp_path)
    vector, gradient = found[VECTOR], found[GRADIENT]
    assert vector.effect is not None
    assert vector.effect.value == pytest.approx(0.14)  # 1.00 to 0.86 against 1.00 to 1.00
    assert "LSTM: 1.000 at length 4, 0.860 at length 32" in vector.reason
    assert gradient.effect is not None
    assert gradient.effect.value == pytest.approx(0.3**5)
    scaling = "1/√d matters for what is learned (copy, variant unscaled-d64)"
    assert list(found).index(scaling) == list(found).index(SOFTMAX) + 1
    assert found[scaling].reason.startswith("Transformer, scaled-d64: ")  # the network of the same size, not the base
    assert found[POSITIONS].outcome == SUPPORTED
    write_copies(tmp_path, {"transformer": FLAT}, control=0.9)
    assert "under-trained on copy: Transformer" in decided(tmp_path)[POSITIONS].reason


@pytest.mark.parametrize(
    ("model", "control", "reason"),
    [
        ("lstm", 0.97, "under-trained on copy: LSTM (control 0.970)"),
        ("bahdanau", 0.97, "under-trained on copy: LSTM + attention (control 0.970)"),
        ("lstm", None, "no control recorded for LSTM on copy"),
    ],
)
def test_no_claim_rests_on_an_under_trained_model(
    tmp_path: Path, model: str, control: float | None, reason: str
) -> None:
    write_copies(tmp_path, {"lstm": FALLING, "bahdanau": FLAT})
    write_copies(tmp_path, {model: FALLING}, control=control, seed=0 if control is None else 1)
    for claim in (VECTOR, FIXES):
        verdict = decided(tmp_path)[claim]
        assert (verdict.outcome, verdict.reason.partition(", below 0.99")[0]) == (NOT_DECIDED, reason)


@pytest.mark.parametrize(
    ("model", "rise", "settled"),
    [("lstm", 0.05, True), ("lstm", 0.08, False), ("bahdanau", 0.04, True), ("bahdanau", 0.06, False)],
)
def test_a_model_that_was_still_learning_is_not_called_unable(
    model: str, rise: float, settled: bool, tmp_path: Path
) -> None:
    """The LSTM loses 0.4 more, which supports one claim; attention is 0.3 below 0.9, which contradicts the other."""
    for name, curve in (("lstm", {4: 1.0, 8: 0.2}), ("bahdanau", {4: 1.0, 8: 0.6})):
        write_copies(tmp_path, {name: curve}, trained_to=8, rise=rise if name == model else 0.0)
    found = decided(tmp_path)
    outcomes = {VECTOR: SUPPORTED, FIXES: CONTRADICTED}
    concerned, other = (VECTOR, FIXES) if model == "lstm" else (FIXES, VECTOR)
    assert found[other].outcome == outcomes[other]
    assert found[concerned].outcome == (outcomes[concerned] if settled else NOT_DECIDED)
    if not settled:
        assert "still learning on copy when the budget ended" in found[concerned].reason
        assert f"{0.9 - rise:.3f} to 0.900 on validation in the last 20 % of its steps" in found[concerned].reason
        assert found[concerned].needed.startswith("A longer budget: ")


def test_extrapolation_never_counts_as_the_range_of_training(tmp_path: Path) -> None:
    """All that falls lies beyond training, so that one vector held everything it was trained to hold."""
    curves: dict[str, Curve] = {"lstm": {4: 1.0, 8: 1.0, 16: 0.2}, "bahdanau": {4: 1.0, 8: 1.0, 16: 1.0}}
    write_copies(tmp_path, curves, trained_to=8)
    found = decided(tmp_path)
    assert found[VECTOR].outcome == CONTRADICTED
    assert found[FIXES].outcome == NOT_DECIDED
    assert "the accuracy of the LSTM there is not below 0.9" in found[FIXES].reason
    for model in curves:
        rows = [r for r in axis_rows(FALLING, "length") if r["metric"] != "trained"]
        write_long_range(tmp_path, "copy", model, rows)
    assert "trained range of LSTM on copy was not recorded" in decided(tmp_path)[VECTOR].reason


def test_few_examples_or_one_dissenting_seed_leave_a_claim_open(tmp_path: Path) -> None:
    for model, curve in (("lstm", {4: 1.0, 8: 0.93}), ("bahdanau", {4: 1.0, 8: 1.0})):
        write_long_range(tmp_path, "copy", model, axis_rows(curve, "length", error=0.05))
    verdict = decided(tmp_path)[VECTOR]
    assert verdict.outcome == NOT_DECIDED
    assert "the interval crosses 0.05" in verdict.reason
    for seed, lstm in enumerate((FALLING, FALLING, FLAT)):
        write_copies(tmp_path, {"lstm": lstm, "bahdanau": FLAT}, seed=seed)
    assert decided(tmp_path)[VECTOR].outcome == NOT_DECIDED


def test_a_single_value_of_training_shows_no_loss(tmp_path: Path) -> None:
    for model in ("lstm", "bahdanau"):
        write_long_range(tmp_path, "associative-recall", model, axis_rows({8: 0.5}, "pairs, gap 104"))
    claim = "One fixed vector must hold everything: the LSTM alone fails as pairs grow (associative-recall)"
    assert "at more than one trained number of pairs, all else equal" in decided(tmp_path)[claim].reason


def test_groups_of_parts_are_those_of_the_ablations() -> None:
    assert {part.group for part in PARTS} <= set(GROUPS)


def test_a_gradient_measured_over_a_few_tokens_only_decides_nothing(tmp_path: Path) -> None:
    for last, outcome in ((16, NOT_DECIDED), (32, SUPPORTED)):
        rows = [r for r in gradient_rows(0.2) if r["x"] <= last]  # 0.2 ** 4 = 0.0016 at 16
        write_long_range(tmp_path, "recall", "rnn", rows, control=None)
        verdict = decided(tmp_path)[GRADIENT]
        assert verdict.outcome == outcome
        assert ("the distance measured is not at least 32 tokens" in verdict.reason) == (last < 32)
        assert verdict.effect is not None


def test_copying_far_needs_distance_and_every_model(tmp_path: Path) -> None:
    near, far, all_right = {8: 1.0, 10: 0.5}, {8: 1.0, 12: 0.5}, {8: 1.0, 12: 1.0}
    write_copies(tmp_path, {"lstm": near, "transformer": near}, trained_to=8)
    assert "at 1.5 times the trained length 8" in decided(tmp_path)[COPIES].reason
    write_copies(tmp_path, {"lstm": far, "transformer": far}, trained_to=8)
    assert decided(tmp_path)[COPIES].outcome == SUPPORTED  # 0.5 ** 4 = 0.0625
    write_copies(tmp_path, {"rnn": far}, trained_to=8, control=0.5)
    assert "under-trained on copy: plain RNN" in decided(tmp_path)[COPIES].reason
    write_copies(tmp_path, {"transformer": all_right}, trained_to=8)
    assert decided(tmp_path)[COPIES].outcome == CONTRADICTED  # one model is enough
    write_copies(tmp_path, {"lstm": all_right, "transformer": all_right}, trained_to=8, control=0.5)
    assert decided(tmp_path)[COPIES].reason.startswith("under-trained on copy: plain RNN (control 0.500), LSTM")


@pytest.mark.parametrize(
    ("unscaled", "outcome"),
    [
        (1.99, SUPPORTED),
        (2.0, NOT_DECIDED),  # half of 4 is not below half
        (3.6, NOT_DECIDED),
        (3.61, CONTRADICTED),
    ],
)
def test_the_softmax_saturates_below_half_and_stays_even_above_nine_tenths(
    tmp_path: Path, unscaled: float, outcome: str
) -> None:
    rows = [row("score_entropy", 4.0, "nats", 64, "head size, scaled", d) for d in (16, 64, 256)]
    for d, value in ((16, 4.0), (64, unscaled), (256, 0.0)):  # only head size 64 counts
        rows.append(row("score_entropy", value, "nats", 64, "head size, unscaled", d))
    write_long_range(tmp_path, "recall", "transformer", rows, control=None)
    verdict = decided(tmp_path)[SOFTMAX]
    assert (verdict.outcome, effect_text(verdict.effect)) == (outcome, f"{unscaled / 4:.3f}")  # no interval
    assert verdict.reason.startswith(f"{unscaled:.2f} nats without scaling against 4.00 with it at d = 64")
    assert ("the ratio is not below 0.5 and not above 0.9" in verdict.reason) == (outcome == NOT_DECIDED)


@pytest.mark.parametrize("lost", ["head size, scaled", "head size, unscaled", 64])
def test_a_softmax_measured_in_part_decides_nothing(tmp_path: Path, lost: str | int) -> None:
    rows = [r for r in score_rows() if lost not in (r["x_name"], r["x"])]
    write_long_range(tmp_path, "recall", "transformer", rows)
    verdict = decided(tmp_path)[SOFTMAX]
    assert verdict.outcome == NOT_DECIDED
    assert verdict.reason == "not run: no score entropy with and without scaling at head size 64"


def test_intervals_grow_until_they_hold_every_seed() -> None:
    high = Point(1, wilson(0.9, 10_000), {0: 0.8, 1: 1.0}, 5000)
    low = Point(2, wilson(0.5, 10_000), {0: 0.4, 1: 0.6}, 5000)
    assert change(high, low)[1:] == pytest.approx((0.2, 0.6))  # any seed against any other
    assert loss(high, low)[1:] == pytest.approx((0.4, 0.4), abs=0.02)  # each seed against itself


def test_tasks_without_a_variant_to_compare_with_say_nothing_about_shuffling(tmp_path: Path) -> None:
    """To parity the order of the bits does not matter, whatever the positions."""
    write_long_range(tmp_path, "parity", "transformer", [row("permutation_difference", 1e-5, "probability", 100)])
    for variant, shift in (("none", 0.0), ("base", 0.9)):
        rows = [row("permutation_difference", shift, "probability", 100)]
        write_long_range(tmp_path, "reverse", "transformer", rows, variant=variant)
    assert decided(tmp_path)[SHUFFLED].outcome == SUPPORTED
