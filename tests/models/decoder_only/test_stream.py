"""What source and target as one stream mean, for every decoder-only network."""

import pytest
import torch
from torch import Tensor

from models.network import Network
from tests.support.toy_networks import (
    ALL,
    ONE_OF_EACH,
    PAD,
    TARGET_VOCABULARY,
    build,
    decoder_inputs,
    decoder_only_transformer,
    sources,
)

NAMES = [name for name in ALL if name.startswith("decoder_only")]
SHARED = [name for name in NAMES if name.endswith("shared")]
LENGTHS = (7, 4, 0, 6)


def nothing(rows: int, width: int = 0) -> Tensor:
    return torch.full((rows, width), PAD)


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_without_a_source_a_network_is_a_language_model(name: str, padded: bool) -> None:
    """No column of source is the same as a column of padding, at once and step by step."""
    network, text = build(name), decoder_inputs((6, 6, 6, 6))
    memory = network.encode(nothing(4), padded)
    whole = network.decode(memory, text)
    torch.testing.assert_close(whole, network.decode(network.encode(nothing(4, 3)), text), rtol=0, atol=1e-6)
    state, steps = network.start(memory), []
    for token in text.unbind(1):
        features, state = network.step(token, memory, state)
        steps.append(features)
    torch.testing.assert_close(torch.stack(steps, 1), whole, rtol=0, atol=1e-6)
    assert set(network.every_attention(nothing(4), text)) <= {"decoder", "decoder layer 1", "decoder layer 2"}
    assert network.attention(memory, text) == {}


@pytest.mark.parametrize("name", SHARED)
def test_a_source_is_read_like_the_beginning_of_a_text(name: str) -> None:
    network, source, target = build(name), sources(LENGTHS) % TARGET_VOCABULARY, decoder_inputs((5, 5, 5, 5))
    features = network.decode(network.encode(source), target)
    for row, length in enumerate(LENGTHS):
        text = torch.cat([source[row : row + 1, :length], target[row : row + 1]], 1)
        alone = network.decode(network.encode(nothing(1)), text)
        torch.testing.assert_close(features[row : row + 1], alone[:, length:], rtol=0, atol=1e-6)


def first_memory(network: Network, source: Tensor) -> Tensor:
    """What is kept of the source's first token, in the last layer."""
    return network.encode(source).cache[-1].value[:, :, 0]


@pytest.mark.parametrize(
    ("name", "sees"), [("decoder_only-causal-rotary", False), ("decoder_only-prefix-rotary", True)]
)
def test_a_prefix_is_seen_from_both_sides(name: str, sees: bool) -> None:
    network, source = build(name), sources((7, 7, 7, 7))
    changed = source.clone()
    changed[:, -1] = (changed[:, -1] - 2) % 8 + 3
    assert bool((first_memory(network, source) - first_memory(network, changed)).abs().max() > 1e-4) == sees


@pytest.mark.parametrize("name", [name for name in ONE_OF_EACH if name in NAMES])
def test_a_text_is_learned_by_heart(name: str) -> None:
    network = build(name, dtype=torch.float)  # in evaluation mode: without dropout
    text = decoder_inputs((9,), seed=5)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.03)
    for _ in range(100):
        logits = network(nothing(1), text[:, :-1])
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), text[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.1


def test_learned_positions_of_a_source_and_its_target_are_not_the_same_vectors() -> None:
    network = decoder_only_transformer(positions="learned", max_length=8)
    memory = network.encode(sources((5,)))
    network.decode(memory, decoder_inputs((3,)))
    with pytest.raises(ValueError, match="a stream of source and target has up to 9 tokens"):
        network.decode(memory, decoder_inputs((4,)))
