"""The facts of a record that follow from nothing else: commit, versions, machine, times."""

import shutil
import subprocess
from pathlib import Path

import pytest

from experiments.launch import provenance
from experiments.launch.provenance import git_state

UNKNOWN = {"commit": None, "dirty": False}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a report and a line of code, both committed, which the code takes for its own."""
    for file in ("results/report.md", "experiments/launch/provenance.py"):
        (tmp_path / file).parent.mkdir(parents=True)
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
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    assert git_state() == UNKNOWN
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state() == UNKNOWN


def test_the_commit_of_an_enclosing_repository_is_not_that_of_the_code(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert git_state()["commit"]
    shutil.copytree(repository / "experiments", repository / "copy" / "experiments")
    monkeypatch.setattr(provenance, "ROOT", repository / "copy")
    assert git_state() == UNKNOWN
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))  # as in one of its hooks
    assert git_state() == UNKNOWN


def test_the_commit_of_a_repository_that_the_code_was_copied_into_is_not_its_own(repository: Path) -> None:
    subprocess.run(["git", "rm", "-r", "--cached", "experiments"], cwd=repository, check=True, capture_output=True)
    assert git_state() == UNKNOWN


def test_the_repository_of_a_hook_hides_not_the_codes_own(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = git_state()
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.setenv(name, str(repository / "nowhere"))
    assert git_state() == known


def test_a_rewritten_report_is_no_change_of_the_code(repository: Path) -> None:
    assert git_state()["dirty"] is False
    (repository / "results" / "report.md").write_text("two")
    assert git_state()["dirty"] is False
    (repository / "experiments" / "launch" / "provenance.py").write_text("two")
    assert git_state()["dirty"] is True


@pytest.mark.parametrize(("new", "dirty"), [("experiments/other.py", True), ("experiments/notes.txt", False)])
def test_a_new_module_changes_the_code(new: str, dirty: bool, repository: Path) -> None:
    (repository / new).write_text("one")
    assert git_state()["dirty"] is dirty
