"""The speed tasks of a suite, one after another in one process; tasks that are already measured are skipped."""

import os
import resource
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentError, ArgumentParser

from experiments.launch import receipts
from experiments.launch.exit_codes import FAILED, INTERRUPTED, MISTAKE
from experiments.planning.grid import EXPERIMENTS
from experiments.planning.yaml_files import one_sentence, read_yaml
from experiments.record.write import write_failure
from experiments.speed.cost.operations import operations, translation_runs
from experiments.speed.decoding import run_decoding
from experiments.speed.devices import run_devices
from experiments.speed.loops import configurations, run_loops
from experiments.speed.record import Rows, Task
from experiments.speed.settings import Settings
from experiments.speed.sweep import run_sweep
from experiments.speed.systems import System
from experiments.training.environment import quiet, return_memory
from models.kernels.gpu import use_equal_kernels

Measured = tuple[dict[str, Rows], dict[str, Any]]
Measure = Callable[[], Measured]


def main(suite: str = "quick", tasks: str = "", root: str = "runs", process: int = 0) -> None:
    """Measure the speed tasks of a suite that are not measured yet on this machine with this code.

    The first process starts the others that the suite asks for, one after the other.

    Args:
        suite: One of experiments/configs/speed, where what they measure is.
        tasks: Some tasks only, separated by blanks, for example "length decoding".
        root: Folder of the run store.
        process: Number of this process.
    """
    quiet()
    receipt = receipts.of_stage("speed", suite, root, tasks)
    settings = read_settings(suite)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    use_equal_kernels()
    if device.type == "cpu":
        keep_within_memory()
    planned = plan(suite, settings, device, root, process)
    unknown = set(tasks.split()) - {task.name for task, _ in planned}
    if unknown and not process:  # some tasks are measured by the first process alone
        known = ", ".join(task.name for task, _ in planned)
        raise SystemExit(f"error: TASKS names {', '.join(sorted(unknown))}, not in SUITE={suite}: choose from {known}.")
    chosen = [(task, measure) for task, measure in planned if not tasks or task.name in tasks.split()]
    left = [(task, measure) for task, measure in chosen if not task.finished()]
    if len(left) < len(chosen):
        print(
            f"already measured on this machine with this code: {len(chosen) - len(left)} of {len(chosen)} speed tasks"
        )
    failed = [
        task
        for number, (task, measure) in enumerate(left, 1)
        if not measured_and_written(task, measure, number, len(left))
    ]
    complete = not failed
    for number in range(1, settings.processes) if not process else ():
        print(f"process {number + 1} of {settings.processes}", flush=True)
        words = [f"--suite={suite}", f"--tasks={tasks}", f"--root={root}", f"--process={number}"]
        code = subprocess.run([sys.executable, "-m", "experiments.speed", *words]).returncode
        if code in (MISTAKE, *INTERRUPTED):
            raise SystemExit(code)
        complete &= not code
    if failed:
        raise SystemExit(f"{len(failed)} of {len(left)} speed tasks failed: {', '.join(t.name for t in failed)}")
    if not complete:
        raise SystemExit(FAILED)
    if not process:
        receipt.write()


def read_settings(suite: str) -> Settings:
    path = EXPERIMENTS / "configs" / "speed" / f"{suite}.yaml"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml")))
        raise SystemExit(f"error: SUITE is {suite!r}, but {path} does not exist; speed is measured in {known}.")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Settings, "speed")
    try:
        settings: Settings = parser.instantiate(parser.parse_object({"speed": read_yaml(path)})).speed
    except ArgumentError as error:
        raise SystemExit(f"error: {path}: {one_sentence(error)}") from None
    except ValueError as error:
        raise SystemExit(f"error: {error}") from None
    return settings


def plan(
    suite: str, settings: Settings, device: torch.device, root: str, process: int = 0
) -> list[tuple[Task, Measure]]:
    """The tasks of the settings, each with the function that measures it; operations are counted only once."""
    common = {"models": settings.models, "width": settings.width, "vocabulary": settings.vocabulary}
    common |= {"clock": asdict(settings.clock)}
    if settings.precision != Settings.precision:
        common["precision"] = settings.precision
    text = settings.text
    known: list[tuple[str, Any, Callable[..., Measured]]] = [
        ("length", settings.length, partial(run_sweep, "length")),
        ("width", settings.width_sweep, partial(run_sweep, "width")),
        ("batch", settings.batch, partial(run_sweep, "batch")),
        (f"text-{text.corpus}-{text.direction}" if text else "", text, run_loops),
        ("decoding", settings.decoding, run_decoding),
        ("devices", settings.devices, run_devices),
    ]
    found: list[tuple[Task, Measure]] = []
    for name, asked, run in known:
        if asked is not None:
            made_of = {**common, "asked": asdict(asked)}
            if asked is text:
                made_of["configs"] = receipts.of(
                    *(path for system in text.systems for path in configurations(text, system))
                )
            task = Task(suite, name, root, made_of, list(map(System, asked.systems)), process)
            found.append((task, partial(run, asked, settings, device)))
    for name, folders in translation_runs(Path(root), suite).items() if not process else ():
        configs = {system: (folder / "config.yaml").read_text() for system, folder in folders.items()}
        task = Task(suite, f"cost-{name}", root, {"configs": configs}, list(map(System, folders)))
        found.append((task, partial(count_operations, folders)))
    return found


def count_operations(folders: Mapping[str, Path]) -> Measured:
    return {name: operations(folder) for name, folder in folders.items()}, {}


def measured_and_written(task: Task, measure: Measure, number: int, of: int) -> bool:
    """Measure a task and write its records; a failure is recorded and does not stop the next task."""
    print(f"[{number}/{of}] speed: {task.name}", flush=True)
    begun = time.monotonic()
    return_memory()
    try:
        task.write(*measure())
    except Exception as error:
        for system in task.systems:
            write_failure(task.key(system), f"{type(error).__name__}: {error}", traceback.format_exc())
        print(f"      failed: {error}", file=sys.stderr)
        return False
    print(f"      {time.monotonic() - begun:.0f} s", flush=True)
    return True


def keep_within_memory() -> None:
    """Make torch refuse what does not fit, instead of having the system end the process."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 3 // 4  # the rest is for the system
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    if hard == resource.RLIM_INFINITY or memory < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (memory, hard))
