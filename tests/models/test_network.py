"""The interface that search and training rely on, for every network and variant."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from models.network import Network, select_rows
from tests.support.toy_networks import ALL, BOS, PAD, TARGET_VOCABULARY, build, decoder_inputs, sources

every_network = pytest.mark.parametrize("name", ALL)


def close(name: str, actual: Tensor, expected: Tensor) -> None:
    # Networks are in double precision here, but additive attention takes its softmax in single precision.
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-6 if name.startswith("bahdanau") else 1e-12)


@every_network
def test_step_by_step_equals_teacher_forced(name: str) -> None:
    network, decoder_input = build(name), decoder_inputs()
    memory = network.encode(sources())
    whole = network.decode(memory, decoder_input)
    state, steps = network.start(memory), []
    for token in decoder_input.unbind(1):
        features, state = network.step(token, memory, state)
        steps.append(features)
    close(name, torch.stack(steps, 1), whole)
    assert whole.std() > 0.01


@every_network
def test_forward_is_encode_decode_project(name: str) -> None:
    network, source, decoder_input = build(name), sources(), decoder_inputs()
    logits = network(source, decoder_input)
    assert logits.shape == (*decoder_input.shape, TARGET_VOCABULARY)
    features = network.decode(network.encode(source), decoder_input)
    close(name, network.project(features[:, 1]), logits[:, 1])


@every_network
def test_no_position_sees_later_decoder_input(name: str) -> None:
    network, source = build(name), sources()
    decoder_input = decoder_inputs((6, 6, 6, 6))
    logits = network(source, decoder_input)
    for t in range(5):
        changed = decoder_input.clone()
        changed[:, t + 1 :] = (changed[:, t + 1 :] - 2) % (TARGET_VOCABULARY - 3) + 3
        assert not (changed[:, t + 1 :] == decoder_input[:, t + 1 :]).any()
        other = network(source, changed)
        close(name, other[:, : t + 1], logits[:, : t + 1])
        assert (other[:, t + 1] - logits[:, t + 1]).abs().max() > 1e-4


@every_network
def test_source_padding_changes_nothing(name: str) -> None:
    network, source, decoder_input = build(name), sources(), decoder_inputs()
    wider = torch.cat([source, torch.full((4, 5), PAD)], 1)
    close(name, network(wider, decoder_input), network(source, decoder_input))


@every_network
def test_target_padding_changes_nothing(name: str) -> None:
    network, source, decoder_input = build(name), sources(), decoder_inputs()
    wider = torch.cat([decoder_input, torch.full((4, 5), PAD)], 1)
    close(name, network(source, wider)[:, : decoder_input.shape[1]], network(source, decoder_input))


@every_network
def test_a_sentence_does_not_depend_on_its_batch(name: str) -> None:
    network, source, decoder_input = build(name), sources(), decoder_inputs()
    logits = network(source, decoder_input)
    for row in range(len(source)):
        S, T = int((source[row] != PAD).sum()), int((decoder_input[row] != PAD).sum())
        close(name, network(source[row : row + 1, :S], decoder_input[row : row + 1, :T])[0], logits[row, :T])
    order = torch.tensor([2, 0, 3, 1])
    close(name, network(source[order], decoder_input[order]), logits[order])


@every_network
def test_the_last_source_token_counts(name: str) -> None:
    network, source, decoder_input = build(name), sources(), decoder_inputs()
    changed = source.clone()
    lengths = (source != PAD).sum(1, keepdim=True)
    changed.scatter_(1, lengths - 1, (source.gather(1, lengths - 1) - 2) % 8 + 3)
    difference = (network(changed, decoder_input) - network(source, decoder_input)).abs().amax(2)  # (B, T)
    assert (difference[:, 0] > 1e-4).all()


@every_network
def test_rows_of_memory_and_state_can_be_picked(name: str) -> None:
    network, source = build(name), sources()
    memory = network.encode(source)
    token = torch.full((4,), BOS)
    _, state = network.step(token, memory, network.start(memory))
    rows = torch.tensor([3, 1, 1])
    next_token = torch.tensor([5, 6, 7])
    features, _ = network.step(next_token, select_rows(memory, rows), select_rows(state, rows))
    for row, (source_row, following) in enumerate(zip(rows.tolist(), next_token.tolist(), strict=True)):
        expected = network.decode(network.encode(source[[source_row]]), torch.tensor([[BOS, following]]))
        close(name, features[row], expected[0, 1])


@every_network
def test_nothing_is_kept_between_calls(name: str) -> None:
    network, source, decoder_input = build(name), sources(), decoder_inputs()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    first = network(source, decoder_input)
    memory = network.encode(sources(seed=9))
    network.step(torch.full((4,), BOS), memory, network.start(memory))
    torch.testing.assert_close(network(source, decoder_input), first, rtol=0, atol=0)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@every_network
def test_attention_rows_add_up_to_one_and_leave_padding_out(name: str) -> None:
    network, source, decoder_input = build(name), sources(), decoder_inputs()
    maps = network.attention(network.encode(source), decoder_input)
    assert (maps == {}) == name.startswith("lstm")
    for weights in maps.values():
        assert (weights.shape[0], *weights.shape[2:]) == (*decoder_input.shape, source.shape[1])
        close(name, weights.sum(-1), torch.ones(weights.shape[:-1], dtype=weights.dtype))
        padded = (source == PAD)[:, None, None, :].expand_as(weights)
        assert (weights[padded] == 0).all()
        assert (weights[~padded] > 0).all()


@every_network
def test_every_attention_has_rows_that_add_up_to_one_over_what_may_be_seen(name: str) -> None:
    network, source, decoder_input = build(name), sources(), decoder_inputs()
    maps = network.every_attention(source, decoder_input)
    B, S, T = *source.shape, decoder_input.shape[1]
    shapes = {"encoder": (S, S), "decoder": (T, T), "cross": (T, S), "additive": (T, S)}
    for map_name, weights in maps.items():
        kind = map_name.split()[0]
        assert (weights.shape[0], *weights.shape[2:]) == (B, *shapes[kind])
        close(name, weights.sum(-1), torch.ones(weights.shape[:-1], dtype=weights.dtype))
        if kind == "decoder":
            seen = torch.ones(T, T, dtype=torch.bool).tril().expand_as(weights)
        else:
            seen = (source != PAD)[:, None, None, :].expand_as(weights)
        assert (weights[~seen] == 0).all()
        assert (weights[seen] > 0).all()
    assert {kind.split()[0] for kind in maps} == kinds(name)


def kinds(name: str) -> set[str]:
    return {"lstm": set(), "bahdanau": {"additive"}, "transformer": {"encoder", "decoder", "cross"}}[name.split("-")[0]]


@every_network
def test_attention_to_the_source_is_part_of_every_attention(name: str) -> None:
    network, source, decoder_input = build(name), sources(), decoder_inputs()
    part, whole = (
        network.attention(network.encode(source), decoder_input),
        network.every_attention(source, decoder_input),
    )
    assert set(part) == {map_name for map_name in whole if map_name.split()[0] in ("cross", "additive")}
    for map_name, weights in part.items():
        close(name, whole[map_name], weights)


@every_network
def test_every_attention_of_a_sentence_does_not_depend_on_its_batch(name: str) -> None:
    network, source, decoder_input = build(name), sources(), decoder_inputs()
    together = network.every_attention(source, decoder_input)
    S, T = int((source[1] != PAD).sum()), int((decoder_input[1] != PAD).sum())
    for map_name, weights in network.every_attention(source[1:2, :S], decoder_input[1:2, :T]).items():
        queries, keys = weights.shape[2:]
        close(name, weights[0], together[map_name][1, :, :queries, :keys])


def test_a_network_without_every_method_cannot_be_made() -> None:
    class Half(Network):
        def encode(self, source: Tensor) -> Tensor:
            return source

    with pytest.raises(TypeError, match="abstract"):
        Half()  # type: ignore[abstract]


class Pair(NamedTuple):
    left: Tensor
    right: tuple[Tensor, ...]


def test_select_rows_keeps_the_shape_of_the_tree() -> None:
    tree = Pair(torch.arange(4), (torch.arange(8).view(4, 2), torch.arange(4) * 10))
    picked = select_rows(tree, torch.tensor([3, 0, 0]))
    assert isinstance(picked, Pair)
    assert picked.left.tolist() == [3, 0, 0]
    assert picked.right[0].tolist() == [[6, 7], [0, 1], [0, 1]]
    assert picked.right[1].tolist() == [30, 0, 0]
    assert select_rows((), torch.tensor([1])) == ()
    assert len(select_rows(torch.arange(3), torch.tensor([], dtype=torch.long))) == 0
