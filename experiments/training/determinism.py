"""Random numbers that follow from the seed and the step alone, so that a resumed run draws what it would have drawn."""

from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback


class SeedEachStep(Callback):
    """Seeds dropout again before each batch from (seed, updates done, number of the batch in the update).

    Nothing has to be kept in checkpoints, and what a loader or a validation draws in between changes nothing. A batch
    has the same number in the update, and the same dropout, whether two devices share the update or one takes it all.
    """

    def __init__(self) -> None:
        self._seed = 0
        self._place = (-1, -1)  # updates done, batches of the next update taken

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._seed = torch.initial_seed()

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, batch: Any, batch_idx: int) -> None:
        step, taken = self._place
        self._place = (step, taken + 1) if step == trainer.global_step else (trainer.global_step, 0)
        step, taken = self._place
        numbers = np.random.SeedSequence([self._seed, step, taken * trainer.world_size + trainer.global_rank])
        seed = int(numbers.generate_state(1, np.uint64)[0] >> np.uint64(1))
        # torch.manual_seed would also remember the seed, with a stack trace, for each kind of accelerator not used yet:
        # a millisecond at every step, and memory that is never freed.
        torch.default_generator.manual_seed(seed)
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed_all(seed)
