"""Callbacks of every training run: local record, clock, progress line, launch of kernels, average of the weights."""

import json
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, WeightAveraging
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from datamodules.batch import IGNORE, PAD, Batch
from experiments.record.read import read_history
from experiments.record.write import write_atomically
from models import Seq2SeqModule
from models.kernels.cuda_graphs import Replays, capture_on

ONE_BY_ONE, TOGETHER = "each by itself", "those of a step together"


class Clock(Callback):
    """Training time, and tokens of all devices, validation excluded, carried over when a run is resumed."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.target_tokens: int | Tensor = 0
        self.source_tokens: int | Tensor = 0
        self._started = 0.0

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, batch: Batch, batch_idx: int) -> None:
        self._started = time.perf_counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        # Counted on the device: reading a number back would make an accelerator wait at every step.
        counts = torch.stack([(batch.labels != IGNORE).sum(), (batch.source != PAD).sum()])
        target, source = trainer.strategy.reduce(counts, reduce_op="sum")
        self.target_tokens, self.source_tokens = self.target_tokens + target, self.source_tokens + source
        self.seconds += time.perf_counter() - self._started

    def state_dict(self) -> dict[str, Any]:
        counts = {"target_tokens": int(self.target_tokens), "source_tokens": int(self.source_tokens)}
        return {"seconds": self.seconds, **counts}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seconds = state_dict["seconds"]
        self.target_tokens, self.source_tokens = state_dict["target_tokens"], state_dict["source_tokens"]


class LocalRecord(Logger):
    """metrics.jsonl: every metric as it happens, one JSON object a line."""

    def __init__(self, path: Path, clock: Clock) -> None:
        super().__init__()
        self.path, self.clock = path, clock

    @property
    def name(self) -> str:
        return "local"

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The resolved configuration is written by the run itself."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        # Lightning counts updates from 0 here, but from 1 in checkpoints: the record says how many are done.
        done = (step or 0) + 1
        when = {"step": done, "seconds": round(self.clock.seconds, 3), "target_tokens": int(self.clock.target_tokens)}
        with self.path.open("a", encoding="utf-8") as file:
            for metric, value in metrics.items():
                if metric != "epoch":
                    file.write(json.dumps({**when, "metric": metric, "value": value}) + "\n")

    @rank_zero_only
    def forget_after(self, step: int) -> None:
        """Drop what was recorded after the checkpoint that a run resumes from: it will happen again."""
        if self.path.exists():
            rows = read_history(self.path, growing=True)
            write_atomically(self.path, "".join(json.dumps(row) + "\n" for row in rows if row["step"] <= step))


class Progress(Callback):
    """One line at each validation: step, quality so far, tokens/s and time left."""

    def __init__(self, clock: Clock, label: str) -> None:
        self.clock, self.label = clock, label
        self._window = (0.0, 0)
        self._began = time.perf_counter()
        self._first_step = 0

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._began, self._first_step = time.perf_counter(), trainer.global_step
        self._window = (self.clock.seconds, int(self.clock.target_tokens))
        for logger in trainer.loggers:
            if isinstance(logger, LocalRecord):
                logger.forget_after(trainer.global_step)

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        if sys.stderr.isatty() and trainer.is_global_zero and trainer.global_step % 5 == 0:
            print(f"\r{self._position(trainer)}\033[K", end="", file=sys.stderr, flush=True)

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if trainer.sanity_checking or not trainer.is_global_zero or trainer.state.fn != "fit":
            return
        seconds, tokens = self._window
        rate = (int(self.clock.target_tokens) - tokens) / max(1e-9, self.clock.seconds - seconds)
        self._window = (self.clock.seconds, int(self.clock.target_tokens))
        quality = "  ".join(
            f"{name} {float(trainer.callback_metrics[name]):.2f}"
            for name in ("val/loss", "val/bleu")
            if name in trainer.callback_metrics
        )
        start = "\r" if sys.stderr.isatty() else ""
        line = f"{start}{self._position(trainer)}  {quality}  {rate:,.0f} target tokens/s"
        print(line, file=sys.stderr, flush=True)
        for logger in trainer.loggers:
            logger.log_metrics({"train/tokens_per_second": rate}, trainer.global_step - 1)

    def _position(self, trainer: L.Trainer) -> str:
        step, last = trainer.global_step, int(trainer.max_steps)
        elapsed = time.perf_counter() - self._began
        left = elapsed / max(1, step - self._first_step) * (last - step)
        return f"{self.label}  step {step:,}/{last:,}  {_duration(left)} left"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes}:{seconds:02} min"


class LaunchTogether(Callback):
    """Captures the training objective for each shape of batch (`models.kernels.cuda_graphs`).

    Not with several devices, which exchange gradients while they are computed.
    """

    def __init__(self, wanted: bool) -> None:
        self.wanted, self.kernels = wanted, ONE_BY_ONE

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert isinstance(module, Seq2SeqModule)
        if self.wanted and trainer.world_size == 1 and (capture := capture_on(module.device)):
            module.replays = Replays(module.network, module.objective, capture)

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert isinstance(module, Seq2SeqModule)
        if module.replays:
            self.kernels = f"each by itself ({module.replays.failure})" if module.replays.failure else TOGETHER
        module.replays = None


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
        self._buffers: list[tuple[Tensor, Tensor]] = []

    def setup(self, trainer: L.Trainer, module: L.LightningModule, stage: str) -> None:
        self._device = trainer.strategy.root_device
        super().setup(trainer, module, stage)

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert self._average_model is not None
        averaged = self._average_model.module
        self._weights = [*averaged.parameters()], [*module.parameters()]
        self._buffers = [*zip(averaged.buffers(), module.buffers(), strict=True)]

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step > self._latest_update_step:
            self._latest_update_step = trainer.global_step
            self._take(module, updates=trainer.global_step - 1)

    @torch.no_grad()
    def _take(self, module: L.LightningModule, updates: int) -> None:
        decay = min(self.decay, (1 + updates) / (10 + updates)) if updates else 0
        averaged, current = self._weights
        torch._foreach_lerp_(averaged, current, 1 - decay)
        for kept, buffer in self._buffers:
            kept.copy_(buffer)
