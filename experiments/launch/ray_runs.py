"""Runs on many machines: Ray finds each run a machine, and another one if that machine is lost.

The runs, their records and their logs are those of a suite on one machine. Every machine must see the project and the
run store under the same path, with the same code and packages: this is looked at before the first run begins.
"""

import math
import os
import platform
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from experiments.launch import local, ray_cluster
from experiments.launch.exit_codes import BUSY, FAILED, INTERRUPTED, mistake
from experiments.launch.local import Ended, Limits, log_of, run_one, say
from experiments.launch.ray_cluster import Machine, Project, Request
from experiments.launch.stopping import Interrupted, Running, StopRequest
from experiments.planning.grid import Planned
from experiments.planning.parser import build_parser
from experiments.training.failures import modified, record_failure

LOSSES = 3  # machines that one run may lose
POLL = 0.5  # seconds
LOOK_ROUND = 5.0  # seconds between two looks at which machines there are
LETTING_GO = 180.0  # seconds after which a machine that was given up has ended its runs, and its locks are void
OF_THE_USER = ("DATA_DIR", "OMP_NUM_THREADS", "WANDB_BASE_URL", "WANDB_ENTITY", "WANDB_MODE", "WANDB_PROJECT")


def run_all(runs: Sequence[Planned], limits: Limits, address: str = "") -> list[Ended]:
    """Run them on a Ray cluster, the others also after a failure; return how each ended.

    Args:
        runs: What to run.
        limits: `jobs` are runs at once on each machine.
        address: Of the cluster; see `connected`.

    Raises:
        SystemExit: Interrupted: the runs have finished their step and saved. Or the cluster cannot be used.
    """
    if not runs:
        return []
    root = Path(runs[0].key.root)
    with StopRequest() as stop, ray_cluster.connected(address) as ray, ray_cluster.marked(root) as project:
        stop.listen()  # only now, because Ray takes SIGTERM for itself when it connects
        machines = ray_cluster.machines_of(ray)
        cpus, gpus = sum(machine.cpus for machine in machines), sum(machine.gpus for machine in machines)
        say(f"Ray: machines {len(machines)}, CPUs {cpus}, GPUs {gpus}\n")
        ray_cluster.check(ray, project, machines)
        jobs = min(limits.jobs, math.ceil(len(runs) / len(machines)))
        given = {name: os.environ[name] for name in OF_THE_USER if name in os.environ}
        requests = [request_of(planned, machines, jobs) for planned in runs]
        task = ray.remote(max_retries=LOSSES, retry_exceptions=[Interrupted])(carry_out)
        pending: dict[Any, LogFollower] = {}
        for number, (planned, takes) in enumerate(zip(runs, requests, strict=True), 1):
            here = task.options(num_cpus=takes.cpus, num_gpus=takes.gpus, name=planned.label)
            followed = LogFollower(planned, f"[{number}/{len(runs)}]")
            pending[here.remote(planned, takes.cpus, limits.minutes, project, given)] = followed
        ended = list(follow(ray, pending, machines, stop))
        if pending:
            for ref in pending:
                ray.cancel(ref)
            ray.wait(list(pending), num_returns=len(pending))
            for followed in pending.values():
                followed.show()
            raise SystemExit(stop.code)
    return ended


def request_of(planned: Planned, machines: Sequence[Machine], jobs: int) -> Request:
    """What a run takes of a machine; one GPU, if there are any and `trainer.devices` does not say otherwise.

    Raises:
        SystemExit: It needs several machines, or more than any of them has.
    """
    settings = build_parser().parse_args(planned.arguments).trainer
    if settings.num_nodes > 1:
        raise mistake(
            f"trainer.num_nodes is {settings.num_nodes}, but LAUNCHER=ray gives each run one machine: "
            "set it to 1, or start this run with torchrun."
        )
    devices = 1 if settings.devices == "auto" else settings.devices
    return ray_cluster.request(settings.accelerator, devices, machines, jobs)


def follow(
    ray: Any, pending: dict[Any, "LogFollower"], machines: Sequence[Machine], stop: StopRequest
) -> Iterator[Ended]:
    """Show the runs' output until all have ended or an end is requested; the ended ones are removed from `pending`."""
    begun = looked = time.monotonic()
    of = len(pending)
    while pending and not stop.code:
        ready, _ = ray.wait(list(pending), timeout=POLL)
        for followed in pending.values():
            followed.show()
        for ref in ready:
            followed = pending[ref]
            followed.show(to_the_end=True)
            code = code_of(ray, ref, followed)
            del pending[ref]
            yield Ended(followed.planned, code)
            local.print_time_left(of - len(pending), of, time.monotonic() - begun)
        if time.monotonic() - looked > LOOK_ROUND:
            looked, before, machines = time.monotonic(), machines, ray_cluster.machines_of(ray)
            for machine in set(before) - set(machines):
                say(f"      {machine.name} is lost; its runs continue elsewhere\n")
            for machine in set(machines) - set(before):
                say(f"      {machine.name} has joined\n")


def code_of(ray: Any, ref: Any, followed: "LogFollower") -> int:
    """How a run ended; a failure that its machine did not live to record is recorded here."""
    try:
        return int(ray.get(ref))
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None) or error
        line = str(cause).strip().split("\n")[0]
        if isinstance(cause, Interrupted):
            line = f"it was ended on its machine, {LOSSES + 1} times"
        planned, said = followed.planned, "".join(followed.last_lines())
        record_failure(planned.key, f"{type(cause).__name__}: {line}", said, followed.recorded)
        return FAILED


class LogFollower:
    """A run on whatever machine, and how much of its log was shown."""

    def __init__(self, planned: Planned, position: str) -> None:
        self.planned = planned
        self.recorded = modified(planned.key)
        self._position = position
        self._begun = False
        self._shown = len(self._log(0))

    def show(self, to_the_end: bool = False) -> None:
        """Print the whole lines that are new, and the last one if there will be no more."""
        new = self._log(self._shown)
        if not to_the_end:
            new = new[: new.rfind(b"\n") + 1]
        self._shown += len(new)
        if not self._begun and (new or to_the_end):
            self._begun = True
            say(f"{self._position} {self.planned.label}\n")
        for line in new.decode("utf-8", errors="replace").removesuffix("\n").split("\n") if new else ():
            say(f"      {line}\n")

    def last_lines(self) -> list[str]:
        return self._log(0).decode("utf-8", errors="replace").splitlines(keepends=True)[-local.LAST_LINES :]

    def _log(self, start: int) -> bytes:
        try:
            # Opened each time: only then does a network file system look for what other machines wrote.
            with self.planned.key.log.open("rb") as file:
                file.seek(start)
                return file.read()
        except OSError:
            return b""


def carry_out(planned: Planned, threads: int, minutes: float, project: Project, given: Mapping[str, str]) -> int:
    """Run on the machine that Ray chose; asked to end, let the run finish its step and save.

    Returns:
        What `run_one` returns.

    Raises:
        Interrupted: The run was ended on this machine, which may be shutting down: another one is to resume it.
        ValueError: If this machine is not fit for the run.
    """
    if problem := ray_cluster.store_here(project):
        raise ValueError(problem)
    # By which Ray cancels; it is ignored in what a script starts in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(project.folder)
    os.environ.update({"OMP_NUM_THREADS": str(threads), **given})
    with log_of(planned) as log:
        log.write(f"on {platform.node()}\n")
    running = Running()
    patience_ends = time.monotonic() + LETTING_GO
    with ThreadPoolExecutor(1) as pool:
        try:
            while True:
                future = pool.submit(run_one, planned, "", threads, running, minutes)
                while not wait([future], POLL).done:  # a cancellation is noticed between two waits
                    pass
                if future.result() != BUSY or time.monotonic() > patience_ends:
                    break
        except KeyboardInterrupt:
            running.stop()
            raise
    if future.result() in INTERRUPTED:
        raise Interrupted(future.result())
    return future.result()
