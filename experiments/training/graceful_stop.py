"""How a run is stopped: by SIGTERM, between two updates, at the same one in all its processes; and with its parent."""

import os
import signal
import threading
import time
from types import FrameType
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from experiments.training.devices.processes import started_here
from experiments.training.environment import BOUND

POLL = 0.5  # seconds


def end_with_parent() -> None:
    """Watch the process that started this one, and end this one soon after it, however it ends.

    A launcher holds the other end of standard input: when that closes, the run gets SIGTERM and saves. One process of
    several devices is killed with the one that started it, because it cannot save without the others.
    """
    bound, parent = os.environ.pop(BOUND, ""), os.getppid()  # popped: the processes that this one starts watch it

    def watch_launcher() -> None:
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    def watch_parent() -> None:
        while os.getppid() == parent:
            time.sleep(POLL)
        os.kill(os.getpid(), signal.SIGKILL)

    if bound:
        threading.Thread(target=watch_launcher, daemon=True).start()
    if started_here():
        threading.Thread(target=watch_parent, daemon=True).start()


class EndBetweenUpdates(Callback):
    """Holds SIGTERM back until the update is complete, and validated where that is due, then hands it to Lightning.

    Lightning alone would end after any batch, also between two that are accumulated or during a validation, where
    nothing can be saved, and would communicate with the other processes from within the signal's handler, wherever they
    are. Here all processes agree to end after the same update.

    Args:
        validate_every: Updates between two validations.
    """

    def __init__(self, validate_every: int) -> None:
        self.validate_every = validate_every
        self.requested = False
        self._lightnings: Any = None

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._lightnings = signal.signal(signal.SIGTERM, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.requested = True

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        complete = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if complete and trainer.global_step % self.validate_every:
            self._hand_over(trainer)

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if trainer.state.fn == "fit":
            self._hand_over(trainer)

    def _hand_over(self, trainer: L.Trainer) -> None:
        self.requested = trainer.strategy.reduce_boolean_decision(self.requested, all=False)
        if self.requested:
            self._lightnings(signal.SIGTERM, None)
