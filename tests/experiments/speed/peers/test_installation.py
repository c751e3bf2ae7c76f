import subprocess
from pathlib import Path

import pytest
import torch

from experiments.speed.peers import installation
from experiments.speed.peers.installation import CannotInstall, build_environment


def commands_of(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What is called from now on, in real."""
    called: list[list[str]] = []
    original = installation.call

    def call(command: list[str]) -> None:
        called.append(command)
        original(command)

    monkeypatch.setattr(installation, "call", call)
    return called


def test_the_environment_has_its_own_packages_and_our_torch_and_is_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# nothing\n")
    monkeypatch.setattr(installation, "REQUIREMENTS", requirements)
    seen = tmp_path / "seen"
    check = f"print(torch.__file__, sys.prefix, sep='\\n', file=open({str(seen)!r}, 'w'))"
    monkeypatch.setattr(installation, "CHECK", f"import sys, torch; {check}")
    called = commands_of(monkeypatch)
    python = build_environment(tmp_path / "peers")
    assert called[-1][0] == str(python)
    file, prefix = seen.read_text().splitlines()
    assert file == torch.__file__
    assert Path(prefix).resolve() == (tmp_path / "peers").resolve()
    first = len(called)
    assert build_environment(tmp_path / "peers") == python
    assert len(called) == first
    requirements.write_text("# other packages\n")
    monkeypatch.setattr(installation, "call", called.append)
    build_environment(tmp_path / "peers")
    assert len(called) > first


def test_a_failing_installation_is_one_line_and_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        tried.append(command)
        fails = "pip" in command
        said = "WARNING: a mirror\nERROR: no matching distribution for joeynmt\n\nWARNING: later\n"
        return subprocess.CompletedProcess(command, int(fails), "", said if fails else "")

    monkeypatch.setattr(installation.subprocess, "run", run)
    for attempt in (1, 2):
        with pytest.raises(CannotInstall, match=r"^ERROR: no matching distribution for joeynmt$"):
            build_environment(tmp_path / "peers")
        assert len(tried) == 2 * attempt
