import math

import pytest
import torch

from datamodules.batch import IGNORE as IGNORED_LABEL
from models.loss import IGNORE, evaluate, scored_logits, smoothed_cross_entropy
from tests.support.toy_networks import ONE_OF_EACH, PAD, TARGET_VOCABULARY, build, decoder_inputs, sources


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
def test_smoothed_cross_entropy_is_the_printed_sum(smoothing: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits, labels = 2 * torch.randn(6, 5, generator=generator), torch.randint(5, (6,), generator=generator)
    total = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        partition = sum(math.exp(x) for x in row)
        for v, x in enumerate(row):
            q = (1 - smoothing) * (v == label) + smoothing / len(row)
            total -= q * math.log(math.exp(x) / partition)
    assert smoothed_cross_entropy(logits, labels, smoothing).item() == pytest.approx(total / len(labels), rel=1e-5)
    assert smoothed_cross_entropy(logits.bfloat16(), labels, smoothing).dtype == torch.float32


def test_evaluate_has_all_metrics() -> None:
    logits = torch.tensor([[9.0, 0, 0], [0, 9.0, 0], [0, 0, 9.0], [9.0, 0, 0]], requires_grad=True)
    loss = evaluate(logits, torch.tensor([0, 1, 2, 1]), 0.1)
    assert loss.accuracy.item() == 0.75
    assert loss.tokens == 4
    right, wrong = math.log1p(2 * math.exp(-9)), 9 + math.log1p(2 * math.exp(-9))
    assert loss.nll.item() == pytest.approx((3 * right + wrong) / 4, rel=1e-5)
    assert loss.smoothed.item() == pytest.approx(loss.nll.item() * 0.9 + 0.1 * (right + 6), rel=1e-4)
    assert not loss.smoothed.requires_grad


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_scored_logits_are_the_scored_rows_of_forward(name: str) -> None:
    network, source, decoder_input = build(name), sources(), decoder_inputs()
    labels = decoder_input.masked_fill(decoder_input == PAD, IGNORE)
    labels[0, 0] = labels[2, 3] = IGNORE
    logits, kept = scored_logits(network, source, decoder_input, labels)
    scored = [(b, t) for b in range(4) for t in range(6) if labels[b, t] != IGNORE]
    assert logits.shape == (len(scored), TARGET_VOCABULARY) == (13, TARGET_VOCABULARY)
    whole = network(source, decoder_input)
    for row, (b, t) in enumerate(scored):
        torch.testing.assert_close(logits[row], whole[b, t], rtol=0, atol=1e-6)
        assert kept[row] == labels[b, t]


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_batch_without_scored_positions_has_loss_and_gradients_zero(name: str) -> None:
    network, decoder_input = build(name).train(), decoder_inputs()
    logits, labels = scored_logits(network, sources(), decoder_input, torch.full_like(decoder_input, IGNORE))
    assert logits.shape[0] == len(labels) == 0
    loss = smoothed_cross_entropy(logits, labels, 0.1)
    assert loss.item() == 0
    loss.backward()
    assert all(p.grad is not None and p.grad.eq(0).all() for p in network.parameters())
    assert [float(value) for value in evaluate(logits, labels, 0.1)] == [0, 0, 0, 0]


def test_ignored_labels_are_those_of_the_batches() -> None:
    assert IGNORED_LABEL == IGNORE
