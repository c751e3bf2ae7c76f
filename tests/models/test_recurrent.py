import math

import pytest
import torch
from torch import nn

from models.recurrent import Cell, RecurrentEncoder, RecurrentSettings, recurrent
from tests.support.toy_networks import PAD, SOURCE_VOCABULARY, randomised, sources

CELLS: tuple[Cell, ...] = ("lstm", "gru", "rnn")
H = 64


def stack(cell: Cell, *, layers: int = 2, bidirectional: bool = True, **settings: object) -> nn.RNNBase:
    torch.manual_seed(0)
    return recurrent(cell, 10, RecurrentSettings(hidden=2 * H, **settings), layers, bidirectional=bidirectional)  # type: ignore[arg-type]


def bias_sums(rnn: nn.RNNBase) -> list[torch.Tensor]:
    """b_ih + b_hh of each layer and direction, one row a gate."""
    parameters = dict(rnn.named_parameters())
    return [
        (parameters[name] + parameters[name.replace("_ih_", "_hh_")]).detach().view(-1, rnn.hidden_size)
        for name in parameters
        if name.startswith("bias_ih")
    ]


@pytest.mark.parametrize("forget_bias", [1.0, 0.0, 2.5])
def test_the_forget_gate_starts_at_its_bias_and_all_others_at_zero(forget_bias: float) -> None:
    sums = bias_sums(stack("lstm", forget_bias=forget_bias))
    assert len(sums) == 4
    for i, f, g, o in sums:
        assert (f == forget_bias).all()
        assert all((gate == 0).all() for gate in (i, g, o))
    assert all((b == 0).all() for cell in ("gru", "rnn") for b in bias_sums(stack(cell, forget_bias=forget_bias)))


@pytest.mark.parametrize("length", [10, 1000])
def test_chrono_biases_of_an_lstm(length: int) -> None:
    for i, f, g, o in bias_sums(stack("lstm", chrono_length=length)):
        assert 0 <= f.min() < math.log(1 + 0.2 * (length - 2))
        assert math.log(0.8 * (length - 1)) < f.max() <= math.log(length - 1) + 1e-6
        assert abs(f.exp().mean().item() - length / 2) < 5 * (length - 2) / math.sqrt(12 * H)
        assert torch.equal(i, -f)
        assert (g == 0).all()
        assert (o == 0).all()
    assert all(b.isfinite().all() for short in (1, 2, 3) for b in bias_sums(stack("lstm", chrono_length=short)))


@torch.no_grad()
def test_chrono_biases_are_those_of_the_gates_that_keep() -> None:
    """With all weights zero a cell of 1 decays to the gate in one step, and 1 / (1 - gate) is its memory span."""
    for cell in ("lstm", "gru"):
        rnn = stack(cell, layers=1, bidirectional=False, chrono_length=50)
        for name, parameter in rnn.named_parameters():
            if "weight" in name:
                parameter.zero_()
        ones = torch.ones(1, 1, 2 * H)
        _, state = rnn(torch.zeros(1, 1, 10), (ones, ones) if cell == "lstm" else ones)
        kept = (state[1] if cell == "lstm" else state).flatten()
        spans = 1 / (1 - kept)
        assert 2 - 1e-4 <= spans.min() < 6
        assert 45 < spans.max() <= 50 + 1e-2


@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_weights_are_orthogonal_gate_by_gate(cell: Cell) -> None:
    rnn = stack(cell)
    for name, parameter in rnn.named_parameters():
        if name.startswith("weight_hh"):
            gates = parameter.detach().view(-1, H, H)
            assert len(gates) == {"lstm": 4, "gru": 3, "rnn": 1}[cell]
            torch.testing.assert_close(gates @ gates.mT, torch.eye(H).expand_as(gates), rtol=0, atol=1e-5)
        if name.startswith("weight_ih"):
            bound = math.sqrt(6 / sum(parameter.shape))
            assert 0.9 * bound < parameter.abs().max() <= bound


def test_an_odd_width_cannot_be_halved() -> None:
    with pytest.raises(ValueError, match=r"network\.hidden is 7.*even"):
        RecurrentSettings(hidden=7)
    assert RecurrentSettings(hidden=7, bidirectional=False).hidden == 7


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_the_encoder_equals_torch_on_each_source_without_padding(cell: Cell, layers: int, bidirectional: bool) -> None:
    settings = RecurrentSettings(embedding=5, hidden=8, layers=layers, bidirectional=bidirectional)
    table = nn.Embedding(SOURCE_VOCABULARY, 5, padding_idx=PAD)
    encoder = randomised(RecurrentEncoder(table, cell, settings).double().eval())
    source = sources()
    encoded = encoder(source)
    assert torch.equal(encoded.is_padding, source == PAD)
    for row, length in enumerate((source != PAD).sum(1).tolist()):
        output, state = encoder.rnn(table(source[row : row + 1, :length]))
        torch.testing.assert_close(encoded.annotations[row, :length], output[0])
        assert (encoded.annotations[row, length:] == 0).all()
        hidden, memory_cell = state if cell == "lstm" else (state, state)
        for layer in range(layers):
            directions = range(2 * layer, 2 * layer + 2) if bidirectional else (layer,)
            torch.testing.assert_close(encoded.hidden[row, layer], torch.cat([hidden[d, 0] for d in directions]))
            torch.testing.assert_close(encoded.cell[row, layer], torch.cat([memory_cell[d, 0] for d in directions]))
        half = 4 if bidirectional else 8
        torch.testing.assert_close(encoded.hidden[row, -1, :half], output[0, -1, :half])
        if bidirectional:
            torch.testing.assert_close(encoded.hidden[row, -1, half:], output[0, 0, half:])
