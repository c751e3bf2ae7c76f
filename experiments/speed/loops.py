"""Overhead of the Trainer: the same batches through `Trainer.fit` and through a bare loop, interleaved."""

import tempfile
import time
from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from jsonargparse import Namespace

from datamodules.batch import IGNORE, PAD, Batch
from experiments.planning.grid import EXPERIMENTS
from experiments.planning.parser import build_parser
from experiments.speed.profiling import kernels
from experiments.speed.record import Rows, log
from experiments.speed.settings import Loops, Settings
from experiments.speed.systems import Step, System
from experiments.training.callbacks import Clock, LocalRecord, Progress
from experiments.training.trainer import TrainerSettings, build_trainer, fit
from models import Seq2SeqModule


def run_loops(loops: Loops, settings: Settings, device: torch.device) -> tuple[dict[str, Rows], dict[str, Any]]:
    """Both loops for every system; rows by system, and what was held equal."""
    found = {}
    for name in loops.systems:
        log(f"{loops.corpus} {loops.direction}: {name}, bare and through the Trainer")
        system = System(name, settings.precision)
        built = configured(system, loops, loops.steps * (settings.clock.rounds + loops.warm_up))
        timed = interleave(built.model, built.data, built.trainer, system, loops.steps, device)
        found[name] = rows_of(timed, loops.warm_up)
    held_equal = {"batches": "the same for both loops and all models", "steps of a block": loops.steps}
    return found, held_equal


def configurations(loops: Loops, system: str) -> list[Path]:
    """The suite's translation configuration of a system's model."""
    folder = EXPERIMENTS / "configs" / "bleu" / loops.configs
    return [folder / "common.yaml", folder / f"{System(system).network}.yaml"]


def configured(system: System, loops: Loops, steps: int) -> Namespace:
    """Module, data and Trainer's settings as the suite's own translation configuration has them, for so many steps."""
    source, target = loops.direction.split("-")  # of a corpus of ours
    given = {
        "data.init_args.corpus.name": loops.corpus,
        "data.init_args.corpus.source_language": source,
        "data.init_args.corpus.target_language": target,
        "trainer.max_steps": steps,
        "trainer.validate_every": steps,
        "trainer.precision": system.precision,
        **{f"run.{name}": "speed" for name in ("suite", "experiment", "task", "model")},
    }
    parser = build_parser()
    L.seed_everything(0, verbose=False)
    words = [word for path in configurations(loops, system.name) for word in ("-c", str(path))]
    return parser.instantiate(parser.parse_args([*words, *(f"--{name}={value}" for name, value in given.items())]))


def interleave(
    module: Seq2SeqModule,
    data: L.LightningDataModule,
    settings: TrainerSettings,
    system: System,
    steps: int,
    device: torch.device,
) -> "InterleavedSteps":
    """Train with all that a run does between two validations, interleaved with bare steps in blocks of `steps`."""
    timed = InterleavedSteps(Step(deepcopy(module), system, device), steps)
    train_only(module, data, settings, timed)
    return timed


def train_only(
    module: Seq2SeqModule, data: L.LightningDataModule, settings: TrainerSettings, watching: L.Callback
) -> None:
    """All that a run does between two validations: clock, record, average of the weights."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        record = LocalRecord(Path(folder, "metrics.jsonl"), clock)
        callbacks = [clock, Progress(clock, ""), watching]
        trainer = build_trainer(settings, Path(folder), [record], callbacks)
        trainer.limit_val_batches = 0  # no validation, and no checkpoint to choose
        fit(trainer, module, data)


class InterleavedSteps(L.Callback):
    """Takes a bare step on each of the Trainer's batches too, alternately before and after the Trainer's own.

    The second step finds the kernels warm for the batch's lengths: always second, the bare step would seem faster. On a
    GPU the bare steps of a block follow it: to read the clock at every step would make the host wait for each.

    Args:
        step: A second copy of the model with its optimiser.
        steps: Of a block.
    """

    def __init__(self, step: Step, steps: int) -> None:
        self.step, self.steps = step, steps
        self.seconds: dict[str, list[float]] = {"trainer": [], "bare": []}
        self.tokens: list[tuple[int, int, int]] = []  # target, source, padded positions of each block
        self._by_block = step.device.type == "cuda"
        self.last: Batch
        self._batches: list[Batch] = []
        self._begun = self._bare = 0.0

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._begun = self._now()

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, batch: Any, batch_idx: int) -> None:
        if not self._by_block and len(self._batches) % 2:
            self._take_bare_steps([batch])

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not self._by_block and len(self._batches) % 2 == 0:
            self._take_bare_steps([batch])
        self._batches.append(batch)
        if len(self._batches) == self.steps:
            self.seconds["trainer"].append(self._now() - self._begun - self._bare)
            if self._by_block:
                self._take_bare_steps(self._batches)
            self.seconds["bare"].append(self._bare)
            self.tokens.append(counted(self._batches))
            self._batches, self._bare = [], 0.0
            self._begun = self._now()

    def _take_bare_steps(self, batches: Sequence[Batch]) -> None:
        begun = self._now()
        for batch in batches:
            self.step.step(batch)
        self.last = batches[-1]
        self._bare += self._now() - begun

    def _now(self) -> float:
        if self.step.device.type == "cuda":
            torch.cuda.synchronize(self.step.device)
        return time.perf_counter()


def counted(batches: list[Batch]) -> tuple[int, int, int]:
    """Target tokens, source tokens and padded positions."""
    target = sum(int((batch.labels != IGNORE).sum()) for batch in batches)
    source = sum(int((batch.source != PAD).sum()) for batch in batches)
    return target, source, sum(batch.source.numel() + batch.labels.numel() for batch in batches)


def counted_blocks(timed: InterleavedSteps) -> dict[str, list[float]]:
    """Target tokens/s of each block, by loop."""
    return {
        loop: [target / s for s, (target, _, _) in zip(seconds, timed.tokens, strict=True)]
        for loop, seconds in timed.seconds.items()
    }


def rows_of(timed: InterleavedSteps, warm_up: int) -> Rows:
    rows = Rows()
    for loop, seconds in timed.seconds.items():
        measured = list(zip(seconds, timed.tokens, strict=True))[warm_up:]
        per_second = {
            "target_tokens_per_second": [target / s for s, (target, _, _) in measured],
            "source_and_target_tokens_per_second": [(target + source) / s for s, (target, source, _) in measured],
            "positions_per_second": [positions / s for s, (_, _, positions) in measured],
        }
        for metric, values in per_second.items():
            rows.add_spread(metric, values, "tokens/s", "loop", loop)
        rows.add_spread("step_seconds", [s / timed.steps for s, _ in measured], "s", "loop", loop)
        target, source, positions = (sum(column) for column in zip(*(t for _, t in measured), strict=True))
        rows.add("padding_share", 1 - (target + source) / positions, "share", "loop", loop)
    with timed.step.one_by_one():
        rows.kernels.update(kernels(partial(timed.step.step, timed.last)))
    rows.kernels |= {"precision": timed.step.system.precision, "mode": timed.step.mode}
    return rows
