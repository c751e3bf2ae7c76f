"""A Ray cluster of several nodes on this machine, and stand-ins for runs that take a second and compute nothing."""

import importlib.util
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from experiments.launch.exit_codes import MISTAKE
from experiments.launch.ray_cluster import OBJECTS, installed
from experiments.planning.grid import Planned

STEPS = 30
# That a node is lost: the same as in any cluster, sooner.
QUICK_TO_NOTICE = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 4,
}

# Python reads this module before any other: where it was started to run, the stand-in runs, and everything is as it
# would be with the run itself. A run counts its steps in `steps`, resumes from there when it begins again, saves when
# it is asked to end, ends with its launcher, and fails at step 5 if its seed is 13.
STAND_IN = f"""
import os, sys
if sys.orig_argv[1:3] == ["-m", "experiments.run"]:
    import json, pathlib, signal, threading, time
    from filelock import FileLock, Timeout
    words = dict(word.removeprefix("--run.").split("=", 1) for word in sys.orig_argv if word.startswith("--run."))
    key = [words[name] for name in ("suite", "experiment", "task", "model", "variant")]
    folder = pathlib.Path(words["root"], *key, "seed" + words["seed"])
    folder.mkdir(parents=True, exist_ok=True)
    def tell(name, *what):
        with (folder / name).open("a") as file:
            file.write(" ".join(map(str, what)) + "\\n")
    def count(name):
        return len((folder / name).read_text().split("\\n")) - 1 if (folder / name).exists() else 0
    def stop(*_):
        global stopped
        stopped = True
    def end_with_launcher():
        os.read(0, 1)
        os.kill(os.getpid(), signal.SIGTERM)
    stopped = False
    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=end_with_launcher, daemon=True).start()
    try:
        FileLock(folder / "lock").acquire(timeout=0)
    except Timeout:
        os._exit(75)
    names = ("OMP_NUM_THREADS", "WANDB_MODE", "CUDA_VISIBLE_DEVICES")
    tell("begun", os.getpid(), os.getcwd(), *(os.environ.get(name) for name in names))
    if (folder / "result.json").exists():
        print("finished already")
        os._exit(0)
    while count("steps") < {STEPS}:
        if words["seed"] == "13" and count("steps") == 5:
            print("error: no such thing")
            os._exit(1)
        tell("steps", os.getpid())
        print("step", count("steps"), flush=True)
        time.sleep(0.1)
        if stopped:
            tell("saved", count("steps"))
            os._exit(143)
    tell("result.json", json.dumps({{"by": os.getpid()}}))
    os._exit(0)
"""


def needs_ray() -> None:
    """Skip the test where Ray is not installed; without importing it, because it would not be told to be quiet."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed: see requirements-ray.lock")


class Cluster:
    """Nodes on this machine, each with a name: to Ray they are machines."""

    def __init__(self) -> None:
        self._nodes = _cluster_of_ray()
        self._of: dict[str, Any] = {}

    @property
    def address(self) -> str:
        return str(self._nodes.address)

    def add(self, name: str, cpus: int = 1, gpus: int = 0) -> None:
        small = {"num_cpus": cpus, "num_gpus": gpus, "object_store_memory": OBJECTS, "include_dashboard": False}
        if not self._of:
            small["_system_config"] = QUICK_TO_NOTICE
        self._of[name] = self._nodes.add_node(**small)

    def kill(self, name: str) -> None:
        """As if the machine had lost its power: nothing on it says good-bye."""
        for started in self._of[name].all_processes["raylet"]:
            started.process.kill()
            started.process.wait()  # a worker takes a raylet that is not waited for to be alive

    def stop(self) -> None:
        self._nodes.shutdown()


def _cluster_of_ray() -> Any:
    installed()
    from ray.cluster_utils import Cluster as Nodes

    return Nodes()


@contextmanager
def cluster(*names: str) -> Iterator[Cluster]:
    """Nodes that are gone afterwards, with all that ran on them; the first is the head."""
    needs_ray()
    before = signal.getsignal(signal.SIGTERM)  # Ray's own handler would outlive the nodes
    there = Cluster()
    try:
        for name in names:
            there.add(name)
        yield there
    finally:
        signal.signal(signal.SIGTERM, before)
        there.stop()


def use_stand_ins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every process that is started from now on runs stand-ins."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(STAND_IN, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(folder))


def told(planned: Planned, name: str) -> list[str]:
    """The lines of a file of a run's folder."""
    path = planned.key.folder / name
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


@contextmanager
def mistake(says: str, capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Inside, the program ends as it does after a mistake in what was typed, and one line says `says`, a pattern."""
    with pytest.raises(SystemExit) as stopped:
        yield
    said = capsys.readouterr().err
    assert stopped.value.code == MISTAKE
    assert re.fullmatch(f"error: .*{says}.*\n", said), said


def processes_of(planned: Planned) -> list[int]:
    """The processes that a run had, one after another."""
    return [int(line.split()[0]) for line in told(planned, "begun")]
