"""The schema of a run's folder: everything that a run writes is taken, and one wrong thing anywhere is refused."""

import copy
import json
import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from experiments.record import schema
from experiments.record.keys import digest
from experiments.record.read import checked, complaint
from tests.support.fakes.long_range import trials_of
from tests.support.fakes.runs import attention, costs, history, result, row, translations

RANDOM = random.Random(0)
RESULT = result("quick", "lstm", "base", 0, costs("lstm"))
WHOLE: list[tuple[Any, dict[str, Any]]] = [
    (schema.Result, RESULT),
    (schema.Measurement, costs("lstm")[0]),
    (schema.History, history("lstm", RANDOM)[0]),
    (schema.Translation, translations("test", 1, "lstm", 0.1, RANDOM)[0]),
    (schema.Attended, attention("transformer", "test")[0]),
    (schema.Block, {"metric": "step_seconds", "x_name": "length", "x": 8, "round": 0, "value": 0.1}),
    (schema.WordCounts, {"tokeniser": "13a", "counts": {"der": 7}}),
]
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70)
odd = st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.just([None]) | st.just({"a": {"b": {}}})


def refusal(value: Any, kind: Any) -> str:
    """The complaint about a value, empty if there is none."""
    try:
        checked(json.dumps(value), kind)
    except ValidationError as error:
        return complaint(error)
    return ""


@pytest.mark.parametrize(("kind", "row"), WHOLE)
def test_whole_values_are_read_as_they_are_and_each_field_is_needed(kind: Any, row: dict[str, Any]) -> None:
    assert json.dumps(checked(json.dumps(row), kind), sort_keys=True) == json.dumps(row, sort_keys=True)
    for name in row:
        assert refusal({key: value for key, value in row.items() if key != name}, kind).startswith(
            f"{name}: Field requ"
        )
        assert name in refusal(row | {name: {"a": {"b": {}}}}, kind)


@given(st.lists(numbers))
def test_numbers_are_read_to_the_last_bit_and_whole_ones_stay_whole(values: list[float]) -> None:
    for kind in (schema.Number, schema.Loss, schema.Axis):
        assert json.dumps(checked(json.dumps(values), list[kind])) == json.dumps(values)


@pytest.mark.parametrize(("kind", "row"), WHOLE)
@given(data=st.data())
def test_any_value_is_taken_as_it_is_or_refused_in_words(kind: Any, row: dict[str, Any], data: st.DataObject) -> None:
    name, value = data.draw(st.sampled_from(sorted(row))), data.draw(odd)
    if said := refusal(row | {name: value}, kind):
        assert name in said
        assert "\n" not in said
    else:
        assert json.dumps(checked(json.dumps(row | {name: value}), kind)[name]) == json.dumps(value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r.update(digest="0"), "not those that the run wrote"),
        (lambda r: r.update(held_equal=[]), "held_equal: Input should be "),
        (lambda r: r.update(model_settings=[]), "model_settings: "),
        (lambda r: r.update(model_settings={"init_args": None}), "model_settings init_args: "),
        (lambda r: r.update(model_settings={"init_args": {"network": 3}}), "model_settings init_args network: "),
        (lambda r: r.update(model_settings={"init_args": {"network": {"hidden": {}}}}), "'hidden' should be"),
        (lambda r: r["held_equal"].update(steps=[[math.nan]]), "held_equal: 'steps' should be"),
        (lambda r: r["measurements"][1].update(value=math.nan), "measurements 1 value: Input should be a number, "),
        (lambda r: r["measurements"][1].update(value=10**400), "measurements 1 value: Input should be a number"),
        (lambda r: r["measurements"][1].update(value="34.2"), "value: Input should be a number, not '34.2'"),
        (lambda r: r["measurements"][1].update(n=-1), "measurements 1 n: "),
        (lambda r: r["measurements"][1].update(x=[1]), "measurements 1 x: "),
        (lambda r: r["measurements"][1].update(x=math.inf), "measurements 1 x: "),
        (lambda r: r.update(started="yesterday"), "started: Input should be a time"),
        (lambda r: r.update(finished="2026-01-02T03:04:05"), "finished: Input should be a time"),  # in which place?
        (lambda r: r["measurements"][1].update(x=7), "measurements: 1 has the x 7 and the x_name ''"),
        (lambda r: r["measurements"][1].update(x_name="length"), "measurements: 1 has the x None and"),
        (lambda r: r["measurements"].insert(1, r["measurements"][0]), "measurements: 1 is a second value of"),
        (
            lambda r: r["measurements"].__setitem__(slice(0, 2), [row("a", 1.0, "", 1, "x", v) for v in (1, "1")]),
            "measurements: 1 has the x '1', of another type than others of 'x'",
        ),
    ],
)
def test_one_wrong_thing_in_a_result_is_refused(change: Callable[[dict[str, Any]], Any], said: str) -> None:
    changed = copy.deepcopy(RESULT)
    change(changed)
    assert said in refusal(changed, schema.Result)


@pytest.mark.parametrize(
    "settings",
    [
        {"model_settings": {}},
        {"model_settings": {"class_path": "x"}},
        {"model_settings": {"init_args": {"network": {"hidden": 8, "rates": [[1, 2], []], "bias": False}}}},
        {"digest": digest(RESULT["measurements"])},
        {"started": "2026-01-02 03:04:05.5-07:00"},
    ],
)
def test_what_may_differ_between_results_may(settings: dict[str, Any]) -> None:
    assert refusal(RESULT | settings, schema.Result) == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r["trials"][1]["values"].update(learning_rate="fast"), "trials 1 values learning_rate: "),
        (lambda r: r["trials"][0].update(validation_loss=None), "a finished trial has no validation_loss"),
        (lambda r: r["space"].update(width=3), "space width: "),
        (lambda r: r.update(chosen=99), "trial 99, the chosen one, is not among those that finished"),
    ],
)
def test_trials_are_whole_or_refused(change: Callable[[dict[str, Any]], Any], said: str) -> None:
    record = trials_of()
    change(record)
    assert said in refusal(record, schema.Trials)


@pytest.mark.parametrize(
    ("maps", "taken"),
    [
        ({}, True),
        ({"cross layer 1": [[[1.0, 0.0]]]}, True),
        ({"encoder layer 1": [[[1.0, 0.0], [1, 0]]]}, True),
        ({"decoder layer 1": [[[1.0]]]}, True),
        ({"cross layer 1": []}, False),
        ({"cross layer 1": [[[1.0]]]}, False),
        ({"cross layer 1": [[[1.0], [0.0, 0.0]]]}, False),
        ({"cross layer 1": [[[10**400, 0]]]}, False),
        ({"cross layer 1": [[[math.nan, 0.0]]]}, False),
        ({"cross layer 1": [[[1.1, 0.0]]]}, False),
        ({"encoder layer 1": [[[1.0, 0.0]]]}, False),
        ({"\x1b[2J" + "x" * 999: 1}, False),
    ],
)
def test_maps_fit_their_tokens_or_are_refused(maps: dict[str, Any], taken: bool) -> None:
    sentence = {"test_set": "test", "id": 0, "source_tokens": ["a", "b"], "target_tokens": ["c"], "maps": maps}
    said = refusal([sentence], schema.Attention)
    assert (said == "") == taken
    assert "\x1b" not in said
