"""Ratios of interleaved steps: the LSTM over its bare parts, and the Trainer over the bare step.

B batch, S source length, T target length, N scored target positions, E embedding, H hidden, V vocabulary.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules import TranslationData
from datamodules.batch import IGNORE, Batch
from experiments.speed.bars.bar import Bar, Row
from experiments.speed.loops import interleave
from experiments.speed.peers import sizes
from experiments.speed.settings import Precision
from experiments.speed.systems import Step, System
from experiments.speed.timing import alternate
from experiments.training.trainer import TrainerSettings, resolve_precision
from models import LSTMSeq2Seq, Seq2SeqModule
from models.kernels.matmul_backend import onednn_matmul
from models.lstm import LSTMSettings

CPU = torch.device("cpu")
BATCHES = 12  # of training text, for the steps that are timed without the Trainer
BLOCK = 1.5  # seconds, at least
WARM_UP = 1  # blocks of updates
LSTM = LSTMSettings(embedding=256, hidden=256, layers=1, dropout=sizes.DROPOUT)
Work = Callable[[Batch], None]


def on_all(work: Work, batches: Sequence[Batch]) -> None:
    """The same work at every call, whatever the lengths of the batches."""
    for batch in batches:
        work(batch)


class BareLSTM(nn.Module):
    """The parts of an LSTM encoder-decoder that torch provides: its LSTMs, one projection, the loss."""

    def __init__(self, vocabulary: int, settings: LSTMSettings) -> None:
        super().__init__()
        E, H, layers = settings.embedding, settings.hidden, settings.layers
        self.encoder = nn.LSTM(E, H // 2, layers, batch_first=True, bidirectional=True)
        self.decoder = nn.LSTM(E, H, layers, batch_first=True)
        self.projection = nn.Linear(E, vocabulary)

    def forward(self, source: Tensor, target: Tensor, features: Tensor, labels: Tensor) -> Tensor:
        """(B, S, E), (B, T, E) and (N, E) numbers, (N,) labels -> one scalar that all three parts are in."""
        encoded, _ = self.encoder(source)
        decoded, _ = self.decoder(target)
        smoothing = sizes.OPTIMISATION.label_smoothing
        cross_entropy = F.cross_entropy(self.projection(features).float(), labels, label_smoothing=smoothing)
        return cross_entropy + encoded.sum() + decoded.sum()  # a sum, so that a gradient goes back through both


def bare_parts(vocabulary: int, precision: str, batches: Sequence[Batch]) -> Work:
    """An update of `BareLSTM` on random numbers of each batch's shapes, whose gradients are computed as well."""
    bare = BareLSTM(vocabulary, LSTM)
    optimiser = torch.optim.AdamW(bare.parameters(), lr=1e-3, weight_decay=0.0, fused=True)
    inputs = {}
    for batch in batches:
        labels = batch.labels[batch.labels != IGNORE]
        shapes = (
            (*batch.source.shape, LSTM.embedding),
            (*batch.labels.shape, LSTM.embedding),
            (len(labels), LSTM.embedding),
        )
        inputs[id(batch)] = [torch.randn(shape, requires_grad=True) for shape in shapes], labels

    def work(batch: Batch) -> None:
        (source, target, features), labels = inputs[id(batch)]
        source.grad = target.grad = features.grad = None
        optimiser.zero_grad()
        with onednn_matmul(precision == "32-true"):
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
                loss = bare(source, target, features, labels)
            loss.backward()
        nn.utils.clip_grad_norm_(bare.parameters(), sizes.GRADIENT_CLIP)
        optimiser.step()

    return work


def our_lstm(data: TranslationData) -> LSTMSeq2Seq:
    return LSTMSeq2Seq(LSTM, **sizes.common(data))


def lstm_rows(data: TranslationData, rounds: int) -> Iterator[Row]:
    """Seconds of `LSTMSeq2Seq` over those of its bare parts, by precision."""
    batches = list(islice(data.train_dataloader(), BATCHES))
    how = f"forward, backward, update on {BATCHES} Multi30k batches, interleaved"
    precisions: tuple[Precision, Precision] = ("32-true", resolve_precision("auto", "cpu"))
    for precision in dict.fromkeys(precisions):
        torch.manual_seed(sizes.SEED)
        ours = Step(our_lstm(data), System("lstm", precision), CPU).step
        parts = bare_parts(data.target_vocab_size, precision, batches)
        runs = {"ours": partial(on_all, ours, batches), "parts": partial(on_all, parts, batches)}
        seconds = alternate(runs, rounds, BLOCK)
        ratios = [a / b for a, b in zip(seconds["ours"], seconds["parts"], strict=True)]
        yield Row(Bar(f"LSTM step {precision} / its nn.LSTM + projection + cross-entropy", "≤", 1.15, how), ratios)


def trainer_rows(data: TranslationData, updates: int, rounds: int) -> Iterator[Row]:
    """Speed of `Trainer.fit` over that of the bare step, by model."""
    precision = resolve_precision("auto", "cpu")
    how = f"target tokens/s, {precision}, same batches, interleaved"
    for name in ("lstm", "bahdanau", "transformer"):
        L.seed_everything(sizes.SEED, verbose=False)
        module = our_lstm(data) if name == "lstm" else sizes.build(name, sizes.DROPOUT, data)
        ratios = trainer_ratio(module, System(name, precision), data, updates, rounds)
        yield Row(Bar(f"Trainer / bare step, {name}", "≥", 0.93, how), ratios)


def trainer_ratio(
    module: Seq2SeqModule, system: System, data: TranslationData, updates: int, rounds: int
) -> list[float]:
    """Seconds of bare steps over those of the Trainer with all that a run of the suite has between two validations."""
    steps = updates * (rounds + WARM_UP)
    settings = TrainerSettings(
        max_steps=steps,
        validate_every=steps,
        accelerator="cpu",
        precision=system.precision,
        gradient_clip=sizes.GRADIENT_CLIP,
    )
    timed = interleave(module, data, settings, system, updates, CPU)
    pairs = zip(timed.seconds["bare"], timed.seconds["trainer"], strict=True)
    return [bare / trained for bare, trained in pairs][WARM_UP:]
