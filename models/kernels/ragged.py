"""Recurrent layers over rows of different lengths on a CPU: the fused kernel as far as all rows reach, packing beyond.

On a CPU torch runs a packed sequence step by step, without its fused (oneDNN) kernel: 43 ms against 18 ms unpacked for
forward and backward of a bidirectional LSTM (156 rows, 16 tokens, 256 -> 2 x 128, two cores, torch 2.13). Batches hold
rows of like length, so that nearly all steps are steps of all rows.
B batch, S length, L layers, H hidden of one direction.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from models.kernels.dropout import Dropout

States = tuple[Tensor, ...]  # (h, c) of an LSTM, (h,) of a GRU or plain RNN, each (B, H)


def run_ragged(rnn: nn.RNNBase, x: Tensor, lengths: Tensor, between: Dropout) -> tuple[Tensor, States]:
    """What `rnn` gives for the packed sequence.

    Args:
        rnn: An LSTM, GRU or plain RNN (tanh), batch first.
        x: (B, S, inputs), padded on the right.
        lengths: (B,) on the host, at least 1 each.
        between: Dropout between layers.

    Returns:
        (B, S, directions * H), zero at padding, and each state (L * directions, B, H) after a row's last token.
    """
    directions = 2 if rnn.bidirectional else 1
    backwards = reversal(lengths, x.shape[1])
    ends: list[States] = []
    for layer in range(rnn.num_layers):
        outputs = []
        for direction in range(directions):
            weights = rnn.all_weights[layer * directions + direction]
            output, end = one_direction(rnn, weights, reverse(x, backwards) if direction else x, lengths)
            outputs.append(reverse(output, backwards) if direction else output)
            ends.append(end)
        x = torch.cat(outputs, dim=-1)
        if layer + 1 < rnn.num_layers:
            x = between(x)
    return x, tuple(torch.stack(each) for each in zip(*ends, strict=True))


def reversal(lengths: Tensor, longest: int) -> Tensor:
    """(B, S): position t of a row of n tokens is n - 1 - t when read backwards; padding stays where it is."""
    place = torch.arange(longest).expand(len(lengths), -1)
    n = lengths.unsqueeze(1)
    return torch.where(place < n, n - 1 - place, place)


def reverse(x: Tensor, backwards: Tensor) -> Tensor:
    """(B, S, D) with each row's tokens in the opposite order."""
    return x.gather(1, backwards.unsqueeze(-1).expand_as(x))


def one_direction(rnn: nn.RNNBase, weights: Sequence[Tensor], x: Tensor, lengths: Tensor) -> tuple[Tensor, States]:
    """One layer from left to right: (B, S, inputs) -> (B, S, H), zero at padding, and the states at each row's end."""
    shortest = int(lengths.min())
    hidden = x.new_zeros(1, len(x), rnn.hidden_size)
    begin = (hidden, hidden) if isinstance(rnn, nn.LSTM) else (hidden,)
    head, *states = step_through(rnn, weights, (x[:, :shortest],), begin, batch_first=(True,))
    longer = (lengths > shortest).nonzero().squeeze(1)
    if not len(longer):
        return nn.functional.pad(head, (0, 0, 0, x.shape[1] - shortest)), tuple(s.squeeze(0) for s in states)
    packed = pack_padded_sequence(
        x[longer, shortest:], lengths[longer] - shortest, batch_first=True, enforce_sorted=False
    )
    by_length = longer[packed.sorted_indices]  # rows of the packed sequence, longest first
    going_on = tuple(state[:, by_length] for state in states)
    data, *ends = step_through(rnn, weights, (packed.data, packed.batch_sizes), going_on, batch_first=())
    rest, _ = pad_packed_sequence(packed._replace(data=data), batch_first=True, total_length=x.shape[1] - shortest)
    tail = rest.new_zeros(len(x), *rest.shape[1:]).index_copy(0, longer, rest)
    final = (state.squeeze(0).index_copy(0, by_length, end.squeeze(0)) for state, end in zip(states, ends, strict=True))
    return torch.cat([head, tail], dim=1), tuple(final)


def step_through(
    rnn: nn.RNNBase, weights: Sequence[Tensor], given: tuple[Tensor, ...], begin: States, batch_first: tuple[bool, ...]
) -> tuple[Tensor, ...]:
    """The operation behind torch's module, for one layer in one direction: output, then the states at the end."""
    kernel: Any = torch.lstm if isinstance(rnn, nn.LSTM) else torch.gru if isinstance(rnn, nn.GRU) else torch.rnn_tanh
    state = begin if isinstance(rnn, nn.LSTM) else begin[0]
    output: tuple[Tensor, ...] = kernel(*given, state, list(weights), True, 1, 0.0, rnn.training, False, *batch_first)
    return output
