"""What repeats and what does not: two outcomes of one run, number by number."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.reproduce.comparison import (
    EARLY,
    OTHER_TEXTS,
    TIMED,
    TOLERANCES,
    Comparison,
    Hypothesis,
    Outcome,
    Place,
    Tolerance,
    compare,
    read_outcome,
)
from tests.support.fakes.repeated import write_run

LOSS = Place("val_loss", "nats", "", None, 300)
STEPS = Place("steps", "steps", "", None, 1)
SCORES = Place("bleu", "BLEU", "test_set", "test", 20)
WORDS = Hypothesis("ein Hund", 3, False, -1.25, -2.5)


def outcome() -> Outcome:
    numbers = {LOSS: 2.5, STEPS: 40.0, SCORES: 12.0}
    hypotheses = {("test", number): WORDS._replace(text=f"ein Hund {number}") for number in range(20)}
    return Outcome({"trainer.max_steps": 40}, numbers, hypotheses, {"weights": "ab" * 32})


def compared(changes: dict[str, Any], exact: bool) -> Comparison:
    """The outcome against itself with other fields."""
    return compare("lstm", outcome(), replace(outcome(), **changes), exact)


def with_number(place: Place, value: float) -> dict[str, Any]:
    return {"numbers": {**outcome().numbers, place: value}}


@pytest.mark.parametrize("exact", [True, False])
def test_an_outcome_repeats_itself(exact: bool) -> None:
    found = compare("lstm", outcome(), outcome(), exact)
    assert (found.numbers, found.hypotheses, found.unequal, found.largest, found.outside) == (3, 20, 0, 0.0, [])


@given(st.sampled_from([LOSS, STEPS, SCORES]), st.booleans())
def test_the_last_digit_counts_on_the_same_type_of_machine(place: Place, up: bool) -> None:
    expected = outcome().numbers[place]
    value = math.nextafter(expected, math.inf if up else -math.inf)
    found = compared(with_number(place, value), exact=True)
    ((what, before, now, allowed),) = found.outside
    assert (what, float(before), float(now), allowed) == (str(place), expected, value, "equal")
    assert found.unequal == 1
    assert 0 < found.largest < 1e-15


@pytest.mark.parametrize("place", [LOSS, SCORES])
def test_elsewhere_a_number_may_move_as_far_as_its_tolerance_and_no_further(place: Place) -> None:
    expected = outcome().numbers[place]
    absolute, relative = TOLERANCES[place.unit]
    most = max(absolute, relative * expected)
    inside = compared(with_number(place, expected + 0.99 * most), exact=False)
    assert (inside.unequal, inside.outside) == (1, [])
    (difference,) = compared(with_number(place, expected + 1.01 * most), exact=False).outside
    assert difference.allowed == str(TOLERANCES[place.unit])


@pytest.mark.parametrize(("step", "differences"), [(EARLY, 1), (EARLY + 1, 0)])
def test_elsewhere_the_first_steps_are_held_tighter(step: int, differences: int) -> None:
    place = Place("train/loss", "nats", "step", step, 900)
    before = replace(outcome(), numbers={place: 5.0})
    assert len(compare("lstm", before, replace(before, numbers={place: 5.001}), exact=False).outside) == differences


def test_counts_are_equal_everywhere() -> None:
    (difference,) = compared(with_number(STEPS, 41.0), exact=False).outside
    assert difference.allowed == "equal"


@pytest.mark.parametrize("exact", [True, False])
def test_a_number_that_is_missing_or_new_is_a_difference(exact: bool) -> None:
    less = {place: value for place, value in outcome().numbers.items() if place != SCORES}
    (missing,) = compared({"numbers": less}, exact).outside
    assert (missing.what, missing.expected, missing.found) == (str(SCORES), "12.0", "missing")
    (new,) = compared(with_number(SCORES._replace(x="other"), 12.0), exact).outside
    assert (new.expected, new.found) == ("missing", "12.0")


@pytest.mark.parametrize("exact", [True, False])
def test_what_is_not_a_number_repeats_as_such_only(exact: bool) -> None:
    broken = replace(outcome(), **with_number(LOSS, math.nan))
    assert compare("lstm", broken, broken, exact).outside == []
    (difference,) = compare("lstm", outcome(), broken, exact).outside
    assert difference.found == "nan"
    assert len(compare("lstm", broken, outcome(), exact).outside) == 1


@pytest.mark.parametrize("changes", [{"text": "eine Hund"}, {"log_prob": -2.500001}, {"truncated": True}])
def test_every_part_of_a_hypothesis_counts_on_the_same_type_of_machine(changes: dict[str, Any]) -> None:
    changed = {**outcome().hypotheses, ("test", 7): outcome().hypotheses["test", 7]._replace(**changes)}
    (difference,) = compared({"hypotheses": changed}, exact=True).outside
    assert difference.what == "hypothesis 7 of test"


@pytest.mark.parametrize("exact", [True, False])
def test_a_hypothesis_that_is_missing_is_a_difference(exact: bool) -> None:
    less = {sentence: found for sentence, found in outcome().hypotheses.items() if sentence != ("test", 7)}
    (difference,) = compared({"hypotheses": less}, exact).outside
    assert (difference.what, difference.found) == ("hypothesis 7 of test", "missing")


def test_elsewhere_a_share_of_the_texts_may_be_others() -> None:
    some = round(OTHER_TEXTS * 20)
    for count, differences in ((some, 0), (some + 1, 1)):
        others = {("test", number): WORDS._replace(text="eine Katze", log_prob=-9.0) for number in range(count)}
        found = compared({"hypotheses": {**outcome().hypotheses, **others}}, exact=False)
        assert (found.unequal, len(found.outside)) == (count, differences)


def test_elsewhere_equal_texts_have_nearly_equal_scores() -> None:
    for log_prob, differences in ((-2.500001, 0), (-2.9, 1)):
        changed = {**outcome().hypotheses, ("test", 7): outcome().hypotheses["test", 7]._replace(log_prob=log_prob)}
        assert len(compared({"hypotheses": changed}, exact=False).outside) == differences


@pytest.mark.parametrize(("exact", "differences"), [(True, 1), (False, 0)])
def test_checksums_count_on_the_same_type_of_machine_alone(exact: bool, differences: int) -> None:
    assert len(compared({"checksums": {"weights": "cd" * 32}}, exact).outside) == differences


def test_a_tolerance_is_the_larger_of_its_two_parts_and_says_so() -> None:
    both = Tolerance(0.5, 0.01)
    assert both.allows(10.0, 10.5)
    assert both.allows(100.0, 101.0)
    assert not both.allows(10.0, 10.6)
    assert not both.allows(100.0, math.inf)
    assert (str(both), str(Tolerance())) == ("0.5 or 0.01 of it", "equal")


def test_an_outcome_is_the_same_after_being_written_and_read() -> None:
    text = json.dumps(outcome().as_json())
    again = Outcome.from_json(json.loads(text))
    assert again == outcome()
    assert json.dumps(again.as_json()) == text


def test_a_run_is_read_with_its_curve_and_hypotheses_and_without_its_times(tmp_path: Path) -> None:
    found = read_outcome(write_run(tmp_path), {"trainer.max_steps": 20})
    assert found.numbers == {
        Place("val_loss", "nats", "", None, 300): 2.5,
        Place("train/loss", "nats", "step", 20, 900): 3.25,
    }
    assert found.hypotheses == {("test", 0): Hypothesis("x\x85y", 4, False, -1.0, -2.0)}
    assert found.config == {"trainer.max_steps": 20}


def test_times_make_no_difference(tmp_path: Path) -> None:
    slow, quick = write_run(tmp_path / "slow", seconds=30.0), write_run(tmp_path / "quick", seconds=3.0)
    assert read_outcome(slow, {}) == read_outcome(quick, {})


def test_a_weight_that_moved_is_seen_where_no_number_shows_it(tmp_path: Path) -> None:
    expected = read_outcome(write_run(tmp_path / "a"), {})
    moved = read_outcome(write_run(tmp_path / "b", weights=math.nextafter(1.0, 0) - 1e-7), {})
    assert [difference.what for difference in compare("lstm", expected, moved, exact=True).outside] == [
        "checksum of weights"
    ]


def test_attention_maps_are_part_of_an_outcome_where_there_are_any(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    (folder / "attention.json").write_text("[[0.5, 0.5]]")
    before = read_outcome(folder, {}).checksums["attention maps"]
    (folder / "attention.json").write_text("[[0.5, 0.4]]")
    assert read_outcome(folder, {}).checksums["attention maps"] != before


def test_a_curve_that_nobody_named_must_be_equal_everywhere(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    with (folder / "metrics.jsonl").open("a") as file:
        row = {"step": 20, "seconds": 1.0, "target_tokens": 900, "metric": "train/new", "value": 1.0}
        file.write(json.dumps(row) + "\n")
    (place,) = (place for place in read_outcome(folder, {}).numbers if place.metric == "train/new")
    assert place.tolerance == Tolerance()


def test_nothing_timed_has_a_tolerance() -> None:
    assert not set(TIMED) & set(TOLERANCES)
