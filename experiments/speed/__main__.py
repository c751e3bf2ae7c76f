"""Measure the speed of every model of a suite: `python -m experiments.speed --suite quick`."""

import os
import sys

from experiments.training.environment import KEEP_MEMORY, environment

if __name__ == "__main__":
    if KEEP_MEMORY not in os.environ.get("GLIBC_TUNABLES", ""):  # read once, when a process begins
        command = [sys.executable, "-m", "experiments.speed", *sys.argv[1:]]
        os.execvpe(sys.executable, command, environment(os.cpu_count() or 1))
    from experiments.speed.suite import cli

    cli()
