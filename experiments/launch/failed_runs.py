"""The failed runs of a suite, read from their failure.json files."""

import sys
from pathlib import Path

from experiments.planning.grid import GRIDS, Planned
from experiments.record.keys import FAILURE, KEY, RunKey
from experiments.record.read import read_failure


def failures(root: str, suite: str) -> tuple[list[Planned], list[str]]:
    """The failed training runs of a suite, and the commands of what else failed."""
    runs, others = [], dict[str, None]()
    for path in sorted(Path(root, suite).glob(f"*/*/*/*/seed*/{FAILURE}")):
        try:
            record = read_failure(path.parent)
        except ValueError as error:
            print(error, file=sys.stderr)
            continue
        key = RunKey(**{name: record[name] for name in (*KEY, "command")}, root=root)  # type: ignore[literal-required]
        words = tuple(word for word in record["arguments"] if not word.startswith("--run."))
        if key.experiment in GRIDS and words:
            runs.append(Planned(key, (), words))
        else:
            others[key.command] = None
    return runs, list(others)
