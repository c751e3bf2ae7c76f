from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from datamodules import TranslationData
from datamodules.batch import IGNORE, Batch
from experiments.speed.bars import cpu_steps
from experiments.speed.bars.cpu_steps import BareLSTM, bare_parts, lstm_rows, on_all, trainer_ratio
from experiments.speed.peers import sizes
from experiments.speed.systems import System
from models import LSTMSeq2Seq
from models.lstm import LSTMSettings
from tests.support.tiny_peers import peer_data

SMALL = LSTMSettings(embedding=12, hidden=16, layers=1, dropout=0.3)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TranslationData:
    monkeypatch.setattr(cpu_steps, "LSTM", SMALL)
    monkeypatch.setattr(cpu_steps, "BLOCK", 0.001)
    return peer_data(tmp_path)


@pytest.fixture
def batches(data: TranslationData) -> list[Batch]:
    return list(islice(data.train_dataloader(), 3))


def test_the_bare_parts_are_those_of_our_lstm(data: TranslationData) -> None:
    """Same recurrent weights, same projection: only what surrounds them differs."""
    ours = LSTMSeq2Seq(SMALL, **sizes.common(data)).network
    bare = BareLSTM(data.target_vocab_size, SMALL)

    def recurrent(network: nn.Module) -> list[list[torch.Size]]:
        layers = (m for m in network.modules() if isinstance(m, nn.RNNBase))
        return sorted([p.shape for p in m.parameters()] for m in layers)

    assert recurrent(ours) == recurrent(bare)
    assert ours.output.weight.shape == bare.projection.weight.shape


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_the_bare_parts_run_on_the_shapes_of_every_batch_and_all_get_gradients(
    precision: str, batches: list[Batch], data: TranslationData, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, given = [], []
    original = BareLSTM.forward

    def forward(self: BareLSTM, source: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        given.append([*self.parameters(), source, *rest[:2]])
        seen.append((source.shape[:2], *(r.shape[: 2 if r.dim() > 2 else 1] for r in rest)))
        loss = original(self, source, *rest)
        assert torch.isfinite(loss)
        return loss

    monkeypatch.setattr(BareLSTM, "forward", forward)
    on_all(bare_parts(data.target_vocab_size, precision, batches), batches)
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in given[-1])
    scored = [(int((b.labels != IGNORE).sum()),) for b in batches]
    assert seen == [(b.source.shape, b.labels.shape, n, n) for b, n in zip(batches, scored, strict=True)]


def test_there_is_one_ratio_per_round_and_precision(data: TranslationData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_steps, "BATCHES", 3)
    monkeypatch.setattr(cpu_steps, "resolve_precision", lambda *_: "bf16-mixed")
    rows = list(lstm_rows(data, 2))
    assert [row.bar.what.split()[2] for row in rows] == ["32-true", "bf16-mixed"]
    assert [len(row.ratios) for row in rows] == [2, 2]


def test_the_trainers_ratio_is_bare_seconds_over_trainer_seconds(
    data: TranslationData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first rounds warm up."""
    seconds = {"bare": [9.0] * cpu_steps.WARM_UP + [2.0, 3.0], "trainer": [1.0] * cpu_steps.WARM_UP + [4.0, 4.0]}
    monkeypatch.setattr(cpu_steps, "interleave", lambda *_: SimpleNamespace(seconds=seconds))
    assert trainer_ratio(LSTMSeq2Seq(**sizes.common(data)), System("lstm"), data, 2, 2) == [0.5, 0.75]
