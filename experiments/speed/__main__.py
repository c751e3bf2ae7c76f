"""Measure the speed of every model of a suite: `python -m experiments.speed --suite quick`."""

from experiments.training.environment import restart_to_keep_memory

if __name__ == "__main__":
    restart_to_keep_memory("experiments.speed")
    from experiments.launch import command_line
    from experiments.speed.suite import main

    command_line.run(main)
