"""Why a run failed: as an exception, as a sentence, and as the failure.json in its folder."""

import contextlib
import sys
import traceback
from dataclasses import dataclass

from experiments.record.keys import FAILURE, RunKey
from experiments.record.system_errors import REMEDIES, system_error
from experiments.record.write import write_failure


@dataclass
class Failure(Exception):
    """The error of a run.

    Args:
        kind: Of exception.
        message: The error.
        trace: Python's traceback; empty for a process that was killed.
        expected: Whether the message alone says what to do.
    """

    kind: str
    message: str
    trace: str
    expected: bool

    @property
    def error(self) -> str:
        return f"{self.kind}: {self.message}"

    @classmethod
    def of(cls, error: Exception) -> "Failure":
        """That of an exception; one of another process is itself."""
        if isinstance(error, Failure):
            return error
        message = run_error(error) if isinstance(error, OSError) else str(error)
        return cls(type(error).__name__, message, traceback.format_exc(), isinstance(error, (ValueError, OSError)))


def run_error(error: OSError) -> str:
    """An error of the operating system that ended a run."""
    said = system_error(error)
    return f"{said[:-1]}; the same command resumes from the last checkpoint." if error.errno in REMEDIES else said


def modified(key: RunKey) -> int | None:
    """When the record of a failure was written, in nanoseconds; None if there is none."""
    record = key.folder / FAILURE
    return record.stat().st_mtime_ns if record.exists() else None


def record_failure(key: RunKey, error: str, trace: str, before: int | None) -> None:
    """Write failure.json, unless a process of the run has done so since it was `modified` before: that failed first."""
    if modified(key) == before:
        try:
            write_failure(key, error, trace)
        except OSError as full:  # a full disk cannot record that it is full
            with contextlib.suppress(OSError):  # nor need there be a terminal
                print(f"the failure of {key.folder} could not be recorded: {full}", file=sys.stderr)
