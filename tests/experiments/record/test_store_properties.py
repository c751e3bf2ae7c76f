"""A run that is killed at any call while it writes: what is there can be read and is whole, and it can continue."""

import itertools
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from analysis.store import Store, read_store
from experiments.record.keys import Measurement, RunKey
from experiments.record.write import remove_halves, write_atomically, write_failure, write_result
from experiments.training.callbacks import Clock, LocalRecord
from tests.support.fakes.runs import PROVENANCE

FILES = {"config.yaml", "metrics.jsonl", "result.json", "failure.json"}
METRICS = {f"metric {number}": 0.1 * number for number in range(3)}
WRITERS = ("experiments.record.write", "experiments.training.callbacks", "tempfile")  # modules whose calls are counted
LIFE = 66  # calls that a process makes with one step and a result
ENDS = {"result": "finished", "failure": "failed"}
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def work(run: RunKey, resumed: int, ends_in: str, tell: Callable[[bytes], object]) -> None:
    """The life of a process that resumes after a step: one step more is recorded, then how it ended."""
    clock = Clock()
    remove_halves(run.folder)
    write_atomically(run.folder / "config.yaml", "trainer:\n  max_steps: 9\n")
    record = LocalRecord(run.folder / "metrics.jsonl", clock)
    record.forget_after(resumed)
    clock.seconds, clock.target_tokens = float(resumed), 100 * resumed
    record.log_metrics(METRICS, resumed)  # Lightning counts from 0
    tell(b"step\n")
    if ends_in == "result":
        write_result(run, {"a": 1}, [Measurement("bleu", 1.0, "BLEU", 1)], {}, {}, PROVENANCE)
    else:
        write_failure(run, "ValueError: no", "trace")
    tell(b"ended\n")


def lived(run: RunKey, resumed: int, ends_in: str, call: int = 0) -> list[str]:
    """What a process tells of its work; it is killed when the code that writes calls C for the `call`-th time."""
    hearing, telling = os.pipe()
    child = os.fork()
    if not child:
        calls = itertools.count(1)

        def count(frame: FrameType, event: str, argument: Any) -> None:
            if event == "c_call" and frame.f_globals.get("__name__") in WRITERS and next(calls) == call:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.setprofile(count)
            work(run, resumed, ends_in, lambda words: os.write(telling, words))
        finally:
            os._exit(sys.exc_info()[0] is not None)
    os.close(telling)
    for _ in range(3):
        loaded(run)  # while it is written
    with os.fdopen(hearing) as told:
        words = told.read().splitlines()
    assert os.waitpid(child, 0)[1] in (0, signal.SIGKILL), "the process failed by itself"
    return words


def loaded(run: RunKey) -> Store | None:
    try:
        found = read_store(Path(run.root), "quick")
    except FileNotFoundError:
        return None
    assert found.problems == []
    return found


@pytest.mark.parametrize("calls", [range(2, LIFE, 4), pytest.param(range(1, LIFE), marks=pytest.mark.slow)])
@pytest.mark.parametrize("ends_in", ENDS)
def test_a_kill_at_any_call_leaves_a_store_that_loads_and_a_run_that_can_go_on(
    ends_in: str, calls: range, tmp_path: Path
) -> None:
    """Everything that was recorded before the checkpoint is there once afterwards, and nothing else."""
    statuses = set()
    for call in calls:
        run = RunKey("quick", "bleu", "task", "lstm", root=str(tmp_path / str(call)))
        told, store = lived(run, 0, ends_in, call), loaded(run)
        assert store is not None
        status = store.runs[0].status
        assert status in ([ENDS[ends_in]] if "ended" in told else [ENDS[ends_in], "interrupted"][not told :])
        statuses.add(status)
        record = run.folder / "metrics.jsonl"
        if record.exists():
            half = json.dumps({"step": 99, "seconds": 1.0, "target_tokens": 9, "metric": "a"})[:call]
            record.write_text(record.read_text() + half)  # as a kill in the middle of a line leaves it
        step = told.count("step")
        assert lived(run, step, "result") == ["step", "ended"]
        store = loaded(run)
        assert store is not None
        history = store.history(store.runs[0])
        assert (store.runs[0].status, store.problems) == ("finished", [])
        assert history["step"].tolist() == [number for number in range(1, step + 2) for _ in METRICS]
        assert {path.name for path in run.folder.iterdir()} <= FILES
    assert statuses == {"interrupted", ENDS[ends_in]}
