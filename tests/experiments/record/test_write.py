import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from experiments.record import write
from experiments.record.keys import Measurement, RunKey, config_hash
from experiments.record.read import is_finished
from experiments.record.write import remove_halves, write_atomically, write_failure, write_result
from tests.support.fakes.runs import PROVENANCE

CONFIG: dict[str, Any] = {"model": {"class_path": "LSTM", "init_args": {"network": {"width": 32}}}, "seed": 0}
ROWS = [Measurement("bleu", 12.5, "BLEU", 7, "test_set", "test"), Measurement("steps", 6, "steps", 1)]


def key(root: Path) -> RunKey:
    return RunKey("quick", "bleu", "embedded-en-de", "lstm", root=str(root), command="make bleu")


def record(root: Path, rows: list[Measurement] = ROWS) -> dict[str, Any]:
    write_result(key(root), CONFIG, rows, {"steps": 6}, {"bleu": "tok:13a"}, PROVENANCE)
    result: dict[str, Any] = json.loads((key(root).folder / "result.json").read_text(encoding="utf-8"))
    return result


def test_finished_is_a_whole_result_with_the_right_hash_and_nothing_else(tmp_path: Path) -> None:
    path = key(tmp_path).folder / "result.json"
    assert not is_finished(path.parent, config_hash(CONFIG))
    write_atomically(path.parent / "config.yaml", "model: lstm\n")
    assert not is_finished(path.parent, config_hash(CONFIG))
    record(tmp_path)
    assert is_finished(path.parent, config_hash(CONFIG))
    assert not is_finished(path.parent, config_hash({**CONFIG, "seed": 1}))
    whole = path.read_text(encoding="utf-8")
    for length in (0, 1, len(whole) // 2, len(whole.rstrip()) - 1):
        path.write_text(whole[:length], encoding="utf-8")
        assert not is_finished(path.parent, config_hash(CONFIG))


@pytest.mark.parametrize("value", [math.nan, math.inf, True])
def test_a_result_that_no_reader_would_take_is_not_written(value: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"result.json is not written \(measurements 0 value: Input"):
        record(tmp_path, [Measurement("bleu", value, "BLEU", 7)])
    assert not key(tmp_path).folder.exists()


def test_what_a_killed_process_was_writing_is_removed_and_nothing_else(tmp_path: Path) -> None:
    kept = tmp_path / "checkpoints" / "last.ckpt"
    write_atomically(kept, b"whole")
    kept.with_name(f".last.ckpt.x1{write.HALF}").write_bytes(b"half")
    remove_halves(tmp_path)
    assert [path.name for path in kept.parent.iterdir()] == ["last.ckpt"]
    assert kept.read_bytes() == b"whole"


def test_a_failure_is_not_a_result_and_goes_when_the_run_finishes(tmp_path: Path) -> None:
    named = key(tmp_path)
    write_failure(named, "ValueError: too wide", "Traceback ...")
    assert json.loads((named.folder / "failure.json").read_text()) == {
        **named.identity,
        "error": "ValueError: too wide",
        "traceback": "Traceback ...",
        "log": str(named.log),
        "command": "make bleu",
    }
    assert not is_finished(named.folder, config_hash(CONFIG))
    record(tmp_path)
    assert not (named.folder / "failure.json").exists()


@pytest.mark.parametrize("broken", ["fsync", "replace", "text"])
def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a" / "result.json"
    write_atomically(path, "Straße")
    assert path.stat().st_mode & 0o777 == 0o644  # others may read it

    def fail(*_: object) -> None:
        raise OSError("disk full")

    if broken != "text":
        monkeypatch.setattr(write.os, broken, fail)
    with pytest.raises((OSError, UnicodeEncodeError)):
        write_atomically(path, "\ud800" if broken == "text" else "new")
    assert path.read_text(encoding="utf-8") == "Straße"
    assert os.listdir(path.parent) == ["result.json"]
