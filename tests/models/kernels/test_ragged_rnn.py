"""Rows of different lengths, on a CPU and as an accelerator reads them: the same results as with packing."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from models.kernels.dropout import Dropout
from models.kernels.padded_rnn import run_layers
from models.kernels.ragged_rnn import States, run_ragged
from models.recurrent import CELLS, Cell

NO_DROPOUT = Dropout(0.0)


def is_padding(lengths: Tensor, longest: int) -> Tensor:
    return torch.arange(longest, device=lengths.device) >= lengths.unsqueeze(1)


def run_over_padding(rnn: nn.RNNBase, x: Tensor, lengths: Tensor, between: Dropout) -> tuple[Tensor, States]:
    return run_layers(rnn, x, None, is_padding(lengths, x.shape[1]), between)


BOTH_WAYS = pytest.mark.parametrize("run", [run_ragged, run_over_padding])


def packed(rnn: nn.RNNBase, x: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
    output, state = rnn(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
    padded, _ = pad_packed_sequence(output, batch_first=True, total_length=x.shape[1])
    return (padded, *state) if isinstance(state, tuple) else (padded, state)


@BOTH_WAYS
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
    run: Any, lengths: list[int], cell: Cell, layers: int, both: bool, beyond: int, seed: int
) -> None:
    torch.manual_seed(seed)
    rnn = CELLS[cell](5, 4, layers, batch_first=True, bidirectional=both).double()
    n = torch.tensor(lengths)
    x = torch.randn(len(n), max(lengths) + beyond, 5, dtype=torch.double, requires_grad=True)
    expected = packed(rnn, x, n)
    output, states = run(rnn, x, n, NO_DROPOUT)
    weights = [torch.randn_like(e) for e in expected]

    def gradients(results: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        total = torch.stack([(r * w).sum() for r, w in zip(results, weights, strict=True)]).sum()
        return torch.autograd.grad(total, [x, *rnn.parameters()])

    for ours, theirs in zip((output, *states), expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    for ours, theirs in zip(gradients((output, *states)), gradients(expected), strict=True):
        torch.testing.assert_close(ours, theirs)


@BOTH_WAYS
@pytest.mark.parametrize("layers", [1, 2])
def test_dropout_acts_between_layers_only(layers: int, run: Any) -> None:
    torch.manual_seed(0)
    x, lengths, dropout = torch.randn(4, 5, 3), torch.tensor([5, 3, 4, 5]), Dropout(0.5)
    rnn = nn.LSTM(3, 8, layers, batch_first=True)
    first, second = (run(rnn, x, lengths, dropout)[0] for _ in range(2))
    assert torch.equal(first, second) == (layers == 1)


@pytest.mark.parametrize("cell", CELLS)
def test_over_padding_an_empty_row_ends_in_zeros_and_a_state_goes_on(cell: Cell) -> None:
    rnn = CELLS[cell](5, 4, 2, batch_first=True).double()
    x, lengths = torch.randn(3, 6, 5, dtype=torch.double), torch.tensor([6, 0, 2])
    output, ends = run_layers(rnn, x, None, is_padding(lengths, 6), NO_DROPOUT)
    assert not any(found.any() for found in (output[1], *(end[:, 1] for end in ends)))
    _, half = run_layers(rnn, x[:1, :3], None, None, NO_DROPOUT)
    rest, end = run_layers(rnn, x[:1, 3:], half, None, NO_DROPOUT)
    torch.testing.assert_close(rest, output[:1, 3:])
    for found, expected in zip(end, ends, strict=True):
        torch.testing.assert_close(found, expected[:, :1])


@pytest.mark.gpu
@pytest.mark.parametrize("cell", CELLS)
def test_over_padding_a_gpu_gives_what_packing_gives_on_a_cpu(cell: Cell) -> None:
    torch.manual_seed(0)
    rnn, lengths = CELLS[cell](8, 8, 2, batch_first=True, bidirectional=True), torch.tensor([6, 1, 4])
    x = torch.randn(3, 7, 8)
    expected = packed(rnn, x, lengths)
    for tolerance, bf16 in ((1e-5, False), (0.02, True)):  # fp16, in cuDNN's layers
        with torch.autocast("cuda", torch.bfloat16, enabled=bf16):
            output, states = run_over_padding(rnn.cuda(), x.cuda(), lengths.cuda(), NO_DROPOUT)
        for found, right in zip((output, *states), expected, strict=True):
            torch.testing.assert_close(found.float().cpu(), right, rtol=tolerance, atol=tolerance)
