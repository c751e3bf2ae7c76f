"""Rows of different lengths: the same results as with packing."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from models.kernels.dropout import Dropout
from models.kernels.ragged import run_ragged
from models.recurrent import CELLS, Cell

NO_DROPOUT = Dropout(0.0)


def packed(rnn: nn.RNNBase, x: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
    output, state = rnn(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
    padded, _ = pad_packed_sequence(output, batch_first=True, total_length=x.shape[1])
    return (padded, *state) if isinstance(state, tuple) else (padded, state)


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    cell=st.sampled_from(["lstm", "gru", "rnn"]),
    layers=st.integers(1, 3),
    both=st.booleans(),
    beyond=st.integers(0, 2),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60)
def test_output_states_and_gradients_are_those_of_packing(
    lengths: list[int], cell: Cell, layers: int, both: bool, beyond: int, seed: int
) -> None:
    torch.manual_seed(seed)
    rnn = CELLS[cell](5, 4, layers, batch_first=True, bidirectional=both).double()
    n = torch.tensor(lengths)
    x = torch.randn(len(n), max(lengths) + beyond, 5, dtype=torch.double, requires_grad=True)
    expected = packed(rnn, x, n)
    output, states = run_ragged(rnn, x, n, NO_DROPOUT)
    weights = [torch.randn_like(e) for e in expected]

    def gradients(results: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        total = torch.stack([(r * w).sum() for r, w in zip(results, weights, strict=True)]).sum()
        return torch.autograd.grad(total, [x, *rnn.parameters()])

    for ours, theirs in zip((output, *states), expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    for ours, theirs in zip(gradients((output, *states)), gradients(expected), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("layers", [1, 2])
def test_dropout_acts_between_layers_only(layers: int) -> None:
    torch.manual_seed(0)
    x, lengths, dropout = torch.randn(4, 5, 3), torch.tensor([5, 3, 4, 5]), Dropout(0.5)
    rnn = nn.LSTM(3, 8, layers, batch_first=True)
    first, second = (run_ragged(rnn, x, lengths, dropout)[0] for _ in range(2))
    assert torch.equal(first, second) == (layers == 1)
