"""What the run store must hold: everything that a run writes is taken, and one wrong thing anywhere is told."""

import copy
import json
import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.record.schema import (
    ATTENTION,
    BLOCK,
    HISTORY,
    MEASUREMENT,
    RECORD,
    TRANSLATION,
    Fields,
    attention_complaint,
    check_result,
    complaint,
    is_time,
    parsed_lines,
    parsed_translations,
    parsed_trials,
)
from tests.support.fakes.long_range import trials_of
from tests.support.fakes.runs import attention, corpus, costs, history, result, row, translations

RANDOM = random.Random(0)
WHOLE: list[tuple[Fields, dict[str, Any]]] = [
    (RECORD, result("quick", "lstm", "base", 0, costs("lstm"))),
    (MEASUREMENT, costs("lstm")[0]),
    (HISTORY, history("lstm", RANDOM)[0]),
    (TRANSLATION, translations("test", 1, "lstm", 0.1, RANDOM)[0]),
    (ATTENTION, attention("transformer", "test")[0]),
    (BLOCK, {"metric": "step_seconds", "x_name": "length", "x": 8, "round": 0, "value": 0.1}),
]
odd: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.floats(), st.integers(), st.text(), st.lists(st.none()), st.just({"a": {}})
)


@pytest.mark.parametrize(("fields", "row"), WHOLE)
def test_whole_rows_are_taken_and_each_field_is_needed(fields: Fields, row: dict[str, Any]) -> None:
    assert complaint(row, fields) == ""
    for name in fields:
        assert complaint({key: value for key, value in row.items() if key != name}, fields) == f"it has no {name}"
        assert name in complaint(row | {name: {"a": {"b": 1}}}, fields) or fields[name].fits({"a": {"b": 1}})


@pytest.mark.parametrize(("fields", "row"), WHOLE)
@given(data=st.data())
def test_any_value_is_taken_or_told_in_words(fields: Fields, row: dict[str, Any], data: st.DataObject) -> None:
    name, value = data.draw(st.sampled_from(list(fields))), data.draw(odd)
    said = complaint(row | {name: value}, fields)
    assert said == "" if fields[name].fits(value) else said.startswith(f"its {name} is ")


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r["git"].update(commit=7),
        lambda r: r.update(digest="0"),
        lambda r: r.update(model_settings={"init_args": {"network": {"hidden": {}}}}),
        lambda r: r["measurements"][1].update(value=math.nan),
        lambda r: r["measurements"][1].update(value=10**400),
        lambda r: r["measurements"][1].update(n=-1),
        lambda r: r["measurements"][1].update(n=None),
        lambda r: r["measurements"][1].update(x=[1]),
        lambda r: r["measurements"][1].update(x=math.inf),
        lambda r: r.update(started="yesterday"),
        lambda r: r.update(finished="2026-01-02T03:04:05"),  # in which place?
        lambda r: r["machine"].update(gpus=[{}]),
        lambda r: r["machine"].update(gpus=3),
        lambda r: r["measurements"][1].update(x=7),
        lambda r: r["measurements"][1].update(x_name="length"),
        lambda r: r["measurements"].insert(1, r["measurements"][0]),
        lambda r: r["measurements"].__setitem__(slice(0, 2), [row("a", 1.0, "", 1, "x", v) for v in (1, "1")]),
    ],
)
def test_one_wrong_thing_in_a_record_is_told(change: Callable[[dict[str, Any]], Any]) -> None:
    record = result("quick", "lstm", "base", 0, costs("lstm"))
    check_result(record)
    changed = copy.deepcopy(record)
    change(changed)
    with pytest.raises(ValueError, match=r"^(its|measurement 1:|machine:|'model_settings') "):
        check_result(changed)


@pytest.mark.parametrize("text", ["2026-01-02T03:04:05+00:00", "2026-01-02 03:04:05.5-07:00"])
def test_times_have_their_zone(text: str) -> None:
    assert is_time(text)
    assert not is_time(text[:19])


@given(st.lists(st.text(), max_size=5))
def test_lines_are_those_that_were_written_whatever_their_text(texts: list[str]) -> None:
    rows = [WHOLE[3][1] | {"source": text} for text in [*corpus(1), *texts]]
    written = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    assert parsed_lines(written, TRANSLATION) == rows


def test_a_sentence_has_one_hypothesis() -> None:
    rows = [json.dumps(WHOLE[3][1] | {"id": i}) for i in (0, 1, 0)]
    assert len(parsed_translations("\n".join(rows[:2]))) == 2
    with pytest.raises(ValueError, match="sentence 0 has two hypotheses"):
        parsed_translations("\n".join(rows))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r["trials"][1].update(learning_rate="fast"), "trial 1: its learning_rate is 'fast'"),
        (lambda r: r["trials"][1].update(validation_loss=None), "trial 1: its validation_loss is None"),
        (lambda r: r["space"].update(width=3), "space of width: it is a int"),
        (lambda r: r.update(chosen=99), "trial 99, the chosen one, is not among those that finished"),
    ],
)
def test_trials_are_whole_or_told(change: Callable[[dict[str, Any]], Any], said: str) -> None:
    record = trials_of()
    assert parsed_trials(json.dumps(record))["chosen"] == record["chosen"]
    change(record)
    with pytest.raises(ValueError, match=said):
        parsed_trials(json.dumps(record))


@pytest.mark.parametrize(
    ("maps", "said"),
    [
        ({"cross layer 1": []}, "shape"),
        ({"cross layer 1": [[[1.0, 0.0]]]}, ""),
        ({"cross layer 1": [[[1.0]]]}, "shape"),
        ({"cross layer 1": [[[1.0], [0.0, 0.0]]]}, "no table of numbers|not a table of numbers"),
        ({"cross layer 1": [[[10**400, 0]]]}, "not a table of numbers"),
        ({"cross layer 1": [[[math.nan, 0.0]]]}, "outside 0 to 1"),
        ({"encoder layer 1": [[[1.0, 0.0]]]}, "shape"),
        ({"encoder layer 1": [[[1.0, 0.0], [1.0, 0.0]]]}, ""),
        ({"\x1b[2J" + "x" * 999: 1}, "shape"),
    ],
)
def test_maps_that_do_not_fit_their_tokens_are_told(maps: dict[str, Any], said: str) -> None:
    sentence = {"test_set": "test", "id": 0, "source_tokens": ["a", "b"], "target_tokens": ["c"], "maps": maps}
    found = attention_complaint(sentence)
    assert bool(found) == bool(said)
    assert not said or any(part in found for part in said.split("|"))
    assert "\x1b" not in found
