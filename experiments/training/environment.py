"""The environment of a process that trains or is timed: threads, memory that is kept, messages that are not shown."""

import ctypes
import logging
import os
import platform
import sys
import warnings

BOUND = "RUN_ENDS_WITH_ITS_LAUNCHER"  # environment variable: standard input is a pipe that the launcher holds open

# glibc gives freed memory back to the kernel and takes page faults to get it again at every step: without this a
# step of the attention decoder took 351 ms, with it 233 ms (once each, on a noisy two-core machine).
KEEP_MEMORY = "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=17179869184:glibc.malloc.top_pad=67108864"


def environment(threads: int) -> dict[str, str]:
    """The environment of a run's process; what is set already outweighs `threads`."""
    tunables = [os.environ.get("GLIBC_TUNABLES", ""), KEEP_MEMORY]
    return {
        "OMP_NUM_THREADS": str(threads),
        **os.environ,
        "GLIBC_TUNABLES": ":".join(filter(None, tunables)),
        "PYTHONUNBUFFERED": "1",
    }


def restart_to_keep_memory(program: str) -> None:
    """Start a program again with KEEP_MEMORY, unless it has that already: glibc reads it only when a process begins."""
    if KEEP_MEMORY not in os.environ.get("GLIBC_TUNABLES", ""):
        command = [sys.executable, "-m", program, *sys.argv[1:]]
        os.execvpe(sys.executable, command, environment(os.cpu_count() or 1))


def return_memory() -> None:
    """Give the heap's free fragments back to the system, where it was told to keep freed memory.

    Batches of many shapes leave fragments that add up: without this a sweep of lengths filled 24 GiB by length 512.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def quiet() -> None:
    """Filter Lightning's tips and device banners, and warnings that its own code raises."""
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings(
        "ignore", message=".*is smaller than the logging interval.*"
    )  # of an epoch; steps are counted over epochs
    warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
    warnings.filterwarnings("ignore", message=".*returned a view tensor.*")  # FSDP, of what is never changed in place
