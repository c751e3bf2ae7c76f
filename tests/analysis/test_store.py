"""The run store as read: what is finished, what is not, and nothing dropped without a word."""

from pathlib import Path

import pytest

from analysis.store import read_store
from tests.support.fakes.runs import failure, write_json, write_run


def test_status_follows_the_files_of_the_folder(tmp_path: Path) -> None:
    failed = write_run(tmp_path, "lstm", sentences=5)
    write_json(failed / "failure.json", failure("quick", "lstm", "base", 0, "out of memory"))
    assert read_store(tmp_path, "quick").runs[0].status == "finished"  # a later success outranks an earlier failure
    (failed / "result.json").unlink()
    interrupted = write_run(tmp_path, "transformer", sentences=5)
    (interrupted / "result.json").unlink()
    store = read_store(tmp_path, "quick")
    assert {r.model: r.status for r in store.runs} == {"lstm": "failed", "transformer": "interrupted"}
    assert store.runs[0].record["error"] == "out of memory"
    assert store.measurements.empty
    assert store.finished("bleu") == []


@pytest.mark.parametrize("content", [b"", b"\xff\xfe{}", b"null", b'{"measurements": []}'])
@pytest.mark.parametrize("file", ["result.json", "failure.json"])
def test_a_broken_record_is_a_problem_with_its_path(tmp_path: Path, file: str, content: bytes) -> None:
    folder = write_run(tmp_path, "lstm", sentences=5)
    (folder / "result.json").unlink()
    (folder / file).write_bytes(content)
    store = read_store(tmp_path, "quick")
    assert [run.status for run in store.runs] == ["unreadable"]
    (problem,) = store.problems
    assert problem.startswith(f"bleu/multi30k/lstm/base/seed0/{file} cannot be read (")


def test_unreadable_outputs_are_problems_and_say_the_line(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "lstm", sentences=5)
    path = folder / "hypotheses" / "test2016.jsonl"
    path.write_text(path.read_text() + '{"id": 5}\n')
    (folder / "hypotheses" / "test2017.jsonl").unlink()
    store = read_store(tmp_path, "quick")
    for test_set in ("test2016", "test2017", "test2016"):
        assert store.translations(store.runs[0], test_set) is None
    assert len(store.problems) == 2  # asked twice, told once
    assert "line 6: source: Field required" in store.problems[0]
    assert "is not there" in store.problems[1]


def test_no_runs_is_one_sentence_naming_the_suites_there(tmp_path: Path) -> None:
    write_run(tmp_path, "lstm", sentences=5, suite="full")
    with pytest.raises(FileNotFoundError, match=r"suites there: full.*make quick"):
        read_store(tmp_path, "quick")


def test_a_strange_folder_is_named(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "lstm", sentences=5)
    folder.with_name("seed0.old").mkdir()
    assert "seed0.old is not a run folder" in read_store(tmp_path, "quick").problems[0]
