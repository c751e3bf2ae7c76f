"""SIGTERM takes effect between two updates, at the same one in all processes of a run."""

import signal
from types import FrameType
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback


class EndBetweenUpdates(Callback):
    """Holds SIGTERM back until the update is complete, and validated where that is due, then hands it to Lightning.

    Lightning alone would end after any batch, also between two that are accumulated or in the midst of a validation,
    where nothing can be saved, and would talk to the other processes from within the signal's handler, wherever they
    are. Here all processes agree to end after the same update.

    Args:
        validate_every: Updates between two validations.
    """

    def __init__(self, validate_every: int) -> None:
        self.validate_every = validate_every
        self.asked = False
        self._lightnings: Any = None

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._lightnings = signal.signal(signal.SIGTERM, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

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
        self.asked = trainer.strategy.reduce_boolean_decision(self.asked, all=False)
        if self.asked:
            self._lightnings(signal.SIGTERM, None)
