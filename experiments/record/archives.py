"""The records of a suite in results/SUITE/records: an archive for each experiment and task, without checkpoints.

`python -m experiments.record.archives --suite full` writes them. The same records give the same archive, and one whose
records did not change is left alone. No training reads them: a run is finished by what is in runs/ alone.
"""

import argparse
import atexit
import lzma
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from io import BytesIO
from itertools import groupby
from pathlib import Path

from experiments.record.keys import ATTENTION, BLOCKS, FAILURE, HISTORY, IDENTITY, RESULT, TRIALS, WORD_COUNTS
from experiments.record.system_errors import ending_in_a_sentence
from experiments.record.text import brief, visible
from experiments.record.write import write_atomically

KEPT = (
    *(RESULT, FAILURE, HISTORY, BLOCKS, ATTENTION, TRIALS, WORD_COUNTS, "hypotheses/*.jsonl"),  # all that reports read
    *("config.yaml", IDENTITY, "pairs.jsonl"),  # what else cannot be had without training
)
RECORDS, ARCHIVES, RUNS = "records", "*/*.tar.xz", "*/*/*/*/seed*"


def run_folders(root: Path, suite: str, records: Path | None = None) -> dict[str, Path]:
    """The folder of each run by EXPERIMENT/TASK/MODEL/VARIANT/SEED; an archived one until `root` has finished it.

    Raises:
        ValueError: An archive cannot be read.
    """
    places = [*([unpacked(records)] if records and any(records.glob(ARCHIVES)) else []), root]
    found: dict[str, Path] = {}
    for path in (path for place in places for path in (place / suite).glob(RUNS)):
        name = "/".join(path.parts[-5:])
        if name not in found or (path / RESULT).exists():
            found[name] = path
    return {name: found[name] for name in sorted(found, key=lambda name: name.split("/"))}


def is_run(folder: Path) -> bool:
    """Whether a folder has the name of a run's, not that of a copy kept by hand."""
    return folder.name.removeprefix("seed").isdecimal()


def unpacked(records: Path) -> Path:
    """A folder with the archived runs where runs/ has them; it is there until the process ends.

    Raises:
        ValueError: An archive cannot be read.
    """
    folder = tempfile.mkdtemp(prefix="records-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for path in sorted(records.glob(ARCHIVES)):
        try:
            with tarfile.open(fileobj=BytesIO(lzma.decompress(path.read_bytes())), mode="r:") as archive:
                archive.extractall(folder, filter="data")
        except (lzma.LZMAError, tarfile.TarError) as error:
            raise ValueError(
                f"{path} cannot be read ({brief(str(error))}): restore it with `git checkout -- {path}`, "
                "or delete it to leave out its runs."
            ) from error
    return Path(folder)


def packed(suite: str, folders: Mapping[str, Path]) -> bytes:
    """A tar file of runs, as `tar` unpacks it into runs/; of a run without any record its folder."""
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, folder in folders.items():
            entry = tarfile.TarInfo(f"{suite}/{name}")
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
            for path in sorted(path for pattern in KEPT for path in folder.glob(pattern)):
                content = path.read_bytes()
                entry = tarfile.TarInfo(f"{suite}/{name}/{path.relative_to(folder).as_posix()}")
                entry.size = len(content)
                archive.addfile(entry, BytesIO(content))
    return buffer.getvalue()


def write_archives(root: Path, suite: str, records: Path) -> list[Path]:
    """Archive all runs of a suite, those archived before included; returns the archives that changed.

    Raises:
        ValueError: An archive that is there cannot be read.
    """
    changed = []
    folders = {name: path for name, path in run_folders(root, suite, records).items() if is_run(path)}
    for task, names in groupby(folders, key=lambda name: "/".join(name.split("/")[:2])):
        path = records / f"{task}.tar.xz"
        content = packed(suite, {name: folders[name] for name in names})
        if not path.exists() or lzma.decompress(path.read_bytes()) != content:
            write_atomically(path, lzma.compress(content))
            changed.append(path)
    return changed


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.record.archives",
        description="Archive the records of a suite's runs, without checkpoints, where they can be committed.",
    )
    parser.add_argument("--suite", required=True, help="name of the suite, a folder inside RUNS")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the runs are (default: runs)")
    parser.add_argument("--results", type=Path, default=Path("results"), help="where to write (default: results)")
    options = parser.parse_args(arguments)
    records = options.results / options.suite / RECORDS
    try:
        with ending_in_a_sentence():
            changed = write_archives(options.runs, options.suite, records)
    except ValueError as error:
        sys.exit(visible(str(error)))
    archives = list(records.glob(ARCHIVES))
    if not archives:
        sys.exit(f"{options.runs / options.suite} holds no runs to archive.")
    for path in changed:
        print(path)
    size = sum(path.stat().st_size for path in archives)
    print(f"{len(changed)} of {len(archives)} archives written; {size / 1e6:.1f} MB in all")


if __name__ == "__main__":
    main()
