"""The one place that builds a Lightning Trainer: devices, nodes, strategy and precision are settings, never code."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, LambdaCallback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy, Strategy
from lightning.pytorch.utilities.exceptions import SIGTERMException

from experiments.training.callbacks import LaunchTogether, MovingAverage
from experiments.training.checkpoints import AtomicCheckpoints, StopEarly, best_and_last
from experiments.training.determinism import SeedEachStep
from experiments.training.devices.fsdp import DivideWeights, prepare_sharding
from experiments.training.devices.process_group import cluster
from experiments.training.divergence import ClipFinite
from experiments.training.environment import return_memory
from experiments.training.graceful_stop import EndBetweenUpdates
from models.kernels.gpu import use_equal_kernels
from models.kernels.matmul_backend import onednn_matmul


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
        strategy: How several devices work together: ddp, each with all weights, or fsdp, each with a share of them.
        precision: auto is bf16 mixed precision where the hardware multiplies it natively, else 32-bit.
        gradient_clip: Largest norm of the gradient; 0 clips nothing.
        accumulate: Batches summed into one update.
        ema_decay: Decay of the exponential moving average of weights that is validated and kept; 0 turns it off.
        log_every: Updates between two rows of the training record.
        graphs: On one GPU launch the kernels of a step together, captured once for each shape of batch.
        deterministic: Refuse operations whose result can differ from run to run on an accelerator too, where that can
            be slow or rule out a network. On a CPU they are always refused: all of ours are exact there at no cost.
    """

    max_steps: int = 1000
    validate_every: int = 200
    monitor: str = "val/bleu"
    monitor_mode: Literal["min", "max"] = "max"
    patience: int | None = None
    accelerator: Literal["cpu", "gpu", "auto"] = "auto"
    devices: int | Literal["auto"] = "auto"
    num_nodes: int = 1
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    gradient_clip: float = 1.0
    accumulate: int = 1
    ema_decay: float = 0.998
    log_every: int = 20
    graphs: bool = True
    deterministic: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"trainer.ema_decay is {self.ema_decay}; it must be at least 0 and below 1.")
        for name in ("max_steps", "validate_every", "num_nodes", "accumulate", "log_every"):
            if (value := getattr(self, name)) < 1:
                raise ValueError(f"trainer.{name} is {value}; it must be at least 1.")
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
    accelerator, devices = hardware(settings)
    use_equal_kernels()
    kept = best_and_last(folder / "checkpoints", settings.monitor, settings.monitor_mode)
    finite = ClipFinite(settings.gradient_clip, settings.log_every, folder / "config.yaml")
    # So that a long run does not fill the machine with fragments of freed memory.
    tidy = LambdaCallback(on_validation_start=lambda *_: return_memory())
    saved = [EndBetweenUpdates(settings.validate_every), *kept]
    training: list[Callback] = [SeedEachStep(), finite, tidy, *callbacks, *saved]
    training.append(LaunchTogether(settings.graphs))
    if settings.ema_decay:
        training.append(MovingAverage(settings.ema_decay))
    if settings.patience is not None:
        training.append(StopEarly(settings.monitor, mode=settings.monitor_mode, patience=settings.patience))
    # Determinism would also fill memory before its first use, to show who reads it unwritten: 2 to 5 % of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return L.Trainer(
        accelerator=accelerator,
        devices=devices,
        num_nodes=settings.num_nodes,
        strategy=together(settings, devices * settings.num_nodes),
        precision=resolve_precision(settings.precision, accelerator),
        max_steps=settings.max_steps,
        max_epochs=-1,
        val_check_interval=settings.validate_every * settings.accumulate,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        accumulate_grad_batches=settings.accumulate,
        log_every_n_steps=settings.log_every,
        deterministic=settings.deterministic or accelerator == "cpu",
        use_distributed_sampler=False,  # the token-bucket sampler shards itself
        logger=list(loggers),
        callbacks=training,
        plugins=[AtomicCheckpoints(), cluster()],
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )


def hardware(settings: TrainerSettings) -> tuple[Literal["cpu", "gpu"], int]:
    """What a run is trained on, and how many of them on each machine.

    Raises:
        ValueError: The machine has fewer.
    """
    gpus = torch.cuda.device_count()
    accelerator: Literal["cpu", "gpu"] = "gpu" if gpus else "cpu"
    if settings.accelerator != "auto":
        accelerator = settings.accelerator
    if accelerator == "gpu" and not gpus:
        raise ValueError("trainer.accelerator is gpu, but torch finds no GPU here: set it to cpu or auto.")
    devices = settings.devices
    if devices == "auto":
        devices = gpus if accelerator == "gpu" else 1  # one process already uses every core
    if devices < 1 or settings.num_nodes < 1:
        raise ValueError(
            f"trainer.devices is {devices} and trainer.num_nodes {settings.num_nodes}; both must be at least 1."
        )
    if accelerator == "gpu" and devices > gpus:
        raise ValueError(
            f"trainer.devices is {devices}, but this machine has {gpus} GPU{'s' * (gpus > 1)}: lower it, or train on "
            "the CPU with trainer.accelerator cpu."
        )
    return accelerator, devices


def together(settings: TrainerSettings, devices: int) -> Strategy | Literal["auto"]:
    """How that many devices share a training.

    Raises:
        ValueError: Weights that are divided cannot be averaged.
    """
    if devices == 1:
        return "auto"
    if settings.strategy != "fsdp":
        return DDPStrategy()
    if settings.ema_decay:
        raise ValueError(
            f"trainer.strategy fsdp divides the weights, which cannot be averaged then: set trainer.ema_decay to 0 "
            f"(it is {settings.ema_decay}) or trainer.strategy to ddp."
        )
    return DivideWeights(devices)


def fit(
    trainer: L.Trainer, module: L.LightningModule, data: L.LightningDataModule, checkpoint: Path | None = None
) -> None:
    """Train, from a checkpoint if there is one, with the faster exact products in 32 bits."""
    if isinstance(trainer.strategy, DivideWeights):
        prepare_sharding(module)
    (ending,) = (callback for callback in trainer.callbacks if isinstance(callback, EndBetweenUpdates))  # type: ignore[attr-defined]
    with onednn_matmul(trainer.precision == "32-true"):
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    if ending.requested:
        raise SIGTERMException


def resolve_precision(
    precision: Literal["auto", "32-true", "bf16-mixed"], accelerator: str
) -> Literal["32-true", "bf16-mixed"]:
    """`auto` as a Lightning precision: bf16 where it is multiplied in hardware, so that it is faster and not slower.

    Raises:
        ValueError: bf16 is asked for on a CPU where oneDNN, which computes the recurrent networks, does not know it.
    """
    onednn = torch.backends.mkldnn.is_available()
    known = onednn and torch.ops.mkldnn._is_mkldnn_bf16_supported()  # ONEDNN_MAX_CPU_ISA can take it from any CPU
    if (precision, accelerator, onednn, known) == ("bf16-mixed", "cpu", True, False):
        raise ValueError(
            "trainer.precision is bf16-mixed, which oneDNN does not compute on this CPU, or is kept from by "
            "ONEDNN_MAX_CPU_ISA: choose 32-true or auto."
        )
    if precision != "auto":
        return precision
    if accelerator == "gpu":
        native: Any = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = known and torch.cpu._is_avx512_bf16_supported()
    return "bf16-mixed" if native else "32-true"
