"""The exponential moving average of the weights, which is what is validated and kept."""

from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


class MovingAverage(WeightAveraging):
    """Averages the weights after every update, on the device they are on.

    Lightning's own averaging keeps the copy where the module is before training, in the host's memory, and asks it at
    every update how many it has taken: an accelerator would wait for both.

    Args:
        decay: Of the average. It rises to this as (1 + n) / (10 + n) over n updates, so that random weights fade fast:
            without the rise a decay of 0.998 would still be two thirds random weights after 200 updates.
    """

    def __init__(self, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self._weights: tuple[list[Tensor], list[Tensor]] = [], []  # averaged and current

    def setup(self, trainer: L.Trainer, module: L.LightningModule, stage: str) -> None:
        self._device = trainer.strategy.root_device
        super().setup(trainer, module, stage)
        assert not any(True for _ in module.buffers()), "buffers would have to be averaged too"

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert self._average_model is not None
        self._weights = [*self._average_model.module.parameters()], [*module.parameters()]

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step > self._latest_update_step:
            self._latest_update_step = trainer.global_step
            self._take(updates=trainer.global_step - 1)

    @torch.no_grad()
    def _take(self, updates: int) -> None:
        decay = min(self.decay, (1 + updates) / (10 + updates)) if updates else 0
        averaged, current = self._weights
        torch._foreach_lerp_(averaged, current, 1 - decay)
