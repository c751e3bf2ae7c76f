"""Where encoder-only networks read an answer, and that they see both sides of it."""

import pytest
import torch

from models.encoder_only.network import EncoderOnlyNetwork
from tests.support.toy_networks import ALL, BOS, PAD, SOURCE_VOCABULARY, build, sources

NAMES = [name for name in ALL if name.startswith("encoder_only")]
GAP, PLACE, LENGTH = SOURCE_VOCABULARY - 1, 3, 7


def network_of(name: str) -> EncoderOnlyNetwork:
    network = build(name)
    assert isinstance(network, EncoderOnlyNetwork)
    return network


@pytest.mark.parametrize("name", NAMES)
def test_a_gap_is_answered_from_the_state_at_the_gap_and_a_sentence_from_the_mean(name: str) -> None:
    network, source = network_of(name), sources((LENGTH, 5, 4, 6)).clamp(max=GAP - 1)
    source[:, PLACE] = GAP
    memory = network.encode(source)
    gap, whole = network.decode(memory, torch.tensor([[GAP, BOS]] * 4)).unbind(1)
    assert torch.equal(gap, memory.states[:, PLACE])
    words = (source != PAD).unsqueeze(2)
    torch.testing.assert_close(whole, (memory.states * words).sum(1) / words.sum(1))


@pytest.mark.parametrize("name", NAMES)
def test_every_word_on_either_side_of_a_gap_counts(name: str) -> None:
    network, source = network_of(name), sources((LENGTH, LENGTH)).clamp(max=GAP - 1)
    source[:, PLACE] = GAP
    asked = torch.full((2, 1), GAP)
    answer = network(source, asked)
    for place in {*range(LENGTH)} - {PLACE}:
        changed = source.clone()
        changed[:, place] = (changed[:, place] - 2) % (GAP - 3) + 3
        assert (network(changed, asked) - answer).abs().amax(2).min() > 1e-6
