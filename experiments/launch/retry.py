"""Run again what failed in a suite, and nothing else: each run goes on from its last checkpoint.

python -m experiments.launch.retry --suite quick
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from jsonargparse import auto_cli

from experiments.launch.exit_codes import FAILED
from experiments.launch.local import Limits, jobs_at_once, minutes_of
from experiments.launch.ray_runs import launcher as launcher_of
from experiments.planning.grid import Planned
from experiments.record.keys import KEY, RunKey
from experiments.record.read import read_failure
from experiments.suite import conclude


def main(
    suite: str = "quick",
    jobs: str = "",
    timeout: str = "",
    launcher: Literal["local", "ray"] = "local",
    ray: str = "",
    root: str = "runs",
) -> None:
    """Run again what failed in a suite.

    Args:
        suite: Which grid: smoke, quick or full.
        jobs: Runs at the same time; by default one, and one a core where only small long-range runs failed.
        timeout: Minutes that one run may take; by default there is no limit.
        launcher: local runs them on this machine, ray on all machines of a Ray cluster; jobs are then those of each.
        ray: Address of the cluster as host:port; see `experiments.suite`.
        root: Folder of the run store.
    """
    failed = list(failures(root, suite))
    runs = [planned for planned in failed if planned.overrides]
    others = dict.fromkeys(planned.key.command for planned in failed if not planned.overrides)
    if not failed:
        print(f"nothing has failed in {Path(root, suite)}")
    small = {planned.key.experiment for planned in runs} == {"long-range"}
    limits = Limits(jobs_at_once(jobs, "long-range" if small else "bleu"), minutes_of(timeout))
    ended = launcher_of(launcher, ray)(runs, limits)
    for command in others:
        print(f"failed as well, and is no training run: {command}", file=sys.stderr)
    conclude(ended, suite)
    if others:
        raise SystemExit(FAILED)


def failures(root: str, suite: str) -> Iterator[Planned]:
    """The failed runs of a suite; what is not carried out by `experiments.run` has no overrides."""
    for path in sorted(Path(root, suite).glob("*/*/*/*/seed*/failure.json")):
        try:
            record = read_failure(path.parent)
        except ValueError as error:
            print(error, file=sys.stderr)
            continue
        key = RunKey(**{name: record[name] for name in (*KEY, "command")}, root=root)  # type: ignore[literal-required]
        words = [word for word in record["arguments"] if not word.startswith("--run.")]
        yield Planned(key, (), tuple(words))


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
