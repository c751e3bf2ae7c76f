import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.record import write as store
from experiments.record.keys import Measurement, RunKey, config_hash
from experiments.record.read import is_finished
from experiments.record.write import remove_halves, write_atomically, write_failure, write_result, write_rows
from tests.support.fakes.runs import PROVENANCE

CONFIG = {"model": {"width": 32, "rates": [0.1, 0.2]}, "seed": 0}


def key(root: Path, **changes: Any) -> RunKey:
    named = {"suite": "quick", "experiment": "bleu", "task": "embedded-en-de", "model": "lstm", "root": str(root)}
    return RunKey(**{**named, "command": "make bleu", **changes})


def record(root: Path, config: dict[str, Any] = CONFIG) -> dict[str, Any]:
    rows = [Measurement("bleu", 12.5, "BLEU", 7, "test_set", "test"), Measurement("steps", 6, "steps", 1)]
    write_result(key(root), config, rows, {"steps": 6}, {"bleu": "tok:13a"}, PROVENANCE)
    result: dict[str, Any] = json.loads((key(root).folder / "result.json").read_text(encoding="utf-8"))
    return result


def test_a_run_has_the_folder_that_its_key_names(tmp_path: Path) -> None:
    named = key(tmp_path, variant="gru", seed=3)
    assert named.folder == tmp_path / "quick" / "bleu" / "embedded-en-de" / "lstm" / "gru" / "seed3"
    assert named.log == named.folder.parent / "log-seed3.txt"
    assert list(named.identity) == ["suite", "experiment", "task", "model", "variant", "seed"]


@pytest.mark.parametrize("part", ["suite", "experiment", "task", "model", "variant", "seed"])
def test_every_part_of_the_key_makes_another_folder_and_another_log(part: str, tmp_path: Path) -> None:
    one, other = key(tmp_path), key(tmp_path, **{part: 9 if part == "seed" else "other"})
    assert one.folder != other.folder
    assert one.log != other.log


def test_a_result_has_every_field_of_the_record(tmp_path: Path) -> None:
    result = record(tmp_path)
    named = {"suite", "experiment", "task", "model", "variant", "seed", "config_hash", "command", "git", "versions"}
    assert set(result) == named | {
        "machine",
        "model_settings",
        "started",
        "finished",
        "held_equal",
        "signatures",
        "measurements",
        "digest",
    }
    assert result["config_hash"] == config_hash(CONFIG)
    assert result["command"] == "make bleu"
    expected = {"metric": "bleu", "value": 12.5, "unit": "BLEU", "n": 7, "x_name": "test_set", "x": "test"}
    assert result["measurements"][0] == expected
    assert result["measurements"][1]["x_name"] == ""
    assert result["measurements"][1]["x"] is None


def test_finished_is_a_result_with_the_right_hash_and_nothing_else(tmp_path: Path) -> None:
    folder = key(tmp_path).folder
    assert not is_finished(folder, config_hash(CONFIG))
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("model: lstm\n")
    assert not is_finished(folder, config_hash(CONFIG))
    record(tmp_path)
    assert is_finished(folder, config_hash(CONFIG))
    assert not is_finished(folder, config_hash({**CONFIG, "seed": 1}))


def test_half_a_result_is_not_a_result(tmp_path: Path) -> None:
    record(tmp_path)
    path = key(tmp_path).folder / "result.json"
    whole = path.read_text(encoding="utf-8")
    for length in (0, 1, len(whole) // 2, len(whole.rstrip()) - 1):
        path.write_text(whole[:length], encoding="utf-8")
        assert not is_finished(path.parent, config_hash(CONFIG))


def test_what_a_killed_process_was_writing_is_removed_and_nothing_else(tmp_path: Path) -> None:
    kept = tmp_path / "checkpoints" / "last.ckpt"
    write_atomically(kept, b"whole")
    program = (
        "import os, signal, sys; from pathlib import Path; from experiments.record import write\n"
        "write.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write.write_atomically(Path(sys.argv[1]), b'half')"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(kept)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(kept.parent.iterdir())) == 2
    remove_halves(tmp_path)
    assert [path.name for path in kept.parent.iterdir()] == ["last.ckpt"]
    assert kept.read_bytes() == b"whole"


def test_a_failure_is_not_a_result_and_goes_when_the_run_finishes(tmp_path: Path) -> None:
    named = key(tmp_path)
    write_failure(named, "ValueError: too wide", "Traceback ...", ["-c", "common.yaml"])
    failure = json.loads((named.folder / "failure.json").read_text())
    assert failure == {
        **named.identity,
        "error": "ValueError: too wide",
        "traceback": "Traceback ...",
        "log": str(named.log),
        "command": "make bleu",
        "arguments": ["-c", "common.yaml"],
    }
    assert not is_finished(named.folder, config_hash(CONFIG))
    record(tmp_path)
    assert not (named.folder / "failure.json").exists()


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "result.json"
    write_atomically(path, "old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(store.os, broken, fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["result.json"]


def test_a_write_of_text_that_cannot_be_encoded_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.txt"
    write_atomically(path, "Straße")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\ud800")
    assert path.read_text(encoding="utf-8") == "Straße"
    assert os.listdir(path.parent) == ["b.txt"]


def test_others_may_read_what_was_written(tmp_path: Path) -> None:
    write_atomically(tmp_path / "result.json", "x")
    assert (tmp_path / "result.json").stat().st_mode & 0o777 == 0o644


@settings(max_examples=30, deadline=None)
@given(st.lists(st.dictionaries(st.text(), st.text() | st.integers() | st.booleans(), max_size=3), max_size=5))
def test_rows_come_back_one_a_line(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    write_rows(path, rows)
    with path.open(encoding="utf-8", newline="\n") as file:
        assert [json.loads(line) for line in file] == rows


def changed(value: Any, path: tuple[Any, ...]) -> Any:
    if not path:
        return "something else"
    copy = value.copy()
    copy[path[0]] = changed(value[path[0]], path[1:])
    return copy


@pytest.mark.parametrize("path", [("seed",), ("model", "width"), ("model", "rates", 1), ("model",)])
def test_every_key_is_in_the_hash(path: tuple[Any, ...]) -> None:
    assert config_hash(changed(CONFIG, path)) != config_hash(CONFIG)


def test_the_hash_ignores_the_order_of_keys_and_nothing_else() -> None:
    assert config_hash({"a": 1, "b": {"c": 2, "d": 3}}) == config_hash({"b": {"d": 3, "c": 2}, "a": 1})
    assert config_hash({"a": [1, 2]}) != config_hash({"a": [2, 1]})
    assert config_hash({"a": 1}) != config_hash({"a": "1"})
    assert config_hash({"a": None}) != config_hash({})


def test_the_hash_is_the_same_in_every_process() -> None:
    assert config_hash({"a": 1, "b": None}) == "0c6b73e7b48e199a"
