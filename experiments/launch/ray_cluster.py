"""A Ray cluster: how it is reached, what its machines offer, and what each must have: project, run store, packages."""

import importlib
import os
import platform
import signal
import socket
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.launch.exit_codes import mistake
from experiments.launch.provenance import versions
from experiments.launch.receipts import of_code
from experiments.planning.grid import EXPERIMENTS
from experiments.record.write import write_atomically

INSTALL = ".venv/bin/pip install -r requirements-ray.lock"
# Ray reads these when it is imported.
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the coming default, whose announcement is a warning
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # or it prints twenty lines of its own log for each machine that is lost
    "RAY_worker_niceness": "0",  # or runs give way to all else on the machine
    "RAY_task_oom_retries": "3",  # or a run that Ray ends because memory runs out is started again for ever
}
OBJECTS = 100 * 2**20  # bytes of the object store of a cluster that is started here: runs exchange files, not objects
ANSWERS_WITHIN = 5.0  # seconds; left to itself Ray tries for five minutes
# Where Ray keeps the address of the cluster that was started last on this machine (see the documentation of ray.init).
LATEST = Path(os.environ.get("RAY_TMPDIR", "/tmp"), "ray", "ray_current_cluster")


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
    """The module `ray`, set beforehand to send nothing anywhere and to log little.

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
    started = LATEST.read_text(encoding="utf-8").strip() if LATEST.is_file() else ""
    try:
        quiet = {"log_to_driver": False, "logging_level": "critical"}
        if named:
            check_port(named)
            ray.init(address=named, **quiet)
        elif started and answers(started):
            ray.init(address="auto", **quiet)  # only then does Ray look for the cluster's token
        else:
            ray.init(address="local", include_dashboard=False, object_store_memory=OBJECTS, **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        line = str(error).strip().split("\n")[0]
        raise mistake(
            f"{named or started} is no Ray cluster that this machine belongs to ({line}): give the "
            "host:port that `ray start --head` printed, call `ray start --address=host:port` on this machine first, "
            "and set RAY_AUTH_MODE=token if the cluster has a token."
        ) from None
    try:
        yield ray
    finally:
        ray.shutdown()
        signal.signal(signal.SIGTERM, before)


def check_port(address: str) -> None:
    """Raises: OSError if nothing listens at the address, ValueError if it is no address."""
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isdigit() and "://" not in address):
        raise ValueError("not host:port")
    socket.create_connection((host, int(port)), timeout=ANSWERS_WITHIN).close()


def answers(address: str) -> bool:
    try:
        check_port(address)
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Project:
    """What every machine must have.

    Args:
        host: Name of the machine that starts the runs.
        folder: Where it starts them.
        mark: A file in the run store, there as long as the runs last.
        word: Its content.
        code: Fingerprint of the code.
        versions: Of Python and the packages that numbers depend on.
    """

    host: str
    folder: Path
    mark: Path
    word: str
    code: str
    versions: Mapping[str, str]


def check(ray: Any, project: Project, machines: Sequence[Machine]) -> None:
    """Check every machine before the first run begins.

    Raises:
        SystemExit: There is none, or one of them does not see the run store, or has other code or packages.
    """
    if not machines:
        raise mistake("no machine of the Ray cluster offers a CPU: add one with `ray start --address`.")
    affinity = importlib.import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy
    look = ray.remote(num_cpus=0)(problem_here)
    answers = [
        look.options(scheduling_strategy=affinity(machine.node, soft=False)).remote(project) for machine in machines
    ]
    for machine, answer in zip(machines, answers, strict=True):
        try:
            problem = ray.get(answer)
        except ray.exceptions.RayError as error:
            lines = str(error).strip().split("\n")
            problem = f"{machine.name} does not take part: {type(error).__name__}: {lines[0]}"
            if "ModuleNotFoundError" in lines[-1]:
                problem = f"{machine.name} has no project in {project.folder} ({lines[-1]}): it must be there too."
        if problem:
            raise mistake(problem)


def problem_here(project: Project) -> str:
    """What keeps this machine from taking part, in a sentence; empty if nothing."""
    here = platform.node()
    if problem := store_here(project):
        return problem
    if fingerprint() != project.code:
        return f"{here} has other code in {EXPERIMENTS.parent} than {project.host}: bring them to the same commit."
    for name, version in versions().items():
        if version != (wanted := project.versions.get(name)):
            return f"{here} has {name} {version}, {project.host} {wanted}: install requirements.lock on both."
    return ""


def store_here(project: Project) -> str:
    """Like `problem_here`, of the run store alone."""
    try:
        word = project.mark.read_text(encoding="utf-8")
    except OSError:
        word = ""
    if word != project.word or not project.folder.is_dir():
        return (
            f"{platform.node()} does not see {project.mark.parent} of {project.host}: "
            f"keep {project.folder} on a file system that all machines have under the same path."
        )
    return ""


def fingerprint() -> str:
    """Of the code that runs here, and the configurations that come with it."""
    return of_code(EXPERIMENTS.parent, ("py", "yaml"))


@contextmanager
def marked(root: Path) -> Iterator[Project]:
    """Inside, the run store holds a file by which other machines show that they see it."""
    word = uuid.uuid4().hex
    mark = root.resolve() / f".ray-{word}"
    write_atomically(mark, word)
    try:
        yield Project(platform.node(), Path.cwd(), mark, word, fingerprint(), versions())
    finally:
        mark.unlink(missing_ok=True)
