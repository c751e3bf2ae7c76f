import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import wandb

from experiments.record.read import read_result
from experiments.record.wandb_names import run_id
from experiments.tracking import logger as tracking
from experiments.tracking import sync
from experiments.tracking.logger import MARK
from experiments.tracking.publish import numbers
from experiments.tracking.sync import main, offline_runs, records
from tests.support.fakes import long_range as fake_long_range
from tests.support.fakes import runs as fake_runs
from tests.support.fakes import speed as fake_speed
from tests.support.tiny_runs import tiny_key, tiny_run
from tests.support.wandb_answers import SentRun
from tests.support.wandb_server import WandbServer

pytestmark = pytest.mark.usefixtures("nobody_logged_in")


@pytest.fixture
def logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb, "login", lambda **_: True)


def offline_run(root: Path, seed: int, day: int, synced: bool = False) -> Path:
    """An offline run of a finished run; nothing is in it."""
    run = root / "quick" / "bleu" / "t" / "lstm" / "base" / f"seed{seed}"
    folder = run / "wandb" / f"offline-run-202601{day:02}_000000-{seed:012}"
    folder.mkdir(parents=True)
    (folder / f"run-{seed}.wandb").touch()
    (run / "result.json").write_text("{}")
    if synced:
        (folder / f"run-{seed}.wandb.synced").touch()
    return folder


class Uploads(list[Path]):
    """The folders that were given to `upload`, in order; `outcomes` of the first attempt where it does not succeed."""

    outcomes: dict[Path, bool | BaseException]

    def __call__(self, folder: Path) -> bool:
        self.append(folder)
        outcome = self.outcomes.pop(folder, True)
        if isinstance(outcome, BaseException):
            raise outcome
        if outcome:
            (folder / "run.wandb.synced").touch()
        return outcome


@pytest.fixture
def uploaded(monkeypatch: pytest.MonkeyPatch) -> Uploads:
    uploads = Uploads()
    uploads.outcomes = {}
    monkeypatch.setattr(sync, "upload", uploads)
    return uploads


def test_without_a_login_it_says_how_many_wait_and_asks_nothing(tmp_path: Path, uploaded: Uploads) -> None:
    offline_run(tmp_path, 1, 1)
    offline_run(tmp_path, 2, 2)
    with pytest.raises(
        SystemExit,
        match=r"^2 runs or parts of runs wait; log in first: .venv/bin/python -m wandb login, then make sync$",
    ):
        main(str(tmp_path))
    assert not uploaded


@pytest.mark.usefixtures("logged_in")
def test_every_run_is_uploaded_once_and_the_oldest_first(
    tmp_path: Path, uploaded: Uploads, capsys: pytest.CaptureFixture[str]
) -> None:
    newer, older = offline_run(tmp_path, 1, 20), offline_run(tmp_path, 2, 10)
    offline_run(tmp_path, 3, 15, synced=True)
    main(str(tmp_path))
    assert uploaded == [older, newer]
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"[1/2] {older.relative_to(tmp_path)}  uploaded  about ")
    assert said[1:] == [f"[2/2] {newer.relative_to(tmp_path)}  uploaded", "uploaded 2 of 2 runs and parts of runs"]
    main(str(tmp_path))
    assert uploaded == [older, newer]
    assert capsys.readouterr().out == f"nothing to upload under {tmp_path}\n"


@pytest.mark.usefixtures("logged_in")
def test_an_interrupted_upload_continues_with_the_runs_left(
    tmp_path: Path, uploaded: Uploads, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = (offline_run(tmp_path, seed, seed) for seed in (1, 2, 3))
    uploaded.outcomes = {second: KeyboardInterrupt()}
    with pytest.raises(SystemExit) as stopped:
        main(str(tmp_path))
    assert stopped.value.code == 130
    assert "continues from here" in capsys.readouterr().err
    main(str(tmp_path))
    assert uploaded == [first, second, second, third]


@pytest.mark.usefixtures("logged_in")
def test_what_was_not_uploaded_is_named_and_the_others_are(
    tmp_path: Path, uploaded: Uploads, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, broken, _ = (offline_run(tmp_path, seed, seed) for seed in (1, 2, 3))
    uploaded.outcomes = {bad: False, broken: wandb.Error("gone\nfor good")}
    with pytest.raises(SystemExit, match="not uploaded, try again later") as stopped:
        main(str(tmp_path))
    assert all(str(folder) in str(stopped.value.code) for folder in (bad, broken))
    said = capsys.readouterr().out
    assert "uploaded 1 of 3 runs" in said
    assert "not uploaded: gone  " in said


@pytest.mark.parametrize(
    ("finished", "age", "taken"), [(True, 0, True), (False, 0, False), (False, 2 * sync.STILL, True)]
)
def test_a_run_that_still_trains_is_left_alone(tmp_path: Path, finished: bool, age: float, taken: bool) -> None:
    folder = offline_run(tmp_path, 1, 1)
    if not finished:
        (folder.parents[1] / "result.json").unlink()
    (log,) = folder.glob("*.wandb")
    os.utime(log, (time.time() - age,) * 2)
    assert offline_runs(tmp_path) == ([folder] if taken else [])


def test_a_run_that_another_configuration_replaced_is_left_alone(tmp_path: Path) -> None:
    folder = offline_run(tmp_path, 1, 1).parents[1]
    folder.rename(folder.with_name("until-20260101-000000-seed1"))
    assert offline_runs(tmp_path) == []
    assert records(tmp_path) == []


def test_trials_and_runs_with_an_offline_run_are_no_records_to_publish(tmp_path: Path) -> None:
    offline_run(tmp_path, 1, 1, synced=True)
    fake_runs.write_run(tmp_path, "lstm", suite="quick-tuning")
    wanted = fake_runs.write_run(tmp_path, "lstm", suite="quick")
    assert records(tmp_path) == [wanted]


def test_an_upload_that_takes_too_long_or_leaves_no_mark_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = [subprocess.TimeoutExpired("wandb", 1.0), subprocess.CompletedProcess([], 0, "", "no such project")]
    monkeypatch.setattr(sync.subprocess, "run", MagicMock(side_effect=outcomes))
    folder = offline_run(tmp_path, 1, 1)
    assert [sync.upload(folder), sync.upload(folder)] == [False, False]
    assert capsys.readouterr().err == "no such project\n"


def sent(server: WandbServer, folder: Path) -> SentRun:
    """A finished run as the server has it: under its own id, with every number."""
    record = read_result(folder)
    run, expected = server.runs[run_id(record)], numbers(record)
    assert {name: run.summary[name] for name in expected} == expected
    return run


def test_a_server_that_refuses_is_one_line_and_nothing_is_marked(tmp_path: Path, server: WandbServer) -> None:
    server.failing = 403
    folder = fake_runs.write_run(tmp_path / "runs", "lstm")
    with pytest.raises(SystemExit, match=r"^W&B does not take the login, nothing was uploaded: .+$"):
        main(str(tmp_path / "runs"))
    assert not (folder / MARK).exists()


def test_an_offline_run_is_on_the_server_number_for_number_and_is_sent_once(
    tmp_path: Path, server: WandbServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    folder = tiny_run(tmp_path, model="bahdanau")
    assert server.requests == []
    assert not list(tmp_path.glob("**/lightning_logs"))
    wandb.teardown()
    main(str(tmp_path / "runs"))
    run, (identifier,) = sent(server, folder), server.runs
    assert any("val/bleu" in row for row in run.history)
    assert run.config["run"] == tiny_key(tmp_path, "bahdanau").identity
    assert f"{identifier}/requirements.lock" in server.files
    assert run.ended
    assert server.unknown == []
    requests = len(server.requests)
    capsys.readouterr()
    main(str(tmp_path / "runs"))
    assert "nothing to upload" in capsys.readouterr().out
    assert len(server.requests) == requests


def test_finished_records_without_a_run_on_wandb_are_published_once(
    tmp_path: Path, server: WandbServer, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "runs"
    trained = fake_runs.write_run(root, "transformer")
    fake_long_range.write_pairs(root)  # scored, not trained
    fake_speed.write_cost(root, "lstm", 2.0e7)
    folders = [file.parent for file in root.glob("**/result.json")]
    main(str(root))
    assert len(server.runs) == len(folders)
    for folder in folders:
        run, record = sent(server, folder), read_result(folder)
        assert json.loads((folder / MARK).read_text())["url"].endswith(f"/{run_id(record)}")
        assert run.config["run"]["model"] == record["model"]
        assert run.config["git"] == record["git"]
        if folder == trained:
            losses = [row["val/loss"] for row in run.history if "val/loss" in row]
            lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
            assert losses == [line["value"] for line in lines if line["metric"] == "val/loss"]
    capsys.readouterr()
    main(str(root))
    assert "nothing to upload" in capsys.readouterr().out
    assert {run.times_begun for run in server.runs.values()} == {1}


def test_a_record_made_again_is_published_again(tmp_path: Path, server: WandbServer) -> None:
    folder = fake_speed.write_cost(tmp_path / "runs", "lstm", 2.0e7)
    main(str(tmp_path / "runs"))
    record: Any = read_result(folder)
    record["measurements"][0]["value"] = 1.0
    fake_runs.write_json(folder / "result.json", record | {"finished": "2026-02-02T00:00:00+00:00"})
    main(str(tmp_path / "runs"))
    assert sent(server, folder).times_begun == 2


def test_what_a_dying_server_missed_is_sent_later_without_its_history_twice(
    tmp_path: Path, server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fake_runs.write_run(tmp_path / "runs", "lstm")
    (folder / "wandb" / "run-20260101_000000-x").mkdir(parents=True)  # it was online while it trained
    main(str(tmp_path / "runs"))
    assert not any("val/loss" in row for row in sent(server, folder).history)
    assert tracking.is_mirrored(folder)
