from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.lstm import LSTMNetwork
from models.recurrent import Cell, RecurrentState
from tests.support.toy_networks import PAD, decoder_inputs, lstm, randomised, sources

CELLS: tuple[Cell, ...] = ("lstm", "gru", "rnn")


def network(**settings: Any) -> LSTMNetwork:
    torch.manual_seed(0)
    return randomised(lstm(**settings).double().eval())


def cell_by_hand(ours: LSTMNetwork, layer: int) -> nn.RNNCellBase:
    """torch's one-step cell with the weights of a decoder layer."""
    kind = {"lstm": nn.LSTMCell, "gru": nn.GRUCell, "rnn": nn.RNNCell}[ours.settings.cell]
    weights = {n.removesuffix(f"_l{layer}"): p for n, p in ours.decoder.named_parameters() if n.endswith(f"_l{layer}")}
    by_hand = kind(weights["weight_ih"].shape[1], ours.settings.hidden, dtype=torch.float64)
    by_hand.load_state_dict(weights)
    return by_hand


def logits_by_hand(ours: LSTMNetwork, first: RecurrentState, row: int, tokens: list[int], context: Tensor) -> Tensor:
    """One sentence, one token and one layer after the other; (T, V) logits."""
    cells = [cell_by_hand(ours, layer) for layer in range(ours.settings.layers)]
    states = [(first.hidden[row : row + 1, n], first.cell[row : row + 1, n]) for n in range(len(cells))]
    logits = []
    for token in tokens:
        x = (ours.embedding.weight[token] * ours.settings.embedding**0.5).unsqueeze(0)
        if ours.settings.feed_context:
            x = torch.cat([x, context.unsqueeze(0)], -1)
        for n, cell in enumerate(cells):
            if isinstance(cell, nn.LSTMCell):
                states[n] = cell(x, states[n])
            else:
                states[n] = (cell(x, states[n][0]), states[n][1])
            x = states[n][0]
        features = torch.tanh(F.linear(x, ours.readout.weight, ours.readout.bias))
        logits.append(F.linear(features, ours.output.weight, ours.output.bias)[0])
    return torch.stack(logits)


@pytest.mark.parametrize("feed_context", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_the_network_equals_a_loop_over_torch_cells(cell: Cell, layers: int, feed_context: bool) -> None:
    ours = network(cell=cell, layers=layers, feed_context=feed_context)
    source, decoder_input = sources(), decoder_inputs()
    logits = ours(source, decoder_input)
    encoder, bridge, half = ours.encoder, ours.bridge, ours.settings.hidden // 2
    for row in range(4):
        unpadded = source[row][source[row] != PAD].unsqueeze(0)
        _, last = encoder.rnn(encoder.embedding(unpadded))
        hidden, memory_cell = last if cell == "lstm" else (last, last)
        s, c = (torch.cat([x[0::2, 0], x[1::2, 0]], -1) for x in (hidden, memory_cell))  # (L, H)
        assert s.shape == (layers, 2 * half)
        first = RecurrentState(torch.tanh(bridge.to_hidden(s)).unsqueeze(0), bridge.to_cell(c).unsqueeze(0))
        tokens = decoder_input[row][decoder_input[row] != PAD].tolist()
        expected = logits_by_hand(ours, first, 0, tokens, context=first.hidden[0, -1])
        torch.testing.assert_close(logits[row, : len(tokens)], expected, rtol=0, atol=1e-12)


def test_a_reversed_source_is_read_last_word_first_whatever_its_padding() -> None:
    ours, reversed_ours = network(), network(reversed_source=True)
    reversed_ours.load_state_dict(ours.state_dict())
    forward = sources((5, 2, 3))
    backward = torch.full_like(forward, PAD)
    for row, length in enumerate((5, 2, 3)):
        backward[row, :length] = forward[row, :length].flip(0)
    torch.testing.assert_close(reversed_ours.encode(forward), ours.encode(backward))
    assert not torch.equal(reversed_ours.encode(forward).hidden, ours.encode(forward).hidden)
