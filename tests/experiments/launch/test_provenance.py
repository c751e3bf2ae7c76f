"""The facts of a record that follow from nothing else: commit, versions, machine, times."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from experiments.launch import provenance
from experiments.launch.provenance import git_state, machine, versions

UNKNOWN = {"commit": None, "dirty": False}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a report and a line of code, both committed, which the code takes for its own."""
    for file in ("results/report.md", "code/suite.py"):
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).write_text("one")
    for words in (
        ["init"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-m", "one"],
    ):
        subprocess.run(["git", *words], cwd=tmp_path, check=True, capture_output=True)
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    return tmp_path


def test_without_git_or_outside_a_repository_no_commit_is_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    assert git_state() == UNKNOWN
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state() == UNKNOWN


def test_the_commit_of_an_enclosing_repository_is_not_that_of_the_code(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert git_state()["commit"]
    monkeypatch.setattr(provenance, "ROOT", repository / "code")
    assert git_state() == UNKNOWN


def test_a_rewritten_report_is_no_change_of_the_code(repository: Path) -> None:
    assert git_state()["dirty"] is False
    (repository / "results" / "report.md").write_text("two")
    assert git_state()["dirty"] is False
    (repository / "code" / "suite.py").write_text("two")
    assert git_state()["dirty"] is True


def test_the_facts_are_all_there_and_in_order() -> None:
    facts = provenance.provenance(datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC))
    assert list(facts) == ["git", "versions", "machine", "started", "finished"]
    assert facts["started"] == "2026-01-02T03:04:05+00:00"
    assert datetime.fromisoformat(facts["finished"]).tzinfo
    assert set(machine()) == {"cpu", "cores", "threads", "memory_gib", "gpus", "platform"}
    assert machine()["cpu"]
    assert machine()["memory_gib"] > 0
    assert {"python", "torch", "lightning", "sacrebleu", "sentencepiece"} <= set(versions())
