import subprocess
import sys
from pathlib import Path

import pytest
import wandb

from experiments import sync
from experiments.sync import main


def offline_run(root: Path, number: int, synced: bool = False) -> Path:
    folder = root / "quick" / f"seed{number}" / "wandb" / f"offline-run-20260101_000000-{number:012}"
    folder.mkdir(parents=True)
    (folder / f"run-{number}.wandb").touch()
    if synced:
        (folder / f"run-{number}.wandb.synced").touch()
    return folder


@pytest.fixture
def logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb, "login", lambda **_: True)


def test_without_runs_there_is_nothing_to_upload(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(str(tmp_path))
    assert capsys.readouterr().out == f"nothing to upload under {tmp_path}\n"


def test_without_a_login_it_says_how_many_wait_and_asks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def login(prompt: bool, verify: bool) -> bool:
        asked.append(prompt)
        return False

    monkeypatch.setattr(wandb, "login", login)
    monkeypatch.setattr(sync, "upload", lambda _: pytest.fail("uploaded"))
    offline_run(tmp_path, 1)
    offline_run(tmp_path, 2)
    with pytest.raises(SystemExit, match="2 runs wait; log in first"):
        main(str(tmp_path))
    assert asked == [False]


@pytest.mark.usefixtures("logged_in")
def test_every_run_is_uploaded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    uploaded: list[Path] = []

    def upload(folder: Path) -> int:
        uploaded.append(folder)
        (folder / "run.wandb.synced").touch()
        return 0

    monkeypatch.setattr(sync, "upload", upload)
    waiting = [offline_run(tmp_path, number) for number in (1, 2)]
    offline_run(tmp_path, 3, synced=True)
    main(str(tmp_path))
    assert uploaded == waiting
    assert "uploaded 2 of 2 runs" in capsys.readouterr().out
    main(str(tmp_path))
    assert uploaded == waiting
    assert "nothing to upload" in capsys.readouterr().out


@pytest.mark.usefixtures("logged_in")
def test_what_was_not_uploaded_is_named_and_the_others_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, _ = (offline_run(tmp_path, number) for number in (1, 2))
    monkeypatch.setattr(sync, "upload", lambda folder: int(folder == bad))
    with pytest.raises(SystemExit, match="not uploaded") as stopped:
        main(str(tmp_path))
    assert str(bad) in str(stopped.value.code)
    assert "uploaded 1 of 2 runs" in capsys.readouterr().out


def test_wandb_itself_uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], check: bool) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 7)

    monkeypatch.setattr(sync.subprocess, "run", run)
    assert sync.upload(tmp_path) == 7
    assert commands == [[sys.executable, "-m", "wandb", "sync", str(tmp_path)]]
