"""Reading a run's folder: what a run wrote comes back, anything else is one sentence with the file and the remedy."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import TypedDict

from experiments.record.keys import Measurement, RunKey
from experiments.record.read import (
    AGAIN,
    WHOLE_RUN,
    read_attention,
    read_failure,
    read_history,
    read_json,
    read_result,
    read_rows,
    read_translations,
)
from experiments.record.write import write_failure, write_result, write_rows
from tests.support.fakes.runs import PROVENANCE, row, translations

KEY = RunKey("quick", "bleu", "embedded-en-de", "lstm", command="make bleu")
MOMENT = {"step": 1, "seconds": 0.5, "target_tokens": 7, "metric": "train/loss"}


class Row(TypedDict):
    a: int
    text: str


def finished(root: Path) -> Path:
    key = RunKey(**KEY.identity, root=str(root), command=KEY.command)
    write_result(key, {"model": {}}, [Measurement("bleu", 1.5, "BLEU", 7, "test_set", "test")], {}, {}, PROVENANCE)
    return key.folder


def assert_one_sentence(path: Path, error: BaseException, remedy: str) -> None:
    said = str(error)
    assert said.startswith(str(path))
    assert said.endswith(f": {remedy}.")
    assert len(said) < 600
    assert not {"\n", "\x1b"} & set(said)


def test_records_come_back_as_they_were_written(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    record = read_result(folder)
    assert record["measurements"] == [row("bleu", 1.5, "BLEU", 7, "test_set", "test")]
    assert record == json.loads((folder / "result.json").read_text())
    write_failure(RunKey(**KEY.identity, root=str(tmp_path)), "ValueError", "Traceback")
    assert read_failure(folder)["error"] == "ValueError"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r["machine"].pop("gpus"), "machine gpus: Field required"),
        (lambda r: r.update(seed="\x1b[2J"), "seed: Input should be a valid integer"),
        (lambda r: r.update(seed=1), "is of the seed 1, but its folder is seed0"),
        (lambda r: r.update(model="\x1b[2J"), "is of the model "),
        (lambda r: r["measurements"][0].update(value=99.0), "not those that the run wrote"),
        (lambda r: r.update(command="\ud800"), "not JSON|Invalid JSON"),
        (lambda r: r.update(git="x" * 10**5), "git: "),
    ],
)
def test_a_result_that_was_changed_is_named(change: Callable[[dict[str, Any]], Any], said: str, tmp_path: Path) -> None:
    path = finished(tmp_path) / "result.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match=said) as refused:
        read_result(path.parent)
    assert_one_sentence(path, refused.value, AGAIN)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b"[" * 10**5, b"9" * 5000, b"null", b"\x00", b'{"a": "1"}']
)
def test_what_is_not_of_its_kind_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read") as refused:
        read_json(path, Row, "make it again")
    assert_one_sentence(path, refused.value, "make it again")


def test_what_is_not_there_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as refused:
        read_result(tmp_path)
    assert_one_sentence(tmp_path / "result.json", refused.value, "run its target")
    with pytest.raises(FileNotFoundError) as refused:
        read_attention(tmp_path / "attention.json")
    assert_one_sentence(tmp_path / "attention.json", refused.value, WHOLE_RUN)


def test_rows_come_back_and_a_half_line_only_where_the_file_grows(tmp_path: Path) -> None:
    path, rows = tmp_path / "rows.jsonl", [{"a": 1, "text": "line\u2028separator"}, {"a": 2, "text": ""}]
    write_rows(path, rows)
    whole = path.read_bytes()
    assert list(read_rows(path, Row)) == rows
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        lines = whole[:length].count(b"\n")
        assert list(read_rows(path, Row, growing=True)) == rows[:lines]
        if not whole[:length].endswith((b"\n", b"}")) and length:
            with pytest.raises(ValueError, match=f"line {lines + 1}: ") as refused:
                list(read_rows(path, Row))
            assert_one_sentence(path, refused.value, WHOLE_RUN)


@given(st.lists(st.text(), max_size=5))
def test_lines_are_those_that_were_written_whatever_their_text(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "rows.jsonl"
    rows = [{"a": number, "text": text} for number, text in enumerate(texts)]
    write_rows(path, rows)
    assert list(read_rows(path, Row)) == rows


def test_a_broken_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(f'{json.dumps(MOMENT | {"value": 1})}\n{{"step": \n{json.dumps(MOMENT)}\n')
    with pytest.raises(ValueError, match=r"line 2: Invalid JSON") as refused:
        read_history(path, growing=True)
    assert_one_sentence(path, refused.value, WHOLE_RUN)


def test_a_training_may_record_infinity_and_nan(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write_rows(path, [{**MOMENT, "value": float(value)} for value in ("inf", "nan", "1")])
    assert [str(row["value"]) for row in read_history(path)] == ["inf", "nan", "1.0"]


def test_a_sentence_has_one_hypothesis(tmp_path: Path) -> None:
    path, rows = tmp_path / "test.jsonl", translations("test", 2, "lstm", 0.1, random.Random(0))
    write_rows(path, rows)
    assert read_translations(path) == rows
    write_rows(path, [*rows, rows[0]])
    with pytest.raises(ValueError, match="two hypotheses of one sentence") as refused:
        read_translations(path)
    assert_one_sentence(path, refused.value, WHOLE_RUN)
