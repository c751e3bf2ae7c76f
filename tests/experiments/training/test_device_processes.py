"""Processes are started together, watched and ended together; small programs stand in for runs."""

import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException

from experiments.training import device_processes as processes
from experiments.training.device_processes import Failure, cluster, count_to_start, end_with_parent, run_in_processes
from experiments.training.trainer import TrainerSettings, hardware

FORK = multiprocessing.get_context("fork")
HEAD = """
import json, os, signal, sys, time
rank, folder = int(os.environ["RANK"]), sys.argv[1]

def tell(kind, message):
    failure = {"kind": kind, "message": message, "trace": f"trace of rank {rank}", "expected": False}
    with open(os.environ["TORCHELASTIC_ERROR_FILE"], "w") as file:
        json.dump({"message": message, "timestamp": int(time.time()), "failure": failure}, file)
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


def stay(pid: Path) -> None:
    end_with_parent()
    pid.write_text(str(os.getpid()))
    time.sleep(60)


def start_one_that_stays(pid: Path) -> None:
    child = FORK.Process(target=stay, args=(pid,))
    child.start()
    child.join()


def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    """Also when that is killed and can tell nobody."""
    parent = FORK.Process(target=start_one_that_stays, args=(tmp_path / "pid",))
    parent.start()
    wait(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "")
    child = int((tmp_path / "pid").read_text())
    assert is_running(child)
    parent.kill()
    wait(lambda: not is_running(child))
    parent.join()


def wait(fulfilled: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not fulfilled():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.fixture
def started_by(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets the environment that torchrun or srun would."""

    def start(**variables: str) -> None:
        for name in ("TORCHELASTIC_RUN_ID", "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS", "SLURM_NTASKS_PER_NODE"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return start


TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "4", "RANK": "1", "LOCAL_RANK": "1"}
SRUN = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_NTASKS": "4", "SLURM_PROCID": "3", "SLURM_NTASKS_PER_NODE": "4"}
ONE_TASK = {"SLURM_STEP_NUM_TASKS": "1", "SLURM_NTASKS": "8", "SLURM_PROCID": "0"}  # of a job with room for eight


@pytest.mark.parametrize(
    ("variables", "devices", "nodes", "count"),
    [({}, 1, 1, 0), ({}, 3, 1, 3), (TORCHRUN, 2, 2, 0), (SRUN, 4, 1, 0), (ONE_TASK, 2, 1, 2), (ONE_TASK, 1, 1, 0)],
)
def test_processes_are_started_where_nobody_else_has(
    variables: dict[str, str], devices: int, nodes: int, count: int, started_by: Callable[..., None]
) -> None:
    started_by(**variables)
    assert count_to_start(devices, nodes) == count
    assert cluster().creates_processes_externally == (variables in (TORCHRUN, SRUN))


def test_more_machines_than_were_started_are_refused(started_by: Callable[..., None]) -> None:
    started_by()
    with pytest.raises(ValueError, match=r"trainer\.num_nodes is 2, but nothing has started .* torchrun, or with srun"):
        count_to_start(2, 2)
    started_by(**TORCHRUN)
    with pytest.raises(ValueError, match=r"trainer\.devices is 2 on each of 3 machines .* but 4 processes were"):
        count_to_start(2, 3)


@pytest.mark.parametrize(
    ("gpus", "settings", "said"),
    [
        (0, {"accelerator": "gpu"}, r"trainer\.accelerator is gpu, but torch finds no GPU here: set it to cpu or auto"),
        (1, {"devices": 2}, r"trainer\.devices is 2, but this machine has 1 GPU: lower it, or .* trainer\.accelerator"),
        (2, {"devices": 8}, r"trainer\.devices is 8, but this machine has 2 GPUs"),
        (0, {"devices": 0}, r"trainer\.devices is 0 and trainer\.num_nodes 1; both must be at least 1"),
    ],
)
def test_devices_that_are_not_there_are_refused(
    gpus: int, settings: dict[str, object], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    with pytest.raises(ValueError, match=said):
        hardware(TrainerSettings(**settings))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("gpus", "settings", "found"),
    [
        (0, {}, ("cpu", 1)),
        (4, {}, ("gpu", 4)),
        (4, {"devices": 2}, ("gpu", 2)),
        (4, {"accelerator": "cpu"}, ("cpu", 1)),
        (0, {"devices": 3}, ("cpu", 3)),
    ],
)
def test_a_run_takes_all_gpus_or_one_process_of_the_cpu(
    gpus: int, settings: dict[str, object], found: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert hardware(TrainerSettings(**settings)) == found  # type: ignore[arg-type]
