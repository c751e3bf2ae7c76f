"""A Ray cluster: how it is reached, what its machines offer, and how much of that one run takes."""

import importlib
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from experiments.launch.exit_codes import mistake

INSTALL = ".venv/bin/pip install -r requirements-ray.lock"
# Ray reads these when it is imported.
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the coming default, whose announcement is a warning
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # or it prints twenty lines of its own log for each machine that is lost
    "RAY_worker_niceness": "0",  # or runs give way to all else on the machine
    "RAY_task_oom_retries": "3",  # or a run that Ray ends because memory runs out is begun again for ever
}
OBJECTS = 100 * 2**20  # bytes of the object store of a cluster that is started here: runs exchange files, not objects
ANSWERS_WITHIN = 5.0  # seconds; left to itself Ray tries for five minutes


@dataclass(frozen=True)
class Machine:
    """What a machine of the cluster offers; `node` is Ray's name for it."""

    name: str
    node: str
    cpus: int
    gpus: int


@dataclass(frozen=True)
class Request:
    """What a run takes of a machine; `gpus` is a fraction where several runs share one."""

    cpus: int
    gpus: float


def request(accelerator: str, devices: int, machines: Sequence[Machine], jobs: int) -> Request:
    """What a run takes: its devices, and its share of the cores of the smallest machine that has as many devices.

    Threads are then the same on machines of all sizes, and so are the numbers.

    Args:
        accelerator: cpu, gpu, or auto: a GPU if the cluster has one.
        devices: Of the run.
        machines: Of the cluster.
        jobs: Runs at once on each machine. There are more where the GPUs are enough for more; where they are too few
            for so many, runs of one device share them.

    Raises:
        SystemExit: No machine has what the run needs.
    """
    with_gpu = [machine for machine in machines if machine.gpus]
    if accelerator == "cpu" or (accelerator == "auto" and not with_gpu):
        return Request(max(1, min(machine.cpus for machine in machines) // jobs), 0)
    enough = [machine for machine in with_gpu if machine.gpus >= devices]
    if not enough:
        most = max(machine.gpus for machine in machines)
        raise mistake(
            f"a run takes {devices} GPUs (trainer.devices, DEVICES), but no machine of the cluster has more "
            f"than {most}: ask for fewer, or add a larger machine."
        )
    gpus = min(machine.gpus for machine in enough)
    at_once = max(jobs, gpus // devices)
    if at_once * devices > gpus and devices > 1:
        raise mistake(
            f"{jobs} runs at once (JOBS) of {devices} GPUs each (DEVICES) do not fit a machine with {gpus}: "
            f"JOBS={gpus // devices} do."
        )
    share = devices if at_once * devices <= gpus else gpus / at_once
    return Request(max(1, min(machine.cpus for machine in enough) // at_once), share)


def machines_of(ray: Any) -> list[Machine]:
    """The machines that are there and can take a run."""
    found = []
    for node in ray.nodes():
        offers = node["Resources"]
        if node["Alive"] and offers.get("CPU", 0) >= 1:
            name = str(node["NodeManagerHostname"])
            found.append(Machine(name, str(node["NodeID"]), int(offers["CPU"]), int(offers.get("GPU", 0))))
    return found


def installed() -> Any:
    """The module `ray`, told beforehand to send nothing anywhere and to say little.

    Raises:
        SystemExit: It is not installed.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        return importlib.import_module("ray")
    except ModuleNotFoundError:
        raise mistake(f"LAUNCHER=ray needs Ray, which is not installed: {INSTALL}") from None


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Inside, this process is a client of the cluster, and the value is the module `ray`.

    Args:
        address: host:port; if empty RAY_ADDRESS, else the cluster of the last `ray start` on this machine, else a
            cluster of this machine alone, which is stopped at the end.

    Raises:
        SystemExit: Ray is not installed, or there is no cluster at the address.
    """
    ray = installed()
    before = signal.getsignal(signal.SIGTERM)  # Ray takes it for itself and does not give it back
    named = address or os.environ.get("RAY_ADDRESS", "")
    started = importlib.import_module("ray._private.services").find_bootstrap_address(None)  # None: nobody called it
    try:
        quiet = {"log_to_driver": False, "logging_level": "critical"}
        if named:
            knock(named)
            ray.init(address=named, **quiet)
        elif started and answers(started):
            ray.init(address="auto", **quiet)  # for Ray looks for the cluster's token only where it has to find it
        else:
            ray.init(address="local", include_dashboard=False, object_store_memory=OBJECTS, **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        line = str(error).strip().split("\n")[0]
        raise mistake(
            f"RAY={named or started or ''} is no Ray cluster that this machine belongs to ({line}): give the "
            "host:port that `ray start --head` printed, call `ray start --address=host:port` on this machine first, "
            "and set RAY_AUTH_MODE=token if the cluster has a token."
        ) from None
    try:
        yield ray
    finally:
        ray.shutdown()
        signal.signal(signal.SIGTERM, before)


def knock(address: str) -> None:
    """Raises: OSError if nobody answers, ValueError if it is no address."""
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isdigit() and "://" not in address):
        raise ValueError("not host:port")
    socket.create_connection((host, int(port)), timeout=ANSWERS_WITHIN).close()


def answers(address: str) -> bool:
    try:
        knock(address)
    except OSError:
        return False
    return True
