"""On one GPU the kernels of a training step are launched together; what ran is part of the record."""

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from models import Seq2SeqModule
from models.kernels.graphs import Capture, CUDAGraphs, Replays

ONE_BY_ONE, TOGETHER = "each by itself", "those of a step together"


def capture_on(device: torch.device) -> Capture | None:
    return CUDAGraphs() if device.type == "cuda" else None


class LaunchTogether(Callback):
    """Captures the training objective for each shape of batch (`models.kernels.graphs`).

    Not with several batches an update, whose gradients would share their memory, nor with several devices, which
    exchange gradients while they are computed.
    """

    def __init__(self) -> None:
        self.kernels = ONE_BY_ONE

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert isinstance(module, Seq2SeqModule)
        alone = trainer.world_size == trainer.accumulate_grad_batches == 1
        if alone and (capture := capture_on(module.device)):
            module.replays = Replays(module.network, module.objective, capture)

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert isinstance(module, Seq2SeqModule)
        if module.replays:
            self.kernels = f"each by itself ({module.replays.failure})" if module.replays.failure else TOGETHER
        module.replays = None
