"""The run store as the experiments read it: what a run wrote comes back, anything else is one sentence."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.record.keys import Measurement, RunKey
from experiments.record.read import HISTORY, NUMBER, read_list, read_object, read_result, read_rows
from experiments.record.write import write_result, write_rows
from tests.support.fakes.runs import PROVENANCE, row


def finished(root: Path) -> Path:
    key = RunKey("quick", "bleu", "embedded-en-de", "lstm", root=str(root), command="make bleu")
    write_result(key, {"model": {}}, [Measurement("bleu", 1.5, "BLEU", 7, "test_set", "test")], {}, {}, PROVENANCE)
    return key.folder


def is_one_sentence_about(path: Path, error: BaseException) -> bool:
    said = str(error)
    return str(path) in said and "\n" not in said and "\x1b" not in said and len(said) < 600 and said.endswith(".")


def test_a_result_comes_back_as_it_was_written(tmp_path: Path) -> None:
    record = read_result(finished(tmp_path))
    assert record["measurements"] == [row("bleu", 1.5, "BLEU", 7, "test_set", "test")]
    assert record["command"] == "make bleu"


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r.pop("measurements"),
        lambda r: r["machine"].pop("gpus"),
        lambda r: r.update(seed="\x1b[2J"),
        lambda r: r["measurements"][0].update(value=99.0),
        lambda r: (r.pop("digest"), r["measurements"][0].update(value="99")),
        lambda r: (r.pop("digest"), r["measurements"][0].update(n=10**400)),
        lambda r: (r.pop("digest"), r["measurements"].append([])),
        lambda r: r.update(command="\ud800"),
        lambda r: r.update(git="x" * 10**5),
    ],
)
def test_a_result_that_was_changed_is_named(change: Callable[[dict[str, Any]], Any], tmp_path: Path) -> None:
    folder = finished(tmp_path)
    path = folder / "result.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match="delete it and run its target again") as refused:
        read_result(folder)
    assert is_one_sentence_about(path, refused.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 10**5, b"9" * 5000, b"null", b"\x00"])
def test_what_is_no_object_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="delete it") as refused:
        read_object(path, {"a": int})
    assert is_one_sentence_about(path, refused.value)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as refused:
        read_object(tmp_path / "some.json", {})
    assert is_one_sentence_about(tmp_path / "some.json", refused.value)


def test_a_list_is_a_list(tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    path.write_text("[1, {}]")
    assert read_list(path) == [1, {}]
    path.write_text("{}")
    with pytest.raises(ValueError, match="holds a dict, not a list"):
        read_list(path)


def test_rows_come_back_and_the_half_line_of_a_killed_process_does_not(tmp_path: Path) -> None:
    path, rows = tmp_path / "rows.jsonl", [{"a": 1, "text": "line\u2028separator"}, {"a": 2, "text": ""}]
    write_rows(path, rows)
    assert list(read_rows(path, {"a": int, "text": str})) == rows
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        if (end := whole[:length].rfind(b"\n") + 1) == length or whole[end:length].isascii():
            assert list(read_rows(path, {"a": int, "text": str})) == rows[: whole[:length].count(b"\n")]


def test_a_broken_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n{"a": \n{"a": 3}\n')
    with pytest.raises(ValueError, match="line 2") as refused:
        list(read_rows(path, {"a": int}))
    assert is_one_sentence_about(path, refused.value)
    assert list(read_rows(path, {"a": int}, having="3")) == [{"a": 3}]


def test_a_training_may_tell_of_infinity_and_nan(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    when = {"step": 1, "seconds": 0.5, "target_tokens": 7, "metric": "train/loss"}
    write_rows(path, [{**when, "value": float("inf")}, {**when, "value": float("nan")}])
    assert len(list(read_rows(path, HISTORY))) == 2
    assert (int, float) == NUMBER
