"""Errors of the operating system, such as a full disk, in one sentence with the remedy where there is one."""

import errno
import os
import sys
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
    """A program that cannot read or write ends with a sentence, not with a traceback; before `| head` with none."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to write goes nowhere
        raise SystemExit(0) from None
    except OSError as error:
        raise SystemExit(f"error: {system_error(error)}") from error
