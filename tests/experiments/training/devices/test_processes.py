"""Processes are started together, watched and ended together; small programs stand in for runs."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lightning.pytorch.utilities.exceptions import SIGTERMException

from experiments.training.devices import processes
from experiments.training.devices.processes import run_in_processes
from experiments.training.failures import Failure
from tests.support.waiting import wait

HEAD = """
import json, os, signal, sys, time
rank, folder = int(os.environ["RANK"]), sys.argv[1]

def tell(kind, message):
    failure = {"kind": kind, "message": message, "trace": f"trace of rank {rank}", "expected": False}
    own = os.environ["TORCHELASTIC_ERROR_FILE"]
    with open(f"{own}.half", "w") as file:
        json.dump({"message": message, "timestamp": int(time.time()), "failure": failure}, file)
    os.replace(f"{own}.half", own)
    sys.exit(1)

def mark(name):
    with open(f"{folder}/{name}-{rank}", "w") as file:
        json.dump(dict(os.environ), file)
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has `run_in_processes` start a program of the test's in place of a run."""

    def replace(body: str) -> None:
        (tmp_path / "program.py").write_text(HEAD + body)
        monkeypatch.setattr(processes, "PROGRAM", (str(tmp_path / "program.py"),))

    return replace


def test_each_process_is_told_its_place_and_its_share_of_the_cores(
    program: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    variables, handler = dict(os.environ), signal.getsignal(signal.SIGTERM)
    program("mark('ran')")
    run_in_processes(3, [str(tmp_path)])
    found = [json.loads((tmp_path / f"ran-{rank}").read_text()) for rank in range(3)]
    assert [(one["LOCAL_RANK"], one["WORLD_SIZE"], one["OMP_NUM_THREADS"]) for one in found] == [
        (str(rank), "3", "2") for rank in range(3)
    ]
    assert {one["TORCHELASTIC_RUN_ID"] for one in found} == {processes.OURS}
    assert dict(os.environ) == variables
    assert signal.getsignal(signal.SIGTERM) == handler


def failure_of(tmp_path: Path) -> Failure:
    with pytest.raises(Failure) as failed:
        run_in_processes(2, [str(tmp_path)])
    return failed.value


def test_the_failure_is_that_of_the_process_that_failed_first(program: Callable[[str], None], tmp_path: Path) -> None:
    """Within one second, and although the other fails before anybody looks."""
    program(
        "own = os.environ['TORCHELASTIC_ERROR_FILE']\n"
        "while rank == 0 and not os.path.exists(own.replace('/0/error', '/1/error')): pass\n"
        "time.sleep(0.02 * (1 - rank))\n"
        "tell('ValueError', f'rank {rank}')"
    )
    failure = failure_of(tmp_path)
    assert (failure.error, failure.trace, failure.expected) == ("ValueError: rank 1", "trace of rank 1", False)


def test_the_others_are_ended_when_one_fails(program: Callable[[str], None], tmp_path: Path) -> None:
    program("tell('ValueError', 'no') if rank == 1 else time.sleep(60)")
    begun = time.monotonic()
    assert failure_of(tmp_path).error == "ValueError: no"
    assert time.monotonic() - begun < 30


def test_a_process_that_was_killed_is_named_and_not_those_that_miss_it(
    program: Callable[[str], None], tmp_path: Path
) -> None:
    program(
        "mark('up')\n"
        "while not os.path.exists(f'{folder}/up-0'): time.sleep(0.01)\n"
        "os.kill(os.getpid(), signal.SIGKILL) if rank == 1 else (time.sleep(0.05), tell('RuntimeError', 'peer lost'))"
    )
    assert failure_of(tmp_path).error == "ProcessFailed: the process of rank 1 was killed by SIGKILL"


SAVES = """
def save(number, frame):
    time.sleep(0.3)
    mark("saved")
    sys.exit(128 + number)
signal.signal(signal.SIGTERM, save)
signal.signal(signal.SIGINT, save)
mark("ready")
"""


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGTERM, SIGTERMException), (signal.SIGINT, KeyboardInterrupt)])
def test_a_signal_reaches_every_process_and_all_may_save(
    number: signal.Signals, raised: type[BaseException], program: Callable[[str], None], tmp_path: Path
) -> None:
    def send() -> None:
        wait(lambda: len([*tmp_path.glob("ready-*")]) == 2)
        os.kill(os.getpid(), number)

    program(SAVES + "time.sleep(60)")
    sender = threading.Thread(target=send)
    sender.start()
    with pytest.raises(raised):
        run_in_processes(2, [str(tmp_path)])
    sender.join()
    assert len([*tmp_path.glob("saved-*")]) == 2


def test_a_signal_to_one_process_that_all_agree_to_follow_is_an_interruption(
    program: Callable[[str], None], tmp_path: Path
) -> None:
    program("sys.exit(143)")
    with pytest.raises(SIGTERMException):
        run_in_processes(2, [str(tmp_path)])
