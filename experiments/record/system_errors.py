"""Errors of the operating system, such as a full disk, in one sentence with the remedy where there is one."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from experiments.record.text import visible

SPACE = "free some space"
WRITABLE = "make the folder writable, or run in a copy of the project elsewhere"
REMEDIES = {
    errno.ENOSPC: SPACE,
    errno.EDQUOT: f"{SPACE} of your quota",
    errno.EFBIG: "raise the limit of file sizes (ulimit -f)",
    errno.EROFS: WRITABLE,
    errno.EACCES: WRITABLE,
}


def system_error(error: OSError) -> str:
    if error.errno not in REMEDIES:
        return visible(str(error))
    where = f": {visible(str(error.filename))}" if error.filename else ""
    return f"{error.strerror}{where}: {REMEDIES[error.errno]}."


@contextmanager
def ending_in_a_sentence() -> Iterator[None]:
    """A program that cannot read or write ends with one sentence and not with a traceback."""
    try:
        yield
    except OSError as error:
        raise SystemExit(f"error: {system_error(error)}") from error
