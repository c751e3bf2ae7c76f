"""The run store as read: what is finished, what is not, and nothing dropped without a word."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.store import (
    COLUMNS,
    KEY,
    System,
    by_system,
    first_common_seed,
    missing_runs,
    number,
    read_store,
)
from experiments.record.schema import TEXT, parsed_lines
from tests.support.fakes.runs import folder_of, write_json, write_run, write_suite


def change_result(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    record = json.loads((folder / "result.json").read_text())
    change(record)
    write_json(folder / "result.json", record)


def test_every_measurement_of_every_finished_run_becomes_one_row(tmp_path: Path) -> None:
    write_suite(tmp_path, seeds=(0, 1), sentences=12)
    store = read_store(tmp_path, "quick")
    written = [json.loads(p.read_text())["measurements"] for p in tmp_path.rglob("result.json")]
    assert len(written) == 6
    assert list(store.measurements.columns) == [*KEY, *COLUMNS]
    assert len(store.measurements) == sum(map(len, written))
    assert sorted(store.measurements["value"]) == sorted(float(r["value"]) for rows in written for r in rows)
    assert store.problems == []


def test_number_finds_the_value_of_one_run_and_nan_otherwise(tmp_path: Path) -> None:
    write_suite(tmp_path, sentences=12)
    store = read_store(tmp_path, "quick")
    run = next(r for r in store.runs if r.model == "transformer")
    expected = [m for m in run.record["measurements"] if m["metric"] == "bleu" and m["x"] == "test2017"]
    assert number(store.measurements, run, "bleu", "test2017") == expected[0]["value"]
    assert number(store.measurements, run, "parameters") == 3_200_000
    assert math.isnan(number(store.measurements, run, "never measured"))


def test_status_follows_the_files_of_the_folder(tmp_path: Path) -> None:
    failed = write_run(tmp_path, "lstm", sentences=5)
    record = json.loads((failed / "result.json").read_text())
    write_json(failed / "failure.json", {k: record[k] for k in KEY} | {"error": "out of memory"})
    assert read_store(tmp_path, "quick").runs[0].status == "finished"  # a later success outranks an earlier failure
    (failed / "result.json").unlink()
    interrupted = write_run(tmp_path, "transformer", sentences=5)
    (interrupted / "result.json").unlink()
    store = read_store(tmp_path, "quick")
    assert {r.model: r.status for r in store.runs} == {"lstm": "failed", "transformer": "interrupted"}
    assert store.measurements.empty
    assert store.finished("bleu") == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda r: r.pop("measurements"), "it has no measurements"),
        (lambda r: r.update(held_equal=[]), "its held_equal is [], not an object"),
        (lambda r: r.update(seed=3), "its seed is 3 but its folder says 0"),
        (lambda r: r["measurements"][2].pop("unit"), "measurement 2: it has no unit"),
        (lambda r: r["measurements"][0].update(value="34.2"), "its value is '34.2', not a number"),
        (lambda r: r["measurements"].append(7), "it is a int, not an object"),
        (lambda r: r.update(model_settings=[]), "'model_settings' is not an object"),
        (lambda r: r.update(model_settings={"init_args": None}), "'model_settings' is not an object"),
        (lambda r: r.update(model_settings={"init_args": {"network": 3}}), "'model_settings' is not an object"),
    ],
)
def test_a_wrong_result_is_a_problem_with_its_path(
    tmp_path: Path, change: Callable[[Any], Any], complaint: str
) -> None:
    folder = write_run(tmp_path, "lstm", sentences=5)
    change_result(folder, change)
    store = read_store(tmp_path, "quick")
    assert store.runs[0].status == "unreadable"
    assert len(store.problems) == 1
    assert complaint in store.problems[0]
    assert str(folder / "result.json") in store.problems[0]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe{}", b"null"])
def test_a_corrupt_result_never_crashes(tmp_path: Path, content: bytes) -> None:
    folder = write_run(tmp_path, "lstm", sentences=5)
    (folder / "result.json").write_bytes(content)
    store = read_store(tmp_path, "quick")
    assert [r.status for r in store.runs] == ["unreadable"]
    assert str(folder / "result.json") in store.problems[0]


def test_unreadable_outputs_are_problems_and_say_the_line(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "lstm", sentences=5)
    path = folder / "hypotheses" / "test2016.jsonl"
    path.write_text(path.read_text() + '{"id": 5}\n')
    (folder / "hypotheses" / "test2017.jsonl").unlink()
    store = read_store(tmp_path, "quick")
    for test_set in ("test2016", "test2017", "test2016"):
        assert store.translations(store.runs[0], test_set) is None
    assert len(store.problems) == 2  # asked twice, told once
    assert "line 6: it has no source" in store.problems[0]
    assert "is missing" in store.problems[1]


def test_attention_that_does_not_fit_its_tokens_is_left_out(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "bahdanau", sentences=5)
    entries = json.loads((folder / "attention.json").read_text())
    entries[1]["source_tokens"].append("extra")
    entries[2] = "not an object"
    write_json(folder / "attention.json", entries)
    store = read_store(tmp_path, "quick")
    assert [s["id"] for s in store.attention(store.runs[0])] == [0, 3, 4]
    assert len(store.problems) == 2


@pytest.mark.parametrize("settings", [{}, {"class_path": "x"}, {"init_args": {"network": {"hidden": 8}}}])
def test_settings_of_the_model_may_be_few(tmp_path: Path, settings: dict[str, Any]) -> None:
    change_result(write_run(tmp_path, "lstm", sentences=5), lambda r: r.update(model_settings=settings))
    assert read_store(tmp_path, "quick").problems == []


def test_a_run_without_trials_is_no_problem(tmp_path: Path) -> None:
    write_run(tmp_path, "lstm", sentences=5)
    store = read_store(tmp_path, "quick")
    assert store.trials(store.runs[0]) is None
    assert store.problems == []


def test_no_runs_is_one_sentence_naming_the_suites_there(tmp_path: Path) -> None:
    write_run(tmp_path, "lstm", sentences=5, suite="full")
    with pytest.raises(FileNotFoundError, match=r"suites there: full.*make bleu SUITE=quick"):
        read_store(tmp_path, "quick")


def test_a_strange_folder_is_named(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "lstm", sentences=5)
    folder.with_name("seed0.old").mkdir()
    assert "seed0.old is not a run folder" in read_store(tmp_path, "quick").problems[0]


def test_missing_runs_complete_the_grid(tmp_path: Path) -> None:
    for model, seed in (("lstm", 0), ("lstm", 1), ("transformer", 0), ("bahdanau", 1)):
        write_run(tmp_path, model, seed=seed, sentences=5)
    store = read_store(tmp_path, "quick")
    assert set(missing_runs(store.runs)) == {
        "bleu/multi30k/transformer/base/seed1",
        "bleu/multi30k/bahdanau/base/seed0",
    }
    systems = by_system(store.runs)
    assert set(systems[System("lstm", "base")]) == {0, 1}
    assert first_common_seed([systems[System("lstm", "base")], systems[System("bahdanau", "base")]]) == 1
    assert first_common_seed(systems.values()) is None


def test_a_failed_run_keeps_its_error(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "lstm")
    key = dict(zip(KEY, ("quick", "bleu", "multi30k", "lstm", "base", 0), strict=True))
    write_json(folder / "failure.json", key | {"error": "out of memory", "traceback": "", "log": "log.txt"})
    assert read_store(tmp_path, "quick").runs[0].record["error"] == "out of memory"


@given(st.lists(st.text(), max_size=5))
def test_lines_survive_any_text(texts: list[str]) -> None:
    written = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
    assert [row["text"] for row in parsed_lines(written, {"text": TEXT})] == texts
