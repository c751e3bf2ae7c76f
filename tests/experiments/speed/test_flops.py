"""Counted operations against the formulas of the textbooks."""

import pytest
import torch

from experiments.speed import flops
from experiments.speed.flops import count
from models.bahdanau import BahdanauNetwork, BahdanauSettings
from models.embedding import Vocabularies
from models.lstm import LSTMNetwork, LSTMSettings
from models.network import Network
from models.transformer import TransformerNetwork, TransformerSettings

S, T, V, E, H, D, FF = 10, 12, 100, 16, 24, 32, 64
ENCODER = 2 * 8 * (H // 2) * (E + H // 2) * S
BRIDGE = 2 * 2 * H * H


def lstm() -> tuple[Network, int, int]:
    forward = ENCODER + BRIDGE + T * (8 * H * (E + H) + 2 * H * E + 2 * E * V)
    return LSTMNetwork(Vocabularies(V, V), LSTMSettings(embedding=E, hidden=H)), forward, 2 * E * V * T


def bahdanau() -> tuple[Network, int, int]:
    attention = 2 * H * H + 2 * S * H + 2 * S * H  # W_a s, the scores, the context
    step = 8 * H * (E + H + H) + attention + 2 * (2 * H + E) * E + 2 * E * V
    forward = ENCODER + BRIDGE + 2 * H * H * S + T * step
    return BahdanauNetwork(Vocabularies(V, V), BahdanauSettings(embedding=E, hidden=H)), forward, 2 * E * V * T


def transformer() -> tuple[Network, int, int]:
    encoder = S * (8 * D * D + 4 * D * FF) + 4 * S * S * D
    own, to_source = T * 8 * D * D + 4 * T * T * D, T * 4 * D * D + S * 4 * D * D + 4 * T * S * D
    decoder = own + to_source + T * 4 * D * FF
    settings = TransformerSettings(width=D, heads=4, feed_forward=FF, encoder_layers=2, decoder_layers=3)
    return TransformerNetwork(Vocabularies(V, V), settings), 2 * encoder + 3 * decoder + 2 * D * V * T, 2 * D * V * T


@pytest.mark.parametrize("case", [lstm, bahdanau, transformer])
def test_a_forward_pass_is_the_formula_and_a_step_three_times_that(case) -> None:  # type: ignore[no-untyped-def]
    network, forward, vocabulary = case()
    counted = count(network, S, T)
    assert counted.forward == forward
    assert counted.vocabulary == 3 * vocabulary
    # scores are a matrix times a vector; one of its two gradients is an outer product, which is not counted
    assert counted.forward_backward == pytest.approx(3 * forward, rel=0.01)


@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_other_cells_have_three_gates_or_one_where_the_lstm_has_four(cell: str) -> None:
    def recurrence(kind: str, gates: int) -> float:
        counted = count(LSTMNetwork(Vocabularies(V, V), LSTMSettings(embedding=E, hidden=H, cell=kind)), S, T)  # type: ignore[arg-type]
        bridge = BRIDGE if kind == "lstm" else BRIDGE // 2
        return (counted.forward - bridge - T * (2 * H * E + 2 * E * V)) / gates

    assert recurrence(cell, 3 if cell == "gru" else 1) == recurrence("lstm", 4)


def test_the_peak_is_that_of_the_fastest_block_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flops, "PEAK_SIZES", {"cpu": (4, 8)})
    blocks = iter([[2.0, 1.0, 4.0], [64.0, 32.0]])
    monkeypatch.setattr(flops, "alternate", lambda *_: {"product": next(blocks)})
    assert flops.matmul_peak("32-true", torch.device("cpu")) == 2 * 4**3


def test_counting_leaves_the_network_as_it_was() -> None:
    network, _, _ = lstm()
    network.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    count(network, 3, 4)
    assert not network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
