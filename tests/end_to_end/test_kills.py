"""A suite that is killed, or started twice at once, ends as one that was left alone: nothing lost, nothing twice."""

import signal
import subprocess
import sys
from pathlib import Path

from experiments.launch.exit_codes import BUSY
from tests.support.readme import ROOT
from tests.support.tiny_runs import assert_same, measured, recorded
from tests.support.waiting import wait


def suite(root: Path) -> subprocess.Popen[bytes]:
    """The suite of one translation model, in a process group of its own."""
    words = ["bleu", "--suite", "smoke", "--root", str(root), "--models", "lstm", "--jobs", "1"]
    command, silent = [sys.executable, "-m", "experiments.suite", *words], subprocess.DEVNULL
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=silent, start_new_session=True)


def contents(folder: Path) -> dict[Path, bytes]:
    """The files of a run; empty where numbers depend on the time."""
    kept = ("attention.json", "test.jsonl")
    return {p.relative_to(folder): p.read_bytes() * (p.name in kept) for p in folder.rglob("*") if p.is_file()}


def folder_of(root: Path) -> Path:
    """The one folder that lies where run folders are."""
    (found,) = (path for path in root.glob("smoke/*/*/*/*/*") if path.suffix not in (".txt", ".lock"))
    return found


def test_a_suite_that_is_started_twice_or_killed_in_training_ends_as_one_that_was_not(tmp_path: Path) -> None:
    reference, root = tmp_path / "reference", tmp_path / "killed"
    both = [suite(reference) for _ in range(2)]
    said = b"".join(one.communicate(timeout=200)[0] for one in both).decode()
    assert {one.returncode for one in both} in ({0}, {0, BUSY})
    folder = folder_of(reference)
    assert said.count(f"{folder}: BLEU") == 1
    steps = [step for step, metric, *_ in recorded(folder) if metric == "train/loss"]
    assert steps == sorted(set(steps))

    with suite(root) as killed:
        log = root / folder.relative_to(reference) / "metrics.jsonl"
        wait(lambda: log.exists() and log.stat().st_size, 120)
        killed.send_signal(signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL
    again = suite(root)
    again.communicate(timeout=200)
    assert (again.returncode, folder_of(root).name) == (0, folder.name)
    assert measured(folder_of(root)) == measured(folder)
    assert_same(folder_of(root), folder)
    assert contents(folder_of(root)) == contents(folder)
