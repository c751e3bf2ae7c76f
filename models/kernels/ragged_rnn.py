"""Recurrent layers over rows of different lengths on a CPU: fused up to the shortest row's length, packed after it.

On a CPU torch runs packed sequences without its fused (oneDNN) kernel: 43 ms against 18 ms unpacked for forward and
backward of a bidirectional LSTM (156 rows, 16 tokens, 256 -> 2 x 128, two cores, torch 2.13). The rows of a batch have
similar lengths, so nearly all steps are fused.
B batch, S length, L layers, H hidden of one direction.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from models.kernels.dropout import Dropout
from models.kernels.fp16_gradients import with_scaled_gradients

States = tuple[Tensor, ...]  # (h, c) of an LSTM, (h,) of a GRU or plain RNN, as torch has them


def run_ragged(rnn: nn.RNNBase, x: Tensor, lengths: Tensor, between: Dropout) -> tuple[Tensor, States]:
    """The output and final states of `rnn` on the packed sequence.

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
    """(B, S): index n - 1 - t at position t of a row of n tokens; padding keeps its position."""
    t = torch.arange(longest, device=lengths.device).expand(len(lengths), -1)
    n = lengths.unsqueeze(1)
    return torch.where(t < n, n - 1 - t, t)


def reverse(x: Tensor, backwards: Tensor) -> Tensor:
    """(B, S, D) with each row's tokens in the opposite order."""
    return x.gather(1, backwards.unsqueeze(-1).expand_as(x))


def one_direction(rnn: nn.RNNBase, weights: Sequence[Tensor], x: Tensor, lengths: Tensor) -> tuple[Tensor, States]:
    """One layer, left to right: (B, S, inputs) -> (B, S, H), zero at padding, and the states after each row's end."""
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
    resumed = tuple(state[:, by_length] for state in states)
    data, *ends = step_through(rnn, weights, (packed.data, packed.batch_sizes), resumed, batch_first=())
    rest, _ = pad_packed_sequence(packed._replace(data=data), batch_first=True, total_length=x.shape[1] - shortest)
    tail = rest.new_zeros(len(x), *rest.shape[1:]).index_copy(0, longer, rest)
    final = (state.squeeze(0).index_copy(0, by_length, end.squeeze(0)) for state, end in zip(states, ends, strict=True))
    return torch.cat([head, tail], dim=1), tuple(final)


def step_through(
    rnn: nn.RNNBase,
    weights: Sequence[Tensor],
    given: tuple[Tensor, ...],
    begin: States,
    batch_first: tuple[bool, ...],
    bidirectional: bool = False,
) -> tuple[Tensor, ...]:
    """torch's functional RNN for one layer: output, then the final states."""
    kernel: Any = torch.lstm if isinstance(rnn, nn.LSTM) else torch.gru if isinstance(rnn, nn.GRU) else torch.rnn_tanh
    inputs, own = len(given), len(weights)

    def run(*tensors: Tensor) -> tuple[Tensor, ...]:
        x, state, its = tensors[:inputs], tensors[inputs:-own], list(tensors[-own:])
        hidden = state if isinstance(rnn, nn.LSTM) else state[0]
        output: tuple[Tensor, ...] = kernel(*x, hidden, its, True, 1, 0.0, rnn.training, bidirectional, *batch_first)
        return output

    if given[0].is_cuda and torch.is_autocast_enabled("cuda"):
        return with_scaled_gradients(run, *given, *begin, *weights)
    return run(*given, *begin, *weights)
