"""The folder of a run: one process works in it at a time, on one configuration."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from jsonargparse import Namespace
from lightning.pytorch.utilities import rank_zero_only

from experiments.launch import receipts
from experiments.launch.exit_codes import BUSY
from experiments.planning.parser import identity
from experiments.record.keys import FAILURE, RunKey, config_hash
from experiments.record.read import is_finished
from experiments.record.write import remove_halves, write_atomically
from experiments.training.checkpoints import resume_from
from experiments.training.device_processes import started_here

PATIENCE = 20.0  # seconds to wait for a process that was told to end a moment ago, because its suite was killed


def is_owner() -> bool:
    """Whether this process has the folder: of several devices' processes the first, or the one that started them."""
    return not (started_here() or rank_zero_only.rank)  # type: ignore[attr-defined]


@contextmanager
def run_lock(key: RunKey) -> Iterator[None]:
    """Keep other processes out of the run's folder until the block ends, however it ends.

    Raises:
        SystemExit: Another process has it.
    """
    if not is_owner():
        yield
        return
    key.folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(key.folder.with_name(f".{key.folder.name}.lock"))
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout:
        print(f"{key.folder} is being run by another process; nothing was changed.", file=sys.stderr)
        raise SystemExit(BUSY) from None
    try:
        yield
    finally:
        lock.release()


def is_settled(config: Namespace, inputs: str) -> bool:
    """Whether the run has its result; its receipt is then renewed, and a failure that a kill left is removed."""
    key = RunKey(**config.run.as_dict())
    if not is_finished(key.folder, config_hash(identity(config))):
        return False
    (key.folder / FAILURE).unlink(missing_ok=True)
    receipts.of_run(key.folder, inputs).write()
    return True


def prepare(key: RunKey, config: Namespace, dumped: str, model_class: str) -> Path | None:
    """Make the folder that of this configuration; return the checkpoint that training resumes from."""
    _rename_other_configuration(key.folder, config_hash(identity(config)))
    write_atomically(key.folder / "config.yaml", dumped)
    _keep_trials(key.folder, [Path(str(path)) for path in config.config or []])
    return resume_from(key.folder / "checkpoints", model_class)


def _keep_trials(folder: Path, configs: Sequence[Path]) -> None:
    """Copy the trials that the configuration's values were chosen from."""
    for trials in (path.with_suffix(".trials.json") for path in configs):
        if trials.exists():
            write_atomically(folder / "trials.json", trials.read_text(encoding="utf-8"))


def _rename_other_configuration(folder: Path, current: str) -> None:
    """Rename a folder that belongs to another configuration; nothing is deleted."""
    mark = folder / "config_hash"
    if mark.exists() and mark.read_text() != current:
        earlier = folder.with_name(f"until-{time.strftime('%Y%m%d-%H%M%S')}-{folder.name}")
        folder.rename(earlier)
        print(f"the configuration changed; the earlier run is now {earlier}", file=sys.stderr)
    remove_halves(folder)
    write_atomically(mark, current)
