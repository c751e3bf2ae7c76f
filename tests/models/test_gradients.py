"""Gradients of every network against difference quotients, in double precision."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from tests.support.toy_networks import ALL, build, sources


def check(compute: Callable[[], Tensor], inputs: Sequence[Tensor], step: float = 1e-6) -> None:
    """Compare the slope of a random sum of the result in a random direction of all inputs: gradient and difference.

    One backward pass and two forward passes for all inputs together; `torch.autograd.gradcheck` needs one per input.
    """
    weights = torch.randn_like(compute())
    directions = [torch.randn_like(x) for x in inputs]
    gradients = torch.autograd.grad((weights * compute()).sum(), inputs)
    by_gradient = float(sum((g * d).sum() for g, d in zip(gradients, directions, strict=True)))

    @torch.no_grad()
    def at(distance: float) -> Tensor:
        torch._foreach_add_(list(inputs), directions, alpha=distance)
        result = (weights * compute()).sum()
        torch._foreach_add_(list(inputs), directions, alpha=-distance)
        return result

    assert by_gradient == pytest.approx(float(at(step) - at(-step)) / (2 * step), rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("name", ALL)
def test_a_whole_network(name: str) -> None:
    """Sources have several lengths, one is empty; no target is padded, because padding has no gradient."""
    network, source = build(name), sources((5, 0, 1, 3))
    decoder_input = torch.randint(1, 13, (4, 3), generator=torch.Generator().manual_seed(0))
    check(lambda: network(source, decoder_input), list(network.parameters()))


@pytest.mark.parametrize(
    "name", ["lstm-gru-2-layers-feed-context", "bahdanau-parallel-2-layers", "transformer-rotary-pre"]
)
def test_a_whole_network_with_dropout(name: str) -> None:
    network, source = build(name).train(), sources((5, 2, 3))
    decoder_input = torch.randint(1, 13, (3, 3), generator=torch.Generator().manual_seed(0))
    plain = network(source, decoder_input)

    def seeded() -> Tensor:
        torch.manual_seed(1)
        logits: Tensor = network(source, decoder_input)
        return logits

    assert not torch.equal(seeded(), plain)
    check(seeded, list(network.parameters()))


@pytest.mark.parametrize("name", [name for name in ALL if name.startswith(("bahdanau", "lstm-lstm-2"))])
def test_one_token_at_a_time(name: str) -> None:
    """T = 1 has code of its own in the attention network."""
    network, source = build(name), sources((4, 0, 2))
    tokens = torch.tensor([[1, 5], [1, 7], [1, 3]])

    def stepwise() -> Tensor:
        memory = network.encode(source)
        state = network.start(memory)
        features = []
        for token in tokens.unbind(1):
            each, state = network.step(token, memory, state)
            features.append(each)
        return network.project(torch.stack(features, 1))

    check(stepwise, list(network.parameters()))
