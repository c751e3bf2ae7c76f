"""The trained translation models of a suite, each measured once more."""

import sys
from collections.abc import Callable
from pathlib import Path

from experiments.record.keys import RESULT, RunKey
from experiments.record.read import read_result


def measure_each(suite: str, root: str, measure: Callable[[Path], str]) -> bool:
    """Measure every run of a suite and print its line, or why it cannot be measured; return whether all could be.

    Raises:
        SystemExit: There is no run, or none can be measured.
    """
    folders = sorted(path for path in Path(root, suite, "bleu").glob("*/*/*/seed*") if path.is_dir())
    if not folders:
        raise SystemExit(f"error: no translation run under {Path(root, suite)}: run `make bleu SUITE={suite}` first.")
    skipped = 0
    for folder in folders:
        try:
            print(measure(folder))
        except (FileNotFoundError, ValueError) as error:
            print(f"skipped {folder}: {error}", file=sys.stderr)
            skipped += 1
    if skipped == len(folders):
        raise SystemExit(f"error: no run of {Path(root, suite, 'bleu')} could be measured, for the reasons above.")
    return not skipped


def finished_run(folder: Path) -> tuple[RunKey, list[str]]:
    """The key of a finished run, and which training it was: the same configuration may be trained again.

    Raises:
        FileNotFoundError: The run is not finished.
    """
    suite, experiment, task, model, variant, seed = folder.parts[-6:]
    if not (folder / RESULT).exists():
        raise FileNotFoundError(f"this run is not finished: run `make bleu SUITE={suite}`.")
    record = read_result(folder)
    number = int(seed.removeprefix("seed"))
    key = RunKey(suite, experiment, task, model, variant, number, str(folder.parents[5]))
    return key, [record["config_hash"], record["finished"]]
