"""Writing a run's folder: every file whole or not at all. A run is finished if and only if its result.json is there."""

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from experiments.record.keys import FAILURE, RESULT, Measurement, RunKey, config_hash, digest
from experiments.record.read import checked, complaint
from experiments.record.schema import Result

HALF = ".half"  # ends the name of a file that is being written


def write_atomically(path: Path, content: str | bytes | memoryview) -> None:
    """Write a whole file or leave the old one: readers never see half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=HALF)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = error.filename or str(path)  # a full disk does not say whose
        raise


def remove_halves(folder: Path) -> None:
    """Remove what processes that were killed while they wrote left in a folder; nobody may be writing there."""
    for path in folder.rglob(f".*{HALF}"):
        path.unlink()


def write_result(
    key: RunKey,
    config: Mapping[str, Any],
    measurements: Iterable[Measurement],
    held_equal: Mapping[str, Any],
    signatures: Mapping[str, str],
    provenance: Mapping[str, Any],
) -> None:
    """Record a finished run; an earlier failure is then history.

    Raises:
        ValueError: A reader would refuse the record: a measurement is not a number, or has two values.

    Args:
        key: Names the run.
        config: All that decides its numbers.
        measurements: Its numbers.
        held_equal: Settings that are to be the same for all models.
        signatures: Settings of the metrics.
        provenance: Its code, versions, machine, start and finish (`experiments.launch.provenance`).
    """
    rows = [asdict(m) for m in measurements]
    record = {
        **key.identity,
        "config_hash": config_hash(config),
        "command": key.command,
        **provenance,
        "model_settings": config.get("model", {}),
        "held_equal": dict(held_equal),
        "signatures": dict(signatures),
        "measurements": rows,
        "digest": digest(rows),
    }
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    try:
        checked(text, Result)
    except ValidationError as error:
        raise ValueError(f"{key.folder / RESULT} is not written ({complaint(error)}).") from error
    write_atomically(key.folder / RESULT, text)
    (key.folder / FAILURE).unlink(missing_ok=True)


def write_failure(key: RunKey, error: str, trace: str) -> None:
    """Record why a run did not finish.

    Args:
        key: Names the run.
        error: The error in a line.
        trace: Python's traceback, or the last output of the run.
    """
    record = {**key.identity, "error": error, "traceback": trace, "log": str(key.log), "command": key.command}
    write_atomically(key.folder / FAILURE, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def as_lines(value: Any, levels: int) -> str:
    """JSON with a line for each entry of the outer `levels`, so that a change of a number can be read."""
    if not levels or not value or not isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    if isinstance(value, dict):
        entries = [f"{json.dumps(name)}: {as_lines(entry, levels - 1)}" for name, entry in value.items()]
    else:
        entries = [as_lines(entry, levels - 1) for entry in value]
    left, right = "{}" if isinstance(value, dict) else "[]"
    return "\n".join([left, ",\n".join(entries), right])


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line."""
    write_atomically(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
