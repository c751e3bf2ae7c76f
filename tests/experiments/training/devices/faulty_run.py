"""`experiments.run` with a fault in one of its processes: python faulty_run.py FAULT STEP RANK ARGUMENTS."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[4]))

from experiments.run import main
from experiments.training.callbacks import Clock

FAULTS = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "terminate-all": lambda: os.kill(os.getppid(), signal.SIGTERM),
}

fault, step, rank, *arguments = sys.argv[1:]
original = Clock.on_train_batch_end


def faulty(self: Clock, trainer: Any, *rest: Any) -> None:
    if (trainer.global_step, trainer.global_rank) == (int(step), int(rank)):
        FAULTS[fault]()
    original(self, trainer, *rest)


Clock.on_train_batch_end = faulty  # type: ignore[method-assign]
main(arguments)
