"""The folder of a run: one process works in it at a time, on one configuration."""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from jsonargparse import Namespace
from lightning.pytorch.utilities import rank_zero_only

from experiments.launch import receipts
from experiments.launch.exit_codes import BUSY
from experiments.planning.parser import identity, recorded_identity
from experiments.record.keys import FAILURE, IDENTITY, RESULT, TOKENIZERS, TRIALS, RunKey, config_hash
from experiments.record.read import is_finished
from experiments.record.write import remove_halves, write_atomically
from experiments.training.checkpoints import resume_from
from experiments.training.devices.processes import started_here

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


def is_of(folder: Path, described: Mapping[str, Any]) -> bool:
    """Whether a folder was made for the run of this identity; it then has its tokenisers."""
    return config_hash(recorded_identity(folder)) == config_hash(described)


def prepare(
    key: RunKey, config: Namespace, dumped: str, tokenizers: Mapping[str, bytes], model_class: str
) -> Path | None:
    """Make the folder that of this configuration; return the checkpoint that training resumes from.

    Args:
        key: Names the run.
        config: Its configuration.
        dumped: The same as YAML.
        tokenizers: The files of its tokenisers by name.
        model_class: The model's.
    """
    described = identity(config)
    _rename_other_run(key.folder, described)
    remove_halves(key.folder)
    for name, content in tokenizers.items():
        write_atomically(key.folder / TOKENIZERS / name, content)
    write_atomically(key.folder / "config.yaml", dumped)
    _keep_trials(key.folder, [Path(str(path)) for path in config.config or []])
    write_atomically(key.folder / IDENTITY, json.dumps(described, indent=1, ensure_ascii=False, default=str) + "\n")
    return resume_from(key.folder / "checkpoints", model_class)


def _keep_trials(folder: Path, configs: Sequence[Path]) -> None:
    """Copy the trials that the configuration's values were chosen from."""
    for path in configs:
        if path.suffix == ".json":
            write_atomically(folder / TRIALS, path.read_text(encoding="utf-8"))


def _rename_other_run(folder: Path, described: Mapping[str, Any]) -> None:
    """Rename a folder that belongs to a run of another identity; nothing is deleted."""
    known = (folder / name for name in (IDENTITY, RESULT, "checkpoints"))
    if is_of(folder, described) or not any(path.exists() for path in known):
        return
    earlier = folder.with_name(f"until-{time.strftime('%Y%m%d-%H%M%S')}-{folder.name}")
    folder.rename(earlier)
    print(f"{changes(recorded_identity(earlier), described)}; the earlier run is now {earlier}", file=sys.stderr)


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What makes a run another one than an earlier one, in words."""
    first, second = dict(settings_of(before)), dict(settings_of(json.loads(json.dumps(now, default=str))))
    names = [name for name in {**first, **second} if first.get(name) != second.get(name)]
    if not before:
        return "a run in this folder does not tell what it was trained on"
    if all(name[0] == "contents" for name in names):
        return f"the content of {listed(name[-1] for name in names)} changed"
    return f"the configuration changed ({listed(map('.'.join, names))})"


def listed(names: Iterable[str]) -> str:
    """The first of some names."""
    first, *more = names
    return ", ".join([first, *more[:2], *(["..."] if more[2:] else [])])


def settings_of(nested: Mapping[str, Any], before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value of nested settings by the names that lead to it."""
    for name, value in nested.items():
        if isinstance(value, dict) and value:
            yield from settings_of(value, (*before, name))
        else:
            yield (*before, name), value
