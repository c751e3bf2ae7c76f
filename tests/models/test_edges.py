"""Batches at the edge: a source without a token, targets of one token, one row alone, nothing to score."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.utils.data import DataLoader

from datamodules.batch import IGNORE, Batch
from models import TransformerSeq2Seq
from models.embedding import Embedding
from models.kernels.dropout import Dropout
from models.loss import evaluate, scored_logits, smoothed_cross_entropy
from models.modules import Optimisation
from models.network import Network
from models.search import Decoding, search
from models.transformer import TransformerSettings
from tests.support.toy_networks import ALL, BOS, EOS, ONE_OF_EACH, PAD, build, decoder_inputs, sources

EMPTY = 2  # row of the source without a token
OTHERS = torch.tensor([0, 1, 3])
WITH_EMPTY = (7, 4, 0, 6)


def without_dropout(name: str, *, training: bool = False) -> Network:
    """A network in training, where kernels differ from those of evaluation, that still computes the same twice."""
    network = build(name)
    for module in network.modules():
        if isinstance(module, Dropout):
            module.p = 0.0
        elif isinstance(module, nn.RNNBase):
            module.dropout = 0.0
    return network.train(training)


def gradients(network: Network, logits: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(logits.square().sum(), list(network.parameters()), materialize_grads=True))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", ALL)
def test_a_source_without_a_token_has_an_answer_and_changes_no_other_row(name: str, training: bool) -> None:
    network, source, decoder_input = without_dropout(name, training=training), sources(WITH_EMPTY), decoder_inputs()
    logits = network(source, decoder_input)
    assert logits.isfinite().all()
    expected = network(source[OTHERS], decoder_input[OTHERS])
    torch.testing.assert_close(logits[OTHERS], expected)
    for with_it, without in zip(gradients(network, logits[OTHERS]), gradients(network, expected), strict=True):
        torch.testing.assert_close(with_it, without)
    logits = network(source, decoder_input)
    assert all(gradient.isfinite().all() for gradient in gradients(network, logits))


@pytest.mark.parametrize("name", ALL)
def test_its_answer_depends_on_no_padding(name: str) -> None:
    """Alone, beside others, with another number of padding tokens, and whatever they are embedded as."""
    network, decoder_input = without_dropout(name), decoder_inputs((3, 6, 6, 1))
    expected = network(sources(WITH_EMPTY), decoder_input)[EMPTY]
    for columns in (1, 9):
        alone = network(torch.full((1, columns), PAD), decoder_input[[EMPTY]])
        torch.testing.assert_close(alone[0], expected)
    assert not torch.allclose(expected, network(sources(), decoder_input)[EMPTY])
    with torch.no_grad():
        for table in (part for part in network.modules() if isinstance(part, Embedding)):
            table.weight[PAD] += 1
    again = network(sources(WITH_EMPTY), decoder_input)[EMPTY]
    torch.testing.assert_close(again[:, PAD + 1 :], expected[:, PAD + 1 :])  # a tied output scores padding otherwise


@pytest.mark.parametrize("beam_size", [1, 3])
@pytest.mark.parametrize("name", ALL)
def test_it_is_searched_a_hypothesis_like_any_other(name: str, beam_size: int) -> None:
    network, source = without_dropout(name), sources(WITH_EMPTY)
    decoding = Decoding(beam_size=beam_size, length_margin=4)
    found, rest = search(network, source, decoding), search(network, source[OTHERS], decoding)
    assert [found[i][0].tokens for i in OTHERS] == [hypotheses[0].tokens for hypotheses in rest]
    best = found[EMPTY][0]
    ended = [*best.tokens, *([] if best.truncated else [EOS])]
    assert 1 <= len(ended) <= 4
    teacher_forced = network(source, torch.tensor([[BOS, *ended[:-1]]] * 4))[EMPTY].log_softmax(-1)
    log_prob = teacher_forced[range(len(ended)), ended].sum()
    assert best.log_prob == pytest.approx(log_prob.item(), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("beam_size", [1, 3])
def test_the_shortest_limit_still_leaves_a_hypothesis(beam_size: int) -> None:
    """Half a token for a source of one, none for a source of none: one token may always be said."""
    decoding = Decoding(beam_size=beam_size, length_factor=0.5, length_margin=0)
    assert decoding.limits(sources((4, 1, 0)), PAD) == [2, 1, 1]
    found = search(build("lstm-lstm-1-layers"), sources((4, 1, 0)), decoding)
    assert [len(h[0].tokens) + (not h[0].truncated) for h in found[1:]] == [1, 1]


@pytest.mark.parametrize("name", ALL)
def test_it_is_looked_at_without_a_number_that_is_none(name: str) -> None:
    """Nowhere, or evenly at annotations that are all zero."""
    network, source, decoder_input = without_dropout(name), sources(WITH_EMPTY), decoder_inputs()
    for maps in (
        network.attention(network.encode(source), decoder_input),
        network.every_attention(source, decoder_input),
    ):
        for weights in maps.values():
            assert weights.isfinite().all()
            others = weights[OTHERS].sum(-1)
            torch.testing.assert_close(others, torch.ones_like(others), check_dtype=False)


@pytest.mark.parametrize("name", ALL)
def test_one_row_of_one_token_is_what_it_is_in_a_batch(name: str) -> None:
    """A source of nothing but its end and a target of one token: S = T = B = 1, and the same row among longer ones."""
    network, source, decoder_input = without_dropout(name, training=True), sources(), decoder_inputs()
    source[EMPTY, 0] = EOS
    together = network(source, decoder_input)
    alone = network(source[[EMPTY], :1], decoder_input[[EMPTY], :1])
    assert alone.shape[:2] == (1, 1)
    torch.testing.assert_close(alone[0, 0], together[EMPTY, 0])
    all_of_one = network(source, decoder_input[:, :1])
    torch.testing.assert_close(all_of_one[:, 0], together[:, 0])
    for ours, theirs in zip(gradients(network, all_of_one), gradients(network, together[:, :1]), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_source_without_a_token_in_lower_precision(name: str) -> None:
    network = build(name, dtype=torch.float).train()
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(sources(WITH_EMPTY), decoder_inputs())
        loss = logits.float().square().sum()
    loss.backward()
    assert logits.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def unscored(batch: Batch) -> Batch:
    return batch._replace(labels=torch.full_like(batch.labels, IGNORE))


def batch() -> Batch:
    decoder_input = decoder_inputs()
    labels = torch.cat([decoder_input[:, 1:], torch.full((4, 1), PAD)], 1)
    return Batch(sources(), decoder_input, labels.masked_fill(labels == PAD, IGNORE), torch.arange(4))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("name", ALL)
def test_nothing_scored_costs_nothing_and_pulls_nowhere(name: str, smoothing: float) -> None:
    network, nothing = build(name).train(), unscored(batch())
    logits, labels = scored_logits(network, nothing.source, nothing.decoder_input, nothing.labels)
    assert logits.shape[0] == len(labels) == 0
    loss = smoothed_cross_entropy(logits, labels, smoothing)
    assert loss.item() == 0
    loss.backward()
    reached = [p.grad for p in network.parameters()]
    assert all(gradient is not None and gradient.eq(0).all() for gradient in reached)
    assert [float(value) for value in evaluate(logits, labels, smoothing)] == [0, 0, 0, 0]


class Losses(Callback):
    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, *rest: Any) -> None:
        self.seen.append(outputs["loss"].item())


def test_a_batch_without_a_scored_position_leaves_training_and_validation_as_they_are(tmp_path: Path) -> None:
    """It trains as the others do, counts for nothing in a validation, and stops neither."""
    found = []
    for batches in ([batch(), unscored(batch())], [batch()]):
        torch.manual_seed(0)
        sized = TransformerSettings(16, 4, 32, 1, 1, 0.0)
        module = TransformerSeq2Seq(11, 13, False, sized, Optimisation(warmup_steps=1))
        quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing"), False)
        losses, given = Losses(), DataLoader(batches, batch_size=None)  # type: ignore[arg-type]
        trainer = L.Trainer(max_steps=2, accelerator="cpu", callbacks=[losses], default_root_dir=tmp_path, **quiet)  # type: ignore[arg-type]
        [before] = trainer.validate(module, given, verbose=False)
        trainer.fit(module, given, given)
        assert all(p.isfinite().all() for p in module.parameters())
        found.append(SimpleNamespace(before=before, losses=losses.seen))
    with_it, without = found
    assert with_it.before == without.before
    assert with_it.losses[0] == without.losses[0]
    assert with_it.losses[1] == 0


@pytest.mark.gpu
@pytest.mark.parametrize("name", ALL)
def test_a_source_without_a_token_on_a_gpu(name: str) -> None:
    """Kernels are others there, and rows of several lengths are packed."""
    network = without_dropout(name, training=True).float()
    expected = network(sources(WITH_EMPTY), decoder_inputs())
    moved = network.to("cuda")
    for precision in (torch.float, torch.bfloat16):
        with torch.autocast("cuda", precision, enabled=precision == torch.bfloat16):
            logits = moved(sources(WITH_EMPTY).cuda(), decoder_inputs().cuda()).float()
        close = 1e-3 if precision == torch.float else 0.3
        torch.testing.assert_close(logits.cpu(), expected, rtol=close, atol=close)
        assert all(gradient.isfinite().all() for gradient in gradients(moved, logits))
