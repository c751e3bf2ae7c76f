"""The trained translation models of a suite, each measured once more."""

import errno
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from datamodules import TranslationData
from datamodules.corpora import ParallelText
from experiments.record.keys import RESULT, RunKey
from experiments.record.read import read_result, read_translations
from experiments.record.system_errors import system_error


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
        except (OSError, ValueError) as error:
            reason = system_error(error) if isinstance(error, OSError) else error
            print(f"skipped {folder}: {reason}", file=sys.stderr)
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


def provide_test_sentences(data: TranslationData, folder: Path) -> None:
    """Take the sentences of the test sets from the hypotheses of a run: the corpus may be elsewhere, or edited since.

    Raises:
        FileNotFoundError: It has not kept them.
        ValueError: They are not as a run writes them.
    """
    for test_set in data.test_sets:
        path = folder / "hypotheses" / f"{test_set}.jsonl"
        if not path.exists():
            raise FileNotFoundError(f"{path} is not there: delete {folder / RESULT} and train this run again.")
        rows = sorted(read_translations(path), key=lambda row: row["id"])
        data.provide(test_set, ParallelText([row["source"] for row in rows], [row["reference"] for row in rows]))


@contextmanager
def recording(key: RunKey) -> Iterator[None]:
    """Write a record; in a run store to be read alone say so, and leave the measurement to the terminal."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES):
            raise
        print(f"{key.folder} is not written ({error.strerror}): the next line is all that is kept.", file=sys.stderr)
