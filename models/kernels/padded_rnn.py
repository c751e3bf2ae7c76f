"""Recurrent layers on an accelerator, over padded rows too, without packing and without asking for a length.

cuDNN runs packed sequences several times slower than plain ones (pytorch#149194), and packing waits for the lengths to
reach the host. Here a layer runs over the padding, which leaves its state as it is: a further input feature, 1 at
padding, has fixed weights that shut an LSTM's input gate and open its forget gate, so c_t = 1 c_{t-1} + 0 exactly, and
for a GRU the gate that keeps the old state. Sigmoids of +-1000 are 1 and 0, their derivatives 0: no gradient is
changed. The backward direction starts at the padding, with a state of zero, which stays zero.

torch's dropout between layers takes the place of cuDNN's, whose masks do not follow torch's seed: a resumed run would
draw others. Captured, steps with cuDNN's dropout ended in an illegal memory access (torch 2.11 on an H200).
B batch, S length, L layers, H hidden of one direction.
"""

import torch
from torch import Tensor, nn

from models.kernels.dropout import Dropout
from models.kernels.ragged_rnn import States, reversal, reverse, step_through

SHUT = 1000.0
GATES = {nn.LSTM: (-SHUT, SHUT, 0.0, 0.0), nn.GRU: (0.0, SHUT, 0.0)}  # in torch's order: i, f, g, o and r, z, n
FEATURES = 8  # with seven more that are 0, so that the widths of products stay multiples of eight


def run_layers(
    rnn: nn.RNNBase, x: Tensor, state: States | None, is_padding: Tensor | None, between: Dropout
) -> tuple[Tensor, States]:
    """The output and final states of `rnn`, each row ending where its padding begins.

    Args:
        rnn: An LSTM, GRU or plain RNN (tanh), batch first.
        x: (B, S, inputs), padded on the right.
        state: Before the first token, each (L * directions, B, H); zero where None, as it must be with padding.
        is_padding: (B, S), or None where nothing is padding.
        between: Dropout between layers.

    Returns:
        (B, S, directions * H), zero at padding, and each state (L * directions, B, H) after a row's last token.
    """
    assert state is None or is_padding is None
    D = 2 if rnn.bidirectional else 1
    lengths = None if is_padding is None else is_padding.shape[1] - is_padding.sum(1)
    if state is None:
        zeros = x.new_zeros(rnn.num_layers * D, len(x), rnn.hidden_size)
        state = (zeros, zeros) if isinstance(rnn, nn.LSTM) else (zeros,)
    ends = []
    for layer in range(rnn.num_layers):
        weights: list[Tensor] = [w for one in rnn.all_weights[layer * D : (layer + 1) * D] for w in one]
        begin = tuple(part[layer * D : (layer + 1) * D] for part in state)
        if is_padding is None or lengths is None:
            x, *end = step_through(rnn, weights, (x,), begin, (True,), bidirectional=D == 2)
        else:
            one_layer = _plain if isinstance(rnn, nn.RNN) else _frozen
            x, end = one_layer(rnn, weights, x, begin, is_padding, lengths)
        ends.append(end)
        if layer + 1 < rnn.num_layers:
            x = between(x)
    return x, tuple(torch.cat(each) for each in zip(*ends, strict=True))


def _frozen(
    rnn: nn.RNNBase, weights: list[Tensor], x: Tensor, begin: States, is_padding: Tensor, lengths: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """One layer of an LSTM or GRU, both directions at once."""
    D = len(begin[0])
    mark = nn.functional.pad(is_padding.unsqueeze(-1).to(x.dtype), (0, FEATURES - 1))  # (B, S, FEATURES)
    fixed = weights[0].new_zeros(len(weights[0]), FEATURES)
    for gate, value in enumerate(GATES[type(rnn)]):
        fixed[gate * rnn.hidden_size : (gate + 1) * rnn.hidden_size, 0] = value
    per_direction = len(weights) // D
    widened = [torch.cat([w, fixed], dim=1) if place % per_direction == 0 else w for place, w in enumerate(weights)]
    output, *end = step_through(rnn, widened, (torch.cat([x, mark], dim=-1),), begin, (True,), bidirectional=D == 2)
    # At padding an LSTM's hidden state is o tanh(c) of another o: the last one before it is the row's.
    forwards = _at_end(output[..., : rnn.hidden_size], lengths)
    end[0] = torch.cat([forwards.unsqueeze(0), end[0][1:]])
    return output.masked_fill(is_padding.unsqueeze(-1), 0), end


def _plain(
    rnn: nn.RNNBase, weights: list[Tensor], x: Tensor, begin: States, is_padding: Tensor, lengths: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """One layer of an RNN without gates to shut: its backward direction reads each row from the row's own end."""
    D = len(begin[0])
    backwards = reversal(lengths, x.shape[1])
    outputs, ends = [], []
    for direction in range(D):
        own = weights[direction * len(weights) // D : (direction + 1) * len(weights) // D]
        given = reverse(x, backwards) if direction else x
        output, _ = step_through(rnn, own, (given,), (begin[0][direction : direction + 1],), (True,))
        ends.append(_at_end(output, lengths))
        outputs.append(reverse(output, backwards) if direction else output)
    return torch.cat(outputs, dim=-1).masked_fill(is_padding.unsqueeze(-1), 0), [torch.stack(ends)]


def _at_end(output: Tensor, lengths: Tensor) -> Tensor:
    """(B, S, H) -> (B, H) of each row's last token; zero for a row without any."""
    last = (lengths - 1).clamp(min=0).view(-1, 1, 1).expand(-1, 1, output.shape[-1])
    return output.gather(1, last).squeeze(1).masked_fill((lengths == 0).unsqueeze(-1), 0)
