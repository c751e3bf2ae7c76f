"""The run store under random work, deaths and readers: whatever happens, what is there can be read and is whole."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.store import Run, Store, read_store
from experiments.record.keys import Measurement, RunKey
from experiments.record.write import remove_halves, write_atomically, write_failure, write_result
from experiments.training.callbacks import Clock, LocalRecord
from tests.support.fakes.runs import PROVENANCE

FILES = {"config.yaml", "metrics.jsonl", "result.json", "failure.json"}
MODELS = ("lstm", "transformer")
METRICS = {f"metric {number}": 0.1 * number for number in range(3)}
WRITERS = ("experiments.record.write", "experiments.training.callbacks", "tempfile")  # modules whose calls are counted
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@dataclass(frozen=True)
class Session:
    """What one process does on one run before it ends or is ended.

    Attributes:
        steps: Steps of training that it records.
        ends_in: What it writes then.
        death: How it is ended when the code that writes calls a C function for the `call`-th time, if it ever does.
        back: Steps before the last recorded at which the checkpoint lies that it resumes from.
        torn: Characters of one more line that had reached the record when it was killed.
    """

    steps: int
    ends_in: Literal["result", "failure", "nothing"]
    death: Literal["SIGKILL", "KeyboardInterrupt", "none"]
    call: int
    back: int
    torn: int


sessions = st.builds(
    Session,
    steps=st.integers(0, 3),
    ends_in=st.sampled_from(["result", "result", "failure", "nothing"]),
    death=st.sampled_from(["SIGKILL", "SIGKILL", "KeyboardInterrupt", "none"]),
    call=st.integers(1, 90),
    back=st.integers(0, 3),
    torn=st.integers(0, 60),
)
plans = st.lists(st.tuples(sessions, sessions | st.none()), min_size=1, max_size=4)


@dataclass
class Known:
    """What a run's processes have told: what is surely there, and what may be."""

    step: int = 0
    result: int = 0
    begun_result: int = 0
    failure: int = 0
    begun_failure: int = 0

    def hear(self, words: list[str], resumed: int) -> None:
        self.step = resumed
        for word in words:
            what, number = word.split()
            setattr(self, what, int(number))


def key(root: Path, model: str) -> RunKey:
    return RunKey("quick", "bleu", "task", model, "base", 0, str(root), "make bleu")


def work(root: Path, model: str, session: Session, resumed: int, number: int, telling: int) -> None:
    """The life of a process; `number` tells its records from those of others."""

    def tell(what: str, value: int) -> None:
        os.write(telling, f"{what} {value}\n".encode())

    run, clock = key(root, model), Clock()
    remove_halves(run.folder)
    write_atomically(run.folder / "config.yaml", "trainer:\n  max_steps: 9\n")
    record = LocalRecord(run.folder / "metrics.jsonl", clock)
    record.forget_after(resumed)
    for step in range(resumed + 1, resumed + 1 + session.steps):
        clock.seconds, clock.target_tokens = float(step), 100 * step
        record.log_metrics(METRICS, step - 1)  # Lightning counts from 0
        tell("step", step)
    if session.ends_in == "result":
        tell("begun_result", number)
        rows = [Measurement("bleu", float(number), "BLEU", 1)]
        write_result(run, {"a": 1}, rows, {}, {}, PROVENANCE)
        tell("result", number)
    elif session.ends_in == "failure":
        tell("begun_failure", number)
        write_failure(run, f"ValueError: {number}", "trace")
        tell("failure", number)


def begin(root: Path, model: str, session: Session, resumed: int, number: int) -> tuple[int, int]:
    """Start a process that does the work; return its id and where it tells what it has done."""
    hearing, telling = os.pipe()
    child = os.fork()
    if child:
        os.close(telling)
        return child, hearing
    calls = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        if event != "c_call" or frame.f_globals["__name__"] not in WRITERS:
            return
        calls += 1
        if calls == session.call:
            if session.death == "SIGKILL":
                os.kill(os.getpid(), signal.SIGKILL)
            raise KeyboardInterrupt

    try:
        if session.death != "none":
            sys.setprofile(count)
        work(root, model, session, resumed, number, telling)
    except KeyboardInterrupt:
        pass
    except BaseException:
        os._exit(1)
    finally:
        os._exit(0 if sys.exc_info()[0] in (None, KeyboardInterrupt) else 1)


def tear(root: Path, model: str, session: Session) -> None:
    """Leave what a process leaves that is killed, or finds the disk full, in the middle of a line."""
    record = key(root, model).folder / "metrics.jsonl"
    if session.death == "SIGKILL" and record.exists():
        with record.open("a") as file:
            file.write(json.dumps({"step": 99, "seconds": 1.0, "target_tokens": 9, "metric": "a"})[: session.torn])


def ended(child: int, hearing: int) -> list[str]:
    with os.fdopen(hearing) as told:
        words = told.read().splitlines()
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), f"the process failed by itself: {status}"
    return words


def loaded(root: Path) -> Store | None:
    try:
        found = read_store(root, "quick")
    except FileNotFoundError:
        return None
    assert found.problems == []
    return found


def watched(root: Path, children: list[tuple[int, int]]) -> Iterator[list[str]]:
    """Read the store while the processes work on it, then say what each told."""
    for _ in range(3):
        loaded(root)
    for child in children:
        yield ended(*child)


def as_told(run: Run | None, known: Known, found: Store | None) -> None:
    """The run is finished if its result was written, with those numbers; failed likewise; else there is neither."""
    if run is None or found is None:
        assert not known.result
        assert not known.failure
        return
    if run.status == "finished":
        assert run.record["measurements"][0]["value"] in {known.result, known.begun_result} - {0}
        if known.result == known.begun_result:
            assert run.record["measurements"][0]["value"] == known.result
    elif run.status == "failed":
        assert not known.result
        assert int(run.record["error"].split()[-1]) in {known.failure, known.begun_failure} - {0}
    else:
        assert run.status == "interrupted"
        assert not known.result
        assert not known.failure


def whole_history(root: Path, model: str, known: Known, number: int) -> None:
    """Once more, undisturbed: everything that was recorded before the checkpoint is there once, and nothing else."""
    last = Session(steps=1, ends_in="result", death="none", call=0, back=0, torn=0)
    known.hear(ended(*begin(root, model, last, known.step, number)), known.step)
    found = loaded(root)
    assert found is not None
    run = next(run for run in found.runs if run.model == model)
    assert run.status == "finished"
    history = found.history(run)
    assert found.problems == []
    assert history["step"].tolist() == [step for step in range(1, known.step + 1) for _ in METRICS]
    assert {path.name for path in run.folder.iterdir()} <= FILES


def lives(plan: list[tuple[Session, Session | None]]) -> None:
    with TemporaryDirectory() as scratch:
        root, known = Path(scratch), {model: Known() for model in MODELS}
        number = 0
        for pair in plan:
            children, resumed = {}, {}
            chosen = {model: session for model, session in zip(MODELS, pair, strict=True) if session is not None}
            for model, session in chosen.items():
                number += 1
                resumed[model] = max(0, known[model].step - session.back)
                children[model] = begin(root, model, session, resumed[model], number)
            for model, words in zip(children, watched(root, list(children.values())), strict=True):
                known[model].hear(words, resumed[model])
                if known[model].result == known[model].begun_result == 0:  # what is finished is not gone on with
                    tear(root, model, chosen[model])
            found = loaded(root)
            for model in MODELS:
                runs = [run for run in found.runs if run.model == model] if found else []
                as_told(runs[0] if runs else None, known[model], found)
        for model in MODELS:
            number += 1
            whole_history(root, model, known[model], number)


@given(plans)
@settings(max_examples=10, derandomize=True)
def test_processes_that_are_killed_leave_a_store_that_loads(plan: list[tuple[Session, Session | None]]) -> None:
    lives(plan)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@given(plans)
@settings(max_examples=500, derandomize=True)
def test_processes_that_are_killed_leave_a_store_that_loads_hundreds_of_times(
    plan: list[tuple[Session, Session | None]],
) -> None:
    lives(plan)


LIFE = 66  # calls that a process makes with one step and a result


@pytest.mark.parametrize("calls", [range(2, LIFE, 4), pytest.param(range(1, LIFE), marks=pytest.mark.slow)])
def test_a_kill_at_any_call_leaves_a_store_that_loads_and_a_run_that_can_go_on(calls: range) -> None:
    """One step recorded, then its result: killed before it records, while it does, before the result and after it."""
    statuses = set()
    for call in calls:
        with TemporaryDirectory() as scratch:
            root, known = Path(scratch), Known()
            session = Session(steps=1, ends_in="result", death="SIGKILL", call=call, back=0, torn=call)
            known.hear(ended(*begin(root, "lstm", session, 0, 1)), 0)
            found = loaded(root)
            assert found is not None
            as_told(found.runs[0], known, found)
            statuses.add(found.runs[0].status)
            tear(root, "lstm", session)
            whole_history(root, "lstm", known, 2)
    assert statuses == {"interrupted", "finished"}
