"""`make retry` runs again what failed, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from experiments.launch import local as launch
from experiments.launch import retry
from experiments.launch.exit_codes import BUSY
from experiments.planning.grid import Planned, plan_bleu, plan_long_range
from experiments.record.keys import RunKey
from experiments.record.write import write_failure


def fail(planned: Planned) -> Planned:
    write_failure(planned.key, "ValueError: too wide", "Traceback ...", planned.arguments)
    return planned


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Planned]:
    """The runs that were started; each finishes."""
    started: list[Planned] = []

    def run(one: Planned, *_: Any) -> int:
        started.append(one)
        (one.key.folder / "failure.json").unlink()
        return 0

    monkeypatch.setattr(launch, "run_one", run)
    return started


def test_what_failed_is_run_again_as_it_was_planned_and_what_did_not_is_left_alone(
    ran: list[Planned], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(tmp_path)
    lstm, _, transformer = plan_bleu("smoke", [], [1], "de-en", root, ["--trainer.precision=32-true"])
    recall, *_ = plan_long_range("smoke", ["recall"], ["lstm"], [0], root, [])
    failed = [fail(planned) for planned in (lstm, transformer, recall)]
    retry.main("smoke", root=root)
    assert [one.label for one in ran] == [one.label for one in failed]
    assert [sorted(one.arguments) for one in ran] == [sorted(one.arguments) for one in failed]
    assert [one.key for one in ran] == [one.key for one in failed]
    ran.clear()
    retry.main("smoke", root=root)
    assert ran == []
    assert capsys.readouterr().out.splitlines()[-1] == f"nothing has failed in {tmp_path / 'smoke'}"


def test_what_fails_again_is_listed_and_the_end_is_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for planned in plan_bleu("smoke", ["lstm", "transformer"], [0], "", str(tmp_path), []):
        fail(planned)
    monkeypatch.setattr(launch, "run_one", lambda one, *_: int(one.key.model == "lstm"))
    with pytest.raises(SystemExit) as stopped:
        retry.main("smoke", root=str(tmp_path))
    assert stopped.value.code == 1
    said = capsys.readouterr().err
    assert "1 of 2 runs failed:" in said
    assert "embedded-en-de lstm base seed 0: ValueError: too wide" in said
    assert "make retry SUITE=smoke" in said


def test_a_measurement_that_failed_is_named_with_its_command(
    ran: list[Planned], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = RunKey("smoke", "speed", "length", "lstm", root=str(tmp_path), command="make speed SUITE=smoke TASKS=length")
    write_failure(key, "MemoryError", "")
    with pytest.raises(SystemExit) as stopped:
        retry.main("smoke", root=str(tmp_path))
    assert stopped.value.code == 1
    assert ran == []
    assert "make speed SUITE=smoke TASKS=length" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({"arguments": 3}), "null"])
def test_a_broken_record_is_named_and_the_others_are_run(
    text: str, ran: list[Planned], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, good = plan_bleu("smoke", ["lstm", "transformer"], [0], "", str(tmp_path), [])
    fail(good)
    path = broken.key.folder / "failure.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    retry.main("smoke", root=str(tmp_path))
    assert [one.label for one in ran] == [good.label]
    assert str(path) in capsys.readouterr().err


def test_a_run_that_another_process_has_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (planned,) = plan_bleu("smoke", ["lstm"], [0], "", str(tmp_path), [])
    fail(planned)
    monkeypatch.setattr(launch, "run_one", lambda *_: BUSY)
    with pytest.raises(SystemExit) as stopped:
        retry.main("smoke", root=str(tmp_path))
    assert stopped.value.code == BUSY
    assert "being run by another process" in capsys.readouterr().err
