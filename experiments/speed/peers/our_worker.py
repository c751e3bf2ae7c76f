"""Our models through the suite's own Trainer, and the textbook ones in a plain loop, in blocks.

python -m experiments.speed.peers.our_worker transformer fp32 20
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from datamodules import TranslationData
from datamodules.batch import Batch
from experiments.launch import command_line
from experiments.speed.loops import counted, train_only
from experiments.speed.peers import sizes
from experiments.speed.peers.protocol import BlockTimer, WorkerChannel
from experiments.speed.peers.sizes import DECODING, GRADIENT_CLIP, OPTIMISATION, SEED, TEST_SET, multi30k
from experiments.speed.peers.textbook import TextbookBahdanau, TorchTransformer, training_loop
from experiments.training.decode import translate_split
from experiments.training.environment import quiet
from experiments.training.trainer import TrainerSettings
from models import Seq2SeqModule
from models.lightning_modules import Optimisation

PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed", "fp32-dropout0": "32-true"}
NEVER = 10**8  # updates


class TimedUpdates(Callback):
    """Counts every update of the Trainer in a `BlockTimer`."""

    def __init__(self, timer: BlockTimer) -> None:
        self.timer = timer

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.timer.wait()

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        count_update(self.timer, batch)


def count_update(timer: BlockTimer, batch: Batch) -> None:
    target, source, positions = counted([batch])
    timer.count(target, source + target, positions)
    timer.pause()


def main(model: str, variant: str, updates: int) -> None:
    """Carry out commands until the input ends.

    Args:
        model: transformer or bahdanau.
        variant: fp32, bf16 or fp32-dropout0 for ours; torch or textbook.
        updates: Updates in a block.
    """
    channel = WorkerChannel()
    quiet()
    L.seed_everything(SEED, verbose=False)
    data = multi30k()
    data.examples("train")
    if variant in PRECISION:
        module = sizes.build(model, sizes.dropout_of(variant), data)
        train_ours(channel, module, data, PRECISION[variant], updates, lambda: translate(module, data))
    else:
        train_textbook(channel, build_textbook(model, data), endless(data), updates, OPTIMISATION)


def build_textbook(model: str, data: TranslationData) -> torch.nn.Module:
    if model == "transformer":
        return TorchTransformer(data.target_vocab_size, sizes.transformer(sizes.DROPOUT))
    return TextbookBahdanau(data.target_vocab_size, sizes.bahdanau(sizes.DROPOUT))


def train_ours(
    channel: WorkerChannel,
    module: Seq2SeqModule,
    data: L.LightningDataModule,
    precision: str,
    updates: int,
    translate: Callable[[], list[str]],
) -> None:
    timer = BlockTimer(channel, updates, translate)
    settings = TrainerSettings(
        max_steps=NEVER,
        validate_every=NEVER,
        accelerator="cpu",
        precision=precision,  # type: ignore[arg-type]
        gradient_clip=GRADIENT_CLIP,
    )
    channel.answer(parameters=sum(p.numel() for p in module.parameters()), name="this suite")
    train_only(module, data, settings, TimedUpdates(timer))


def translate(module: Seq2SeqModule, data: TranslationData) -> list[str]:
    module.eval()
    translations = translate_split(module.network, data, TEST_SET, DECODING, module.device)
    module.train()
    return [t.hypothesis for t in translations]


def train_textbook(
    channel: WorkerChannel, network: torch.nn.Module, batches: Iterable[Batch], updates: int, optimisation: Optimisation
) -> None:
    timer = BlockTimer(channel, updates, no_translation)
    channel.answer(parameters=sum(p.numel() for p in network.parameters()), name=type(network).__name__)
    timer.wait()
    loop = training_loop(network, batches, optimisation.learning_rate, GRADIENT_CLIP, optimisation.label_smoothing)
    for batch in loop:
        count_update(timer, batch)


def no_translation() -> list[str]:
    raise NotImplementedError("a textbook model is timed in training only")


def endless(data: TranslationData) -> Iterator[Batch]:
    loader = data.train_dataloader()
    epoch = 0
    while True:
        loader.batch_sampler.set_epoch(epoch)  # type: ignore[union-attr]
        yield from loader
        epoch += 1


if __name__ == "__main__":
    command_line.run(main, positional=True)
