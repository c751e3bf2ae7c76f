"""Waiting for other processes, and for their end."""

import time
from collections.abc import Callable
from pathlib import Path


def wait(fulfilled: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until it is true; fail if that takes longer."""
    deadline = time.monotonic() + seconds
    while not fulfilled():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s in vain")
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process runs: one that has ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
