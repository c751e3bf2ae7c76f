from itertools import repeat

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.batch import IGNORE, PAD, Batch
from datamodules.translation import TranslationExamples
from experiments.speed.peers import sizes
from experiments.speed.peers.textbook import TextbookBahdanau, TorchTransformer, sinusoids, training_loop
from models import BahdanauSeq2Seq, TransformerSeq2Seq
from models.bahdanau import BahdanauSettings
from models.positions import positions
from models.transformer import TransformerSettings

V = 40
TRANSFORMER = TransformerSettings(width=32, heads=4, feed_forward=64, encoder_layers=2, decoder_layers=2, dropout=0.1)
BAHDANAU = BahdanauSettings(embedding=24, hidden=32, layers=1, dropout=0.1)


@pytest.fixture(params=["torch", "textbook"])
def network(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(3)
    return TorchTransformer(V, TRANSFORMER) if request.param == "torch" else TextbookBahdanau(V, BAHDANAU)


def batch_of(*sizes: tuple[int, int]) -> Batch:
    """Words and the same backwards, of each (length, seed)."""
    words = [torch.randint(4, V, (n,), generator=torch.Generator().manual_seed(n + seed)).tolist() for n, seed in sizes]
    return TranslationExamples(words, [row[::-1] for row in words]).batch(range(len(words)))


def logits(network: nn.Module, batch: Batch) -> Tensor:
    out: Tensor = network.eval()(batch.source, batch.decoder_input)
    return out.detach()  # with gradients, as in training: without them torch takes another path that warns


def test_what_comes_later_changes_nothing_before(network: nn.Module) -> None:
    batch = batch_of((6, 0))
    changed = batch.decoder_input.clone()
    changed[0, 4:] = torch.tensor([4, 5, 6])
    before, after = (logits(network, batch._replace(decoder_input=d)) for d in (batch.decoder_input, changed))
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


def test_training_learns_and_padding_is_not_asked_for(network: nn.Module) -> None:
    batch = batch_of((3, 3), (5, 5), (7, 7))
    assert (batch.labels == IGNORE).any()

    def loss() -> float:
        scored = batch.labels != IGNORE
        return float(F.cross_entropy(logits(network, batch)[scored], batch.labels[scored]))

    before = loss()
    for done, _ in enumerate(training_loop(network, repeat(batch), 3e-3, 1.0), 1):
        if done == 60:
            break
    assert loss() < before / 2


def test_the_transformer_does_not_look_at_padding() -> None:
    network = TorchTransformer(V, TRANSFORMER)
    alone, padded = batch_of((4, 0)), batch_of((4, 0), (9, 0))
    assert (padded.source[0] == PAD).any()
    torch.testing.assert_close(logits(network, alone)[0], logits(network, padded)[0, :5], atol=1e-5, rtol=1e-4)


def test_positions_are_those_of_the_paper() -> None:
    added = positions("sinusoidal", width=16, heads=4, max_length=9).added(0, 9, torch.device("cpu"))
    assert added is not None
    assert sorted(sinusoids(9, 16).flatten().tolist()) == pytest.approx(sorted(added.flatten().tolist()), abs=1e-5)


def test_they_are_as_large_as_ours() -> None:
    def size(network: nn.Module) -> int:
        return sum(p.numel() for p in network.parameters())

    joint = {"source_vocabulary": 6000, "target_vocabulary": 6000, "shared_vocabulary": True}
    pairs = [
        (TorchTransformer(6000, sizes.transformer(0.3)), TransformerSeq2Seq(sizes.transformer(0.3), **joint)),
        (TextbookBahdanau(6000, sizes.bahdanau(0.3)), BahdanauSeq2Seq(sizes.bahdanau(0.3), **joint)),
    ]
    for theirs, ours in pairs:
        assert size(theirs) == pytest.approx(size(ours), rel=0.01)
