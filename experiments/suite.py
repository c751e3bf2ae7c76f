"""A suite is a grid of runs: each in a process of its own, one after another, finished ones skipped.

python -m experiments.suite bleu --suite quick --models "lstm transformer" --seeds "0 1"
"""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from jsonargparse import auto_cli

from experiments.launch import jobs_at_once, run_all
from experiments.plan import Planned, as_seeds, plan_bleu, plan_long_range
from experiments.run import finished
from experiments.store import write_atomically


def main(
    experiment: Literal["bleu", "long-range"],
    suite: str = "quick",
    tasks: str = "",
    models: str = "",
    seeds: str = "",
    direction: str = "",
    devices: str = "",
    nodes: str = "",
    precision: str = "",
    data_dir: str = "",
    jobs: str = "",
    root: str = "runs",
) -> None:
    """Run an experiment of a suite; what is empty keeps the suite's own setting.

    Args:
        experiment: Which question to ask.
        suite: Which grid: smoke, quick or full.
        tasks: Long-range tasks, separated by blanks.
        models: Model configurations, separated by blanks.
        seeds: Seeds, separated by blanks.
        direction: Languages of the translation as source-target.
        devices: Devices on each node.
        nodes: Number of machines.
        precision: auto, 32-true or bf16-mixed.
        data_dir: Folder of downloaded corpora.
        jobs: Runs at the same time; by default one, and for the small long-range runs one a core.
        root: Folder of the run store.
    """
    given = {"--trainer.devices": devices, "--trainer.num_nodes": nodes, "--trainer.precision": precision}
    settings = [f"{option}={value}" for option, value in given.items() if value]
    try:
        if experiment == "bleu":
            settings += [f"--data.init_args.data_dir={data_dir}"] if data_dir else []
            runs = list(plan_bleu(suite, models.split(), as_seeds(seeds), direction, root, settings))
        else:
            runs = list(plan_long_range(suite, tasks.split(), models.split(), as_seeds(seeds), root, settings))
    except ValueError as error:
        raise SystemExit(f"error: {error}") from None
    left = [planned for planned in runs if not finished(planned.arguments)]
    if len(left) < len(runs):
        print(f"finished already: {len(runs) - len(left)} of {len(runs)} {experiment} runs", flush=True)
    at_once = jobs_at_once(jobs, experiment)
    announce(Path(root), suite, experiment, runs, left)
    failed = run_all(left, at_once)
    if failed:
        print(f"\n{len(failed)} of {len(left)} runs failed:", file=sys.stderr)
        for planned in failed:
            print(f"  {planned.label}: see {planned.key.log}", file=sys.stderr)
        raise SystemExit(1)


def announce(root: Path, suite: str, experiment: str, runs: Sequence[Planned], left: Sequence[Planned]) -> None:
    """Write planned-EXPERIMENT.json: when the suite began, its runs and those left to run, as folders inside `root`.

    Who watches the runs learns from it how many there will be.
    """
    folders = {
        name: [str(p.key.folder.relative_to(root)) for p in some] for name, some in (("runs", runs), ("left", left))
    }
    record = {"started": datetime.now(UTC).isoformat(timespec="seconds"), **folders}
    write_atomically(root / suite / f"planned-{experiment}.json", json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    auto_cli(main, as_positional=True)
