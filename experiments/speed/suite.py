"""The speed tasks of a suite, one after another in one process; tasks that are already measured are skipped."""

import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentError, ArgumentParser, auto_cli

from experiments.launch.receipts import of_stage
from experiments.planning.grid import HERE
from experiments.planning.yaml_files import one_sentence, read_yaml
from experiments.record.write import write_failure
from experiments.speed.decoding import run_decoding
from experiments.speed.devices import run_devices
from experiments.speed.loops import run_loops
from experiments.speed.quality import operations, translation_runs
from experiments.speed.record import Rows, Task
from experiments.speed.settings import Axis, Settings, Sweep
from experiments.speed.sweep import run_sweep
from experiments.speed.systems import System
from experiments.training.environment import quiet, return_memory

Measured = tuple[dict[str, Rows], dict[str, Any]]
Measure = Callable[[], Measured]


def cli() -> None:
    auto_cli(main)


def main(suite: str = "quick", tasks: str = "", data_dir: str = "", root: str = "runs") -> None:
    """Measure the speed tasks of a suite that are not measured yet on this machine with this code.

    Args:
        suite: smoke, quick or full; what they measure is in experiments/configs/speed.
        tasks: Some tasks only, separated by blanks, for example "length decoding".
        data_dir: Folder of downloaded corpora.
        root: Folder of the run store.
    """
    quiet()
    receipt = of_stage("speed", suite, root, tasks, data_dir)
    settings = read_settings(suite)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        keep_within_memory()
    planned = plan(suite, settings, device, data_dir, root)
    unknown = set(tasks.split()) - {task.name for task, _ in planned}
    if unknown:
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
    if failed:
        raise SystemExit(f"{len(failed)} of {len(left)} speed tasks failed: {', '.join(t.name for t in failed)}")
    receipt.write()


def read_settings(suite: str) -> Settings:
    path = HERE / "configs" / "speed" / f"{suite}.yaml"
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


def plan(suite: str, settings: Settings, device: torch.device, data_dir: str, root: str) -> list[tuple[Task, Measure]]:
    """The tasks of the settings, each with the function that measures it."""
    common = {"models": settings.models, "width": settings.width, "vocabulary": settings.vocabulary}
    common |= {"clock": asdict(settings.clock)}
    found: list[tuple[Task, Measure]] = []

    def add(name: str, asked: Any, measure: Measure) -> None:
        described = {**common, "asked": asdict(asked)}
        systems = [System(each) for each in asked.systems]
        found.append((Task(suite, name, root, described, systems), measure))

    sweeps: dict[Axis, Sweep | None] = {
        "length": settings.length,
        "width": settings.width_sweep,
        "batch": settings.batch,
    }
    for axis, sweep in sweeps.items():
        if sweep is not None:
            add(axis, sweep, partial(run_sweep, axis, sweep, settings, device))
    if (loops := settings.text) is not None:
        name = f"text-{loops.corpus}-{loops.direction}"
        add(name, loops, lambda: run_loops(loops, settings, device, data_dir))
    if (decode := settings.decoding) is not None:
        add("decoding", decode, lambda: run_decoding(decode, settings, device))
    if (devices := settings.devices) is not None:
        add("devices", devices, lambda: run_devices(devices, settings, device))
    if settings.quality:
        for task, systems in by_task(root, suite).items():
            names = {system.name: folder for system, folder in systems}
            described = {"configs": {name: (folder / "config.yaml").read_text() for name, folder in names.items()}}
            measure = partial(count_operations, names)
            found.append((Task(suite, f"cost-{task}", root, described, [s for s, _ in systems]), measure))
    return found


def by_task(root: str, suite: str) -> Mapping[str, list[tuple[System, Path]]]:
    found: dict[str, list[tuple[System, Path]]] = {}
    for task, system, folder in translation_runs(Path(root), suite):
        found.setdefault(task, []).append((system, folder))
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
    resource.setrlimit(resource.RLIMIT_DATA, (memory, resource.getrlimit(resource.RLIMIT_DATA)[1]))
