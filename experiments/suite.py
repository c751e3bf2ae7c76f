"""A suite is a grid of runs: each in a process of its own, one after another, finished ones skipped.

python -m experiments.suite bleu --suite quick --models "lstm transformer" --seeds "0 1"
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from jsonargparse import auto_cli

from experiments.store import RunKey

HERE = Path(__file__).parent
# glibc gives freed memory back to the kernel and takes page faults to get it again at every step: without this a
# step of the attention decoder took 351 ms, with it 233 ms (once each, on a noisy two-core machine).
KEEP_MEMORY = "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=17179869184:glibc.malloc.top_pad=67108864"


@dataclass(frozen=True)
class Planned:
    """One run of the grid: its name, the configuration files it is made of and what overrides them."""

    key: RunKey
    configs: tuple[Path, ...]
    overrides: tuple[str, ...]

    @property
    def arguments(self) -> list[str]:
        named = {**self.key.identity, "root": self.key.root, "command": self.key.command}
        run = [f"--run.{name}={value}" for name, value in named.items()]
        return [*(word for path in self.configs for word in ("-c", str(path))), *self.overrides, *run]

    @property
    def label(self) -> str:
        return f"{self.key.task} {self.key.model} {self.key.variant} seed {self.key.seed}"


def read_suite(name: str) -> dict[str, Any]:
    """The grid of a suite, by experiment.

    Raises:
        ValueError: If there is no such suite.
    """
    path = HERE / "suites" / f"{name}.yaml"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml")))
        raise ValueError(f"SUITE is {name!r}, but {path} does not exist; the suites are {known}.")
    grid: dict[str, Any] = yaml.safe_load(path.read_text())
    return grid


def plan(
    experiment: str, suite: str, models: list[str], seeds: list[int], direction: str, root: str, settings: list[str]
) -> Iterator[Planned]:
    """The runs of one experiment of a suite; empty lists and an empty direction take the suite's own.

    Raises:
        ValueError: If a model has no configuration in this suite, or the direction is malformed.
    """
    grid = read_suite(suite)
    if experiment not in grid:
        raise ValueError(f"SUITE={suite} has no experiment {experiment!r}; it has {', '.join(grid)}.")
    row = grid[experiment]
    folder = HERE / "configs" / experiment / suite
    known = sorted(path.stem for path in folder.glob("*.yaml") if path.stem != "common")
    direction = direction or row["direction"]
    source, dash, target = direction.partition("-")
    if not (source and dash and target):
        raise ValueError(f"DIRECTION is {direction!r}; write it as source-target, for example en-de.")
    languages = (
        f"--data.init_args.corpus.source_language={source}",
        f"--data.init_args.corpus.target_language={target}",
    )
    for seed in seeds or row["seeds"]:
        for name in models or row["models"]:
            config = folder / f"{name}.yaml"
            if name not in known:
                raise ValueError(f"MODELS names {name!r}, not in SUITE={suite}: choose from {', '.join(known)}.")
            model, _, variant = name.partition("-")
            command = f"make {experiment} SUITE={suite} MODELS={name} SEEDS={seed} DIRECTION={direction}"
            task = f"{row['corpus']}-{direction}"
            key = RunKey(suite, experiment, task, model, variant or "base", int(seed), root, command)
            yield Planned(key, (folder / "common.yaml", config), (*languages, *settings))


def main(
    experiment: Literal["bleu"],
    suite: str = "quick",
    models: str = "",
    seeds: str = "",
    direction: str = "",
    devices: str = "",
    nodes: str = "",
    precision: str = "",
    data_dir: str = "",
    root: str = "runs",
) -> None:
    """Run an experiment of a suite; what is empty keeps the suite's own setting.

    Args:
        experiment: Which question to ask.
        suite: Which grid: smoke, quick or full.
        models: Model configurations, separated by blanks.
        seeds: Seeds, separated by blanks.
        direction: Languages as source-target.
        devices: Devices on each node.
        nodes: Number of machines.
        precision: auto, 32-true or bf16-mixed.
        data_dir: Folder of downloaded corpora.
        root: Folder of the run store.
    """
    given = {
        "--trainer.devices": devices,
        "--trainer.num_nodes": nodes,
        "--trainer.precision": precision,
        "--data.init_args.data_dir": data_dir,
    }
    settings = [f"{option}={value}" for option, value in given.items() if value]
    try:
        runs = list(plan(experiment, suite, models.split(), as_seeds(seeds), direction, root, settings))
    except ValueError as error:
        raise SystemExit(f"error: {error}") from None
    failed = run_all(runs)
    if failed:
        print(f"\n{len(failed)} of {len(runs)} runs failed:", file=sys.stderr)
        for planned in failed:
            print(f"  {planned.label}: see {planned.key.log}", file=sys.stderr)
        raise SystemExit(1)


def as_seeds(text: str) -> list[int]:
    """ "0 1 2" -> [0, 1, 2]."""
    try:
        return [int(seed) for seed in text.split()]
    except ValueError:
        raise ValueError(
            f"SEEDS is {text!r}; write whole numbers separated by blanks, for example SEEDS='0 1 2'."
        ) from None


def run_all(runs: list[Planned]) -> list[Planned]:
    """Run one after another, going on after a failure; return those that failed."""
    begun = time.monotonic()
    failed = []
    for number, planned in enumerate(runs, 1):
        print(f"[{number}/{len(runs)}] {planned.label}", flush=True)
        code = run_one(planned)
        if code in (130, 143):
            raise SystemExit(code)
        if code:
            failed.append(planned)
        left = (time.monotonic() - begun) / number * (len(runs) - number)
        if number < len(runs):
            print(f"      about {left / 60:.0f} min left for the other {len(runs) - number}", flush=True)
    return failed


def run_one(planned: Planned) -> int:
    """Run in a process of its own; what it says goes to the terminal and to the run's log.txt."""
    planned.key.log.parent.mkdir(parents=True, exist_ok=True)
    tunables = [os.environ.get("GLIBC_TUNABLES", ""), KEEP_MEMORY]
    environment = {**os.environ, "GLIBC_TUNABLES": ":".join(filter(None, tunables)), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "experiments.run", *planned.arguments]
    with (
        planned.key.log.open("a", encoding="utf-8") as file,
        subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C reaches the suite alone, which lets the run finish its step
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                print(f"      {line}", end="", flush=True)
                file.write(line)
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            return 130
    return process.returncode


if __name__ == "__main__":
    auto_cli(main, as_positional=True)
