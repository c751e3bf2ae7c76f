"""A suite that is killed, or started twice at once, ends as one that was left alone: nothing lost, nothing twice."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.launch.exit_codes import BUSY
from tests.support.readme import ROOT
from tests.support.tiny_runs import assert_same, measured, recorded
from tests.support.waiting import wait

KILLS = 30


def suite(root: Path, experiment: str, models: str = "", stdout: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "experiments.suite", experiment, "--suite", "smoke", "--root", str(root)]
    return subprocess.Popen(
        [*command, "--models", models, "--jobs", "1"],
        cwd=ROOT,
        stdout=stdout,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def children(pid: int) -> Iterator[int]:
    """All processes that a process has started, and those that they have."""
    for child in Path(f"/proc/{pid}/task").glob("*/children"):
        for number in map(int, child.read_text().split()):
            yield number
            yield from children(number)


def send(number: signal.Signals, pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def the_suite(suite: int) -> list[int]:
    return [suite]


def the_run(suite: int) -> list[int]:
    return [*children(suite)][:1]


def everything(suite: int) -> list[int]:
    return [*children(suite), suite]


WAYS = [(what, number) for what in (the_suite, the_run, everything) for number in (signal.SIGKILL, signal.SIGTERM)]


def folders(root: Path) -> list[str]:
    """Run folders, and whatever else lies where run folders are."""
    return sorted(
        str(path.relative_to(root)) for path in root.glob("smoke/*/*/*/*/*") if path.suffix not in (".txt", ".lock")
    )


def assert_as_if_nothing_had_happened(root: Path, reference: Path) -> None:
    assert folders(root) == folders(reference)
    for name in folders(reference):
        one, other = root / name, reference / name
        assert measured(one) == measured(other), name
        assert_same(one, other)
        written = {path.relative_to(one) for path in one.rglob("*") if path.is_file()}
        assert written == {path.relative_to(other) for path in other.rglob("*") if path.is_file()}, name
        for path in written:
            if path.parts[0] == "hypotheses" or path.name == "attention.json":
                assert (one / path).read_bytes() == (other / path).read_bytes(), f"{name} {path}"


def finish(root: Path, experiment: str, models: str = "") -> None:
    started = suite(root, experiment, models)
    assert started.wait(600) == 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("experiment", ["bleu", "long-range"])
def test_a_suite_that_is_killed_at_random_ends_as_one_that_was_not(experiment: str, tmp_path: Path) -> None:
    reference = tmp_path / "reference"
    begun = time.monotonic()
    finish(reference, experiment)
    whole = time.monotonic() - begun
    draw = random.Random(0)
    kills, roots, codes = 0, 0, []
    while kills < KILLS:
        root = tmp_path / f"killed{roots}"
        roots += 1
        for _ in range(KILLS):
            started = suite(root, experiment)
            what, number = draw.choice(WAYS)
            try:
                codes.append(started.wait(draw.uniform(0.1, 0.6) * whole))
                if codes[-1] == 0:
                    break
            except subprocess.TimeoutExpired:
                send(number, what(started.pid))
                kills += 1
                print(f"{kills} {what.__name__} {number.name} {root.name}", flush=True)
                codes.append(started.wait(600))
        finish(root, experiment)
        assert_as_if_nothing_had_happened(root, reference)
    assert set(codes) <= {0, 1, 143, -signal.SIGKILL, -signal.SIGTERM}, codes
    print(json.dumps({"experiment": experiment, "kills": kills, "suites": roots, "exit codes": codes}))


def test_a_suite_that_is_started_twice_or_killed_in_training_ends_as_one_that_was_not(tmp_path: Path) -> None:
    """The thin version of the test above: one kill, in the middle of the training of one model."""
    reference, root = tmp_path / "reference", tmp_path / "killed"
    both = [suite(reference, "bleu", "lstm", stdout=subprocess.PIPE) for _ in range(2)]
    said = b"".join(one.communicate(timeout=200)[0] for one in both).decode()
    assert {one.returncode for one in both} in ({0}, {0, BUSY})
    (folder,) = (reference / name for name in folders(reference))
    assert said.count(f"{folder}: BLEU") == 1
    steps = [step for step, metric, *_ in recorded(folder) if metric == "train/loss"]
    assert steps == sorted(set(steps))

    started = suite(root, "bleu", "lstm")
    log = root / folder.relative_to(reference) / "metrics.jsonl"
    wait(lambda: log.exists() and log.stat().st_size, 120)
    send(signal.SIGKILL, the_suite(started.pid))
    assert started.wait(10) == -signal.SIGKILL
    finish(root, "bleu", "lstm")
    assert_as_if_nothing_had_happened(root, reference)
