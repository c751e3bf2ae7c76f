import math

import pytest
import torch

from datamodules import batch as datamodules_batch
from models.loss import IGNORE, evaluate, scored_logits, smoothed_cross_entropy
from tests.support.toy_networks import ALL, PAD, TARGET_VOCABULARY, build, decoder_inputs, sources


def logits_and_labels(n: int = 6, vocabulary: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return 2 * torch.randn(n, vocabulary, generator=generator), torch.randint(vocabulary, (n,), generator=generator)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
def test_smoothed_cross_entropy_is_the_printed_sum(smoothing: float) -> None:
    logits, labels = logits_and_labels()
    total = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        partition = sum(math.exp(x) for x in row)
        for v, x in enumerate(row):
            q = (1 - smoothing) * (v == label) + smoothing / len(row)
            total -= q * math.log(math.exp(x) / partition)
    assert smoothed_cross_entropy(logits, labels, smoothing).item() == pytest.approx(total / len(labels), rel=1e-5)


def test_half_precision_logits_are_summed_in_single_precision() -> None:
    logits, labels = logits_and_labels()
    assert smoothed_cross_entropy(logits.bfloat16(), labels, 0.1).dtype == torch.float32


def test_uniform_logits_cost_the_logarithm_of_the_vocabulary() -> None:
    for smoothing in (0.0, 0.1):
        loss = smoothed_cross_entropy(torch.zeros(3, 50), torch.tensor([0, 7, 49]), smoothing)
        assert loss.item() == pytest.approx(math.log(50))


def test_evaluate_has_all_measures() -> None:
    logits = torch.tensor([[9.0, 0, 0], [0, 9.0, 0], [0, 0, 9.0], [9.0, 0, 0]], requires_grad=True)
    loss = evaluate(logits, torch.tensor([0, 1, 2, 1]), 0.1)
    assert loss.accuracy.item() == 0.75
    assert loss.tokens == 4
    right, wrong = math.log1p(2 * math.exp(-9)), 9 + math.log1p(2 * math.exp(-9))
    assert loss.nll.item() == pytest.approx((3 * right + wrong) / 4, rel=1e-5)
    assert loss.smoothed.item() == pytest.approx(loss.nll.item() * 0.9 + 0.1 * (right + 6), rel=1e-4)
    assert not loss.smoothed.requires_grad


@pytest.mark.parametrize("name", ALL)
def test_scored_logits_are_the_scored_rows_of_forward(name: str) -> None:
    network, source, decoder_input = build(name), sources(), decoder_inputs()
    labels = decoder_input.masked_fill(decoder_input == PAD, IGNORE)
    labels[0, 0] = labels[2, 3] = IGNORE
    logits, kept = scored_logits(network, source, decoder_input, labels)
    assert logits.shape == (len(kept), TARGET_VOCABULARY)
    assert len(kept) == (labels != IGNORE).sum() == 13
    whole = network(source, decoder_input)
    row = 0
    for b in range(labels.shape[0]):
        for t in range(labels.shape[1]):
            if labels[b, t] != IGNORE:
                torch.testing.assert_close(logits[row], whole[b, t], rtol=0, atol=1e-6)
                assert kept[row] == labels[b, t]
                row += 1


def test_positions_that_are_not_scored_do_not_count() -> None:
    network, source, decoder_input = build("lstm-lstm-1-layers"), sources(), decoder_inputs()
    labels = decoder_input.masked_fill(decoder_input == PAD, IGNORE)
    loss = evaluate(*scored_logits(network, source, decoder_input, labels), 0.1)
    wide = torch.cat([decoder_input, torch.full((4, 9), PAD)], 1)
    wide_labels = torch.cat([labels, torch.full((4, 9), IGNORE)], 1)
    again = evaluate(*scored_logits(network, source, wide, wide_labels), 0.1)
    assert again.tokens == loss.tokens == 15
    torch.testing.assert_close(again[:3], loss[:3])
    one = labels.clone()
    one[1:] = IGNORE
    alone = evaluate(*scored_logits(network, source, decoder_input, one), 0.1)
    expected = torch.log_softmax(network(source, decoder_input)[0].float(), -1)[range(3), labels[0, :3]]
    assert alone.tokens == 3
    torch.testing.assert_close(alone.nll, -expected.mean())


def test_labels_to_ignore_are_those_of_the_batches() -> None:
    assert datamodules_batch.IGNORE == IGNORE
