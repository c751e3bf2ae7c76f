"""What a program of ours says by its exit code; 0 is finished."""

import signal
import sys

FAILED = 1
MISTAKE = 2  # in what was typed: nothing was run
BUSY = 75  # another process has the run: EX_TEMPFAIL, "try again later"
INTERRUPTED = (128 + signal.SIGINT, 128 + signal.SIGTERM)


def mistake(message: str) -> SystemExit:
    """What ends a program when something was mistyped."""
    print(f"error: {message}", file=sys.stderr)
    return SystemExit(MISTAKE)
