import numpy as np
import torch

from datamodules.language.data import as_batch
from experiments.language.context import by_context, cut, shuffled, token_losses, turned
from models.loss import scored_logits, smoothed_cross_entropy
from tests.support.toy_networks import build

TOKENS = np.random.default_rng(0).integers(3, 13, (70, 33))
NAMES = ("decoder_only-lstm-shared", "decoder_only-causal-shared")


def test_a_changed_context_keeps_what_is_near_and_what_is_predicted() -> None:
    for change in (shuffled, turned):
        changed = change(TOKENS, 8)
        assert np.array_equal(changed[:, -9:], TOKENS[:, -9:])
        assert np.array_equal(np.sort(changed[:, :-9]), np.sort(TOKENS[:, :-9]))
        assert not np.array_equal(changed, TOKENS)
        assert np.array_equal(change(TOKENS, 32), TOKENS)
    assert np.array_equal(turned(TOKENS, 8)[:, 0], TOKENS[:, -10])
    assert np.array_equal(shuffled(TOKENS, 8), shuffled(TOKENS, 8))
    assert np.array_equal(cut(TOKENS, 8), TOKENS[:, -9:])


def test_token_losses_are_the_loss_of_training() -> None:
    for name in NAMES:
        network = build(name, dtype=torch.float)
        losses, right = token_losses(network, TOKENS)
        batch = as_batch(TOKENS)
        logits, labels = scored_logits(network, *batch[:3])
        np.testing.assert_allclose(
            losses.mean(), float(smoothed_cross_entropy(logits, labels, 0.0).detach()), rtol=1e-5
        )
        assert np.array_equal(right.ravel(), (logits.argmax(-1) == labels).numpy())
        last, _ = token_losses(network, TOKENS, last=True)
        np.testing.assert_allclose(last, losses[:, -1:], rtol=1e-5)


def test_gains_are_differences_of_losses_on_the_same_tokens() -> None:
    rows = {(m.metric, m.x_name, m.x): m.value for m in by_context(build(NAMES[0], dtype=torch.float), TOKENS, 8)}
    whole = rows["loss", "context, cut", 32]
    assert {x for metric, name, x in rows if (metric, name) == ("loss", "context, cut")} == {8, 16, 32}
    assert {x for metric, name, x in rows if (metric, name) == ("loss", "context, reversed beyond")} == {8, 16}
    for (metric, name, x), value in rows.items():
        if metric == "context_gain":
            np.testing.assert_allclose(value, rows["loss", name, x] - whole, atol=1e-6)
    assert rows["context_gain", "context, cut", 32] == 0
    assert rows["context_gain", "context, cut", 8] != 0
