"""The one place that builds a Lightning Trainer: devices, nodes, strategy and precision are settings, never code."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor

from experiments.randomness import SeedEachStep
from models.products import onednn_products


@dataclass
class TrainerSettings:
    """How long and on what a model is trained; the same for every model that is compared.

    Args:
        max_steps: Optimiser updates.
        validate_every: Updates between two validations.
        monitor: Validation metric that chooses the best checkpoint.
        monitor_mode: Whether more (max) or less (min) of it is better.
        patience: Validations without a better value after which training stops; none for a fixed budget.
        accelerator: cpu, gpu, or auto.
        devices: Number of devices on each node, or auto.
        num_nodes: Number of machines.
        strategy: How several devices work together.
        precision: auto is bf16 mixed precision where the hardware multiplies it natively, else 32-bit.
        gradient_clip: Largest norm of the gradient.
        accumulate: Batches summed into one update.
        ema_decay: Decay of the exponential moving average of weights that is validated and kept; 0 turns it off.
        log_every: Updates between two rows of the training record.
        deterministic: Refuse operations whose result can differ from run to run.
    """

    max_steps: int = 1000
    validate_every: int = 200
    monitor: str = "val/bleu"
    monitor_mode: Literal["min", "max"] = "max"
    patience: int | None = None
    accelerator: Literal["cpu", "gpu", "auto"] = "auto"
    devices: int | Literal["auto"] = "auto"
    num_nodes: int = 1
    strategy: Literal["auto", "ddp", "ddp_fork", "fsdp"] = "auto"
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    gradient_clip: float = 1.0
    accumulate: int = 1
    ema_decay: float = 0.998
    log_every: int = 20
    deterministic: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"trainer.ema_decay is {self.ema_decay}; it must be at least 0 and below 1.")
        if self.validate_every > self.max_steps:
            raise ValueError(
                f"trainer.validate_every is {self.validate_every}, more than trainer.max_steps {self.max_steps}: "
                "no checkpoint would ever be chosen."
            )


def build_trainer(
    settings: TrainerSettings, folder: Path, loggers: Sequence[Logger], callbacks: Sequence[Callback]
) -> L.Trainer:
    """The Trainer of every experiment.

    Args:
        settings: See `TrainerSettings`.
        folder: The run's folder; checkpoints go to its `checkpoints`.
        loggers: Where metrics go.
        callbacks: What measures. They come before weight averaging, so that validation measures the average.
    """
    accelerator = settings.accelerator
    if accelerator == "auto":
        accelerator = "gpu" if torch.cuda.is_available() else "cpu"
    devices = settings.devices
    if devices == "auto" and accelerator == "cpu":
        devices = 1  # one process already uses every core
    training: list[Callback] = [SeedEachStep(), *callbacks, *best_and_last(settings, folder)]
    if settings.ema_decay:
        training.append(WeightAveraging(multi_avg_fn=moving_average(settings.ema_decay)))
    if settings.patience is not None:
        training.append(EarlyStopping(settings.monitor, mode=settings.monitor_mode, patience=settings.patience))
    return L.Trainer(
        accelerator=accelerator,
        devices=devices,
        num_nodes=settings.num_nodes,
        strategy=settings.strategy,
        precision=resolve_precision(settings.precision, accelerator),  # type: ignore[arg-type]
        max_steps=settings.max_steps,
        max_epochs=-1,
        val_check_interval=settings.validate_every * settings.accumulate,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        gradient_clip_val=settings.gradient_clip,
        accumulate_grad_batches=settings.accumulate,
        log_every_n_steps=settings.log_every,
        deterministic=settings.deterministic,
        use_distributed_sampler=False,  # the token-bucket sampler shards itself
        logger=list(loggers),
        callbacks=training,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )


def fit(
    trainer: L.Trainer, module: L.LightningModule, data: L.LightningDataModule, checkpoint: Path | None = None
) -> None:
    """Train, from a checkpoint if there is one, with the faster exact products in 32 bits."""
    with onednn_products(trainer.precision == "32-true"):
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)


def best_and_last(settings: TrainerSettings, folder: Path) -> list[Callback]:
    """Keep the best checkpoint on validation, and the last for resuming, also when interrupted.

    One callback each: a single one would put the interrupted weights over the best, and renew the last only when
    there is a new best.
    """
    common: dict[str, Any] = {"dirpath": folder / "checkpoints", "enable_version_counter": False}
    best = ModelCheckpoint(filename="best", monitor=settings.monitor, mode=settings.monitor_mode, **common)
    return [best, LastCheckpoint(filename="last", save_on_exception=True, **common)]


class LastCheckpoint(ModelCheckpoint):
    """Saved at each validation and, when training is terminated, after the step that is being taken.

    Other exceptions come in the middle of a step, and in a validation the module holds the averaged weights: neither
    state could be gone on from.
    """

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        if isinstance(exception, SIGTERMException) and not trainer.validating:
            super().on_exception(trainer, pl_module, exception)


def moving_average(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    """Exponential moving average of weights whose decay rises as (1 + n) / (10 + n), so that random weights fade fast.

    Without the rise a decay of 0.998 would still be two thirds random weights after 200 updates.
    """

    @torch.no_grad()
    def update(averaged: Sequence[Tensor], current: Sequence[Tensor], updates: Tensor | int) -> None:
        n = int(updates)
        torch._foreach_lerp_(list(averaged), list(current), 1 - min(decay, (1 + n) / (10 + n)))

    return update


def resolve_precision(precision: str, accelerator: str) -> str:
    """`auto` as a Lightning precision: bf16 where it is multiplied in hardware, so that it is faster and not slower."""
    if precision != "auto":
        return precision
    if accelerator == "gpu":
        native: Any = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.backends.mkldnn.is_available() and torch.cpu._is_avx512_bf16_supported()
    return "bf16-mixed" if native else "32-true"
