"""A process that trains ends with the one that started it. Ends between updates are in test_devices."""

import multiprocessing
import os
import time
from pathlib import Path

from experiments.training.devices import processes
from experiments.training.graceful_stop import end_with_parent
from tests.support.waiting import alive, wait

FORK = multiprocessing.get_context("fork")


def stay(pid: Path) -> None:
    os.environ["TORCHELASTIC_RUN_ID"] = processes.OURS
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
    assert alive(child)
    parent.kill()
    wait(lambda: not alive(child))
    parent.join()
