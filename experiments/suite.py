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

from experiments.launch.exit_codes import BUSY, FAILED, mistake
from experiments.launch.local import Ended, Limits, jobs_at_once, minutes_of, say
from experiments.launch.ray_runs import launcher as launcher_of
from experiments.planning.grid import Planned, as_seeds, plan_bleu, plan_long_range
from experiments.record.write import write_atomically
from experiments.run import finished, of_the_system


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
    timeout: str = "",
    launcher: Literal["local", "ray"] = "local",
    ray: str = "",
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
        timeout: Minutes that one run may take; one that takes longer counts as failed. By default there is no limit.
        launcher: local runs them on this machine, ray on all machines of a Ray cluster; jobs are then those of each.
        ray: Address of the cluster as host:port; by default RAY_ADDRESS, else the one that `ray start` made here, else
            a cluster of this machine alone.
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
        raise mistake(str(error)) from None
    left = [planned for planned in runs if not finished(planned.arguments)]
    if len(left) < len(runs):
        say(f"finished already: {len(runs) - len(left)} of {len(runs)} {experiment} runs\n")
    limits = Limits(jobs_at_once(jobs, experiment), minutes_of(timeout))
    try:
        announce(Path(root), suite, experiment, runs, left)
    except OSError as error:
        raise SystemExit(f"error: {of_the_system(error)}") from error
    conclude(launcher_of(launcher, ray)(left, limits), suite)


def conclude(ended: Sequence[Ended], suite: str) -> None:
    """List the runs that have no result, and end with 1, or with BUSY if others only are still at work on theirs."""
    failed = [planned for planned, code in ended if code not in (0, BUSY)]
    busy = [planned for planned, code in ended if code == BUSY]
    if failed:
        print(f"\n{len(failed)} of {len(ended)} runs failed:", file=sys.stderr)
        for planned in failed:
            print(f"  {planned.label}: {error_of(planned)}\n    see {planned.key.log}", file=sys.stderr)
        print(f"to run these again: make retry SUITE={suite}", file=sys.stderr)
    if busy:
        print(f"\n{len(busy)} of {len(ended)} runs are being run by another process:", file=sys.stderr)
        for planned in busy:
            print(f"  {planned.label}", file=sys.stderr)
        print("the same command runs, when that has ended, what it leaves", file=sys.stderr)
    if failed or busy:
        raise SystemExit(FAILED if failed else BUSY)


def error_of(planned: Planned) -> str:
    """The first line of what the run's failure.json says."""
    try:
        record = json.loads((planned.key.folder / "failure.json").read_text(encoding="utf-8"))
        return str(record["error"]).partition("\n")[0]
    except (OSError, ValueError, KeyError):
        return "its failure could not be recorded"


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
