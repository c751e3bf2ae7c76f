"""No update with a loss or gradient that is infinite or not a number: the run ends and says where that came from."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.distributed.tensor import DTensor

from datamodules.batch import Batch
from models.lightning_modules import Seq2SeqModule, gather_interleaved

NAMED = 20  # examples in the message; the traceback has them all


class Diverged(ValueError):
    """The loss or the gradient of an update is infinite or not a number."""


class Update(NamedTuple):
    """What is kept of an update until it is looked at; numbers stay on their device."""

    step: int
    ids: list[Tensor]  # of each batch
    losses: list[Tensor]  # of each batch
    parameters: list[str]
    norms: Tensor  # of the gradient of each of them
    norm: Tensor  # of all of them together


class ClipFinite(Callback):
    """Clips the gradient by its norm, and by the same norm sees whether it is finite.

    On a CPU every update is looked at before it is made. To read a number back from an accelerator makes it wait, so
    there it is done once in `every` updates and before anything is validated or saved: weights that are not numbers
    are in no checkpoint. With several devices the norm, which is the same on all, decides, so that they end together.

    Args:
        clip: Largest norm; 0 clips nothing.
        every: Updates between two looks at an accelerator's numbers.
        config: The run's configuration file, for the message.

    Raises:
        Diverged: Names step, examples, and the loss or the first parameter concerned.
    """

    def __init__(self, clip: float, every: int, config: Path) -> None:
        self.clip, self.every, self.config = clip, every, config
        self._ids: list[Tensor] = []
        self._losses: list[Tensor] = []
        self._unseen: list[Update] = []
        self._named: list[tuple[str, torch.nn.Parameter]] = []

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, batch: Batch, batch_idx: int) -> None:
        self._ids.append(batch.ids)

    def on_before_backward(self, trainer: L.Trainer, module: L.LightningModule, loss: Tensor) -> None:
        self._losses.append(loss.detach())

    def on_before_optimizer_step(
        self, trainer: L.Trainer, module: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        self._named = self._named or list(module.named_parameters())
        gradients = {name: p.grad for name, p in self._named if p.grad is not None}
        replayed = module.replays.gradients if isinstance(module, Seq2SeqModule) and module.replays else None
        if replayed is None or replayed.norms is None:  # none, or summed over several batches
            replayed, (norms, norm) = None, gradient_norms(list(gradients.values()))
        else:
            norms, norm = replayed.norms, torch.linalg.vector_norm(replayed.norms)
        step = trainer.global_step + 1
        self._unseen.append(Update(step, self._ids, self._losses, list(gradients), norms, norm))
        self._ids, self._losses = [], []
        if not waits(norm) or len(self._unseen) == self.every:
            self._look(trainer)
        if self.clip and replayed:
            replayed.together.mul_((self.clip / (norm + 1e-6)).clamp(max=1.0))  # as torch does, with one kernel
        elif self.clip:
            torch.nn.utils.clip_grads_with_norm_([p for _, p in self._named], self.clip, norm)

    def on_validation_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._look(trainer)

    def on_save_checkpoint(self, trainer: L.Trainer, module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        self._look(trainer)

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._look(trainer)

    def _look(self, trainer: L.Trainer) -> None:
        updates, self._unseen = self._unseen, []
        for update in updates:
            decisive = [update.norm] if trainer.world_size > 1 else [update.norm, *update.losses]
            if not torch.stack(decisive).isfinite().all():
                raise self._diverged(update)

    def _diverged(self, update: Update) -> Diverged:
        own = [(float(loss), i.tolist()) for loss, i in zip(update.losses, update.ids, strict=True)]
        batches = gather_interleaved(own)
        bad = [(loss, ids) for loss, ids in batches if not math.isfinite(loss)]
        finite = zip(update.parameters, update.norms.isfinite().tolist(), strict=True)
        whose = next((name for name, is_finite in finite if not is_finite), "all parameters together")
        what = f"loss is {bad[0][0]}" if bad else f"gradient of {whose} is not finite"
        examples = [i for _, ids in bad or batches for i in ids]
        named = ", ".join(map(str, examples[:NAMED]))
        others = f" and {len(examples) - NAMED} others" if len(examples) > NAMED else ""
        error = Diverged(
            f"The {what} at step {update.step}, on training examples {named}{others}: lower "
            f"model.init_args.optimisation.learning_rate or raise its warmup_steps; the configuration is {self.config}."
        )
        for loss, ids in batches:
            error.add_note(f"a batch of step {update.step} with loss {loss}, its examples: {ids}")
        return error


@torch.no_grad()
def gradient_norms(gradients: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The norm of each gradient, and that of all together, bit for bit the one that torch clips by."""
    norms = torch.stack(torch._foreach_norm(gradients))
    norm = torch.linalg.vector_norm(norms)
    if isinstance(norm, DTensor):  # each device has a shard of the gradients
        return norms.full_tensor(), norm.full_tensor()  # type: ignore[attr-defined]
    return norms, norm


def waits(number: Tensor) -> bool:
    """Whether reading the number waits for an accelerator to finish its work."""
    return number.device.type != "cpu"
