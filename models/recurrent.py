"""Recurrent parts shared by all LSTM networks: cells, initialisation, encoder, bridge to the decoder.

B batch, S source length, E embedding, H hidden, L layers.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from models.embedding import PAD, Embedding
from models.kernels.dropout import Dropout
from models.kernels.padded_rnn import run_layers
from models.kernels.ragged_rnn import States, run_ragged

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
Cell = Literal["lstm", "gru", "rnn"]


@dataclass
class StackSettings:
    """Size and initialisation of a recurrent stack.

    Args:
        embedding: Width E of source and target embeddings.
        hidden: Width H of the decoder's state; a bidirectional encoder has H/2 in each direction.
        layers: Recurrent layers, of the encoder and of the decoder where there are both.
        dropout: Dropout probability of embeddings, layer outputs and readout.
        forget_bias: Initial bias of the LSTM's forget gate (Jozefowicz et al. 2015).
        chrono_length: Longest expected dependency in tokens: gate biases start with memory spans spread over
            2 .. chrono_length (Tallec & Ollivier 2018). Replaces `forget_bias`.
        tied: Share one matrix between target embedding and output projection (Press & Wolf 2017), and with the source
            embedding if the vocabulary is joint; one stack always shares that, and an encoder alone has a matrix to
            share only then.
    """

    embedding: int = 256
    hidden: int = 256
    layers: int = 1
    dropout: float = 0.2
    forget_bias: float = 1.0
    chrono_length: int | None = None
    tied: bool = True


@dataclass
class RecurrentSettings(StackSettings):
    """Size and initialisation of a recurrent encoder-decoder.

    Args:
        bidirectional: Read the source in both directions. Off where a backward pass that ends at the first token would
            make a long-range task trivial.
    """

    bidirectional: bool = True

    def __post_init__(self) -> None:
        if self.bidirectional and self.hidden % 2:
            raise ValueError(f"network.hidden is {self.hidden}; a bidirectional encoder needs an even number.")


def recurrent(
    cell: Cell, inputs: int, settings: StackSettings, layers: int, *, bidirectional: bool = False
) -> nn.RNNBase:
    """An initialised recurrent stack, batch first; a bidirectional one has H / 2 in each direction."""
    rnn = CELLS[cell](
        inputs,
        settings.hidden // 2 if bidirectional else settings.hidden,
        layers,
        batch_first=True,
        bidirectional=bidirectional,
        dropout=settings.dropout if layers > 1 else 0.0,
    )
    initialise(rnn, settings.forget_bias, settings.chrono_length)
    return rnn


def initialise(rnn: nn.RNNBase, forget_bias: float, chrono_length: int | None) -> None:
    """Xavier input weights, orthogonal recurrent weights, zero biases except the gate biases that set memory spans.

    torch orders the LSTM's gates input, forget, cell, output and adds two biases per gate: the second is zero. Chrono
    (Tallec & Ollivier 2018): b_f = log U(1, T - 1), b_i = -b_f; for a GRU, whose update gate z keeps the old
    state, b_z = log U(1, T - 1).
    """
    for name, parameter in rnn.named_parameters():
        if "weight_ih" in name:
            nn.init.xavier_uniform_(parameter)
        elif "weight_hh" in name:
            for gate in parameter.chunk(parameter.shape[0] // rnn.hidden_size):
                nn.init.orthogonal_(gate)
        else:
            nn.init.zeros_(parameter)
            if "bias_ih" in name:
                _initialise_gates(parameter, rnn, forget_bias, chrono_length)


@torch.no_grad()
def _initialise_gates(bias: Tensor, rnn: nn.RNNBase, forget_bias: float, chrono_length: int | None) -> None:
    gates = bias.view(-1, rnn.hidden_size)
    spans = None if chrono_length is None else torch.empty(rnn.hidden_size).uniform_(1, max(2, chrono_length - 1)).log()
    if isinstance(rnn, nn.LSTM):
        gates[1] = forget_bias if spans is None else spans
        if spans is not None:
            gates[0] = -spans
    elif isinstance(rnn, nn.GRU) and spans is not None:
        gates[1] = spans


class RecurrentState(NamedTuple):
    """Hidden and cell of a decoder, each (B, L, H); a GRU or plain RNN ignores the cell."""

    hidden: Tensor
    cell: Tensor


def advance(rnn: nn.RNNBase, x: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
    """Run (B, T, inputs) from a state: output (B, T, H) and the state after it."""
    hidden, cell = (part.transpose(0, 1).contiguous() for part in state)  # (L, B, H) for torch
    if x.device.type != "cpu" and rnn.training:
        begin = (hidden, cell) if isinstance(rnn, nn.LSTM) else (hidden,)
        output, ends = run_layers(rnn, x, begin, None, Dropout(rnn.dropout))
        hidden, cell = ends[0], ends[-1]
    elif isinstance(rnn, nn.LSTM):
        output, (hidden, cell) = rnn(x, (hidden, cell))
    else:
        output, hidden = rnn(x, hidden)
        cell = hidden
    return output, RecurrentState(hidden.transpose(0, 1), cell.transpose(0, 1))


class Encoded(NamedTuple):
    """Encoder output: annotations h_j (B, S, H), final states `hidden` and `cell` (B, L, H), directions concatenated.

    A GRU or plain RNN has no cell: `cell` repeats `hidden`.
    """

    annotations: Tensor
    hidden: Tensor
    cell: Tensor
    is_padding: Tensor  # (B, S)


def read(rnn: nn.RNNBase, embedded: Tensor, is_padding: Tensor, padded: bool, between: Dropout) -> Encoded:
    """Run a stack over sources (B, S, E), padded on the right unless not `padded`; an empty row is encoded as zeros."""
    directions = 2 if rnn.bidirectional else 1
    if not embedded.shape[1]:
        zeros = embedded.new_zeros(len(embedded), rnn.num_layers, directions * rnn.hidden_size)
        return Encoded(zeros[:, :0], zeros, zeros, is_padding)
    state: States
    if embedded.device.type == "cpu":
        annotations, state = _read_on_cpu(rnn, embedded, is_padding, padded, between)
    else:
        annotations, state = run_layers(rnn, embedded, None, is_padding if padded else None, between)
    hidden, cell = state[0], state[-1]
    # (L * directions, B, H / directions) -> (B, L, H)
    hidden, cell = (s.unflatten(0, (-1, directions)).permute(2, 0, 1, 3).flatten(2) for s in (hidden, cell))
    return Encoded(annotations, hidden, cell, is_padding)


def _read_on_cpu(
    rnn: nn.RNNBase, embedded: Tensor, is_padding: Tensor, padded: bool, between: Dropout
) -> tuple[Tensor, States]:
    lengths = embedded.shape[1] - is_padding.sum(1) if padded else None
    if lengths is None or int(lengths.min()) == embedded.shape[1]:  # no padding: plain tensors are faster
        annotations, state = rnn(embedded)
        return annotations, state if isinstance(state, tuple) else (state,)
    # Kernels need at least one token: what they make of an empty row is replaced by zeros.
    annotations, state = run_ragged(rnn, embedded, lengths.clamp(min=1), between)
    if int(lengths.min()) == 0:
        is_empty = is_padding.all(1).unsqueeze(1)  # (B, 1)
        state = tuple(part.masked_fill(is_empty, 0) for part in state)
        annotations = annotations.masked_fill(is_empty.unsqueeze(1), 0)
    return annotations, state


class RecurrentEncoder(nn.Module):
    """h_j = f(E x_j, h_{j-1}), in both directions or one (Bahdanau et al. 2015, section 3.2; Sutskever et al. 2014)."""

    def __init__(self, embedding: Embedding, cell: Cell, settings: RecurrentSettings) -> None:
        super().__init__()
        self.embedding = embedding
        self.dropout = Dropout(settings.dropout)
        self.rnn = recurrent(cell, settings.embedding, settings, settings.layers, bidirectional=settings.bidirectional)

    def forward(self, source: Tensor, padded: bool = True) -> Encoded:
        """(B, S) token ids, padded on the right unless not `padded`."""
        embedded = self.dropout(self.embedding(source))  # (B, S, E)
        return read(self.rnn, embedded, source == PAD, padded, self.dropout)


class Bridge(nn.Module):
    """Initial decoder state from the final encoder state: s_0 = tanh(W h), c_0 = W' c (Bahdanau et al. 2015, A.2.2).

    The paper takes s_0 from the backward direction only. Here each encoder layer initialises the decoder layer of the
    same depth, hidden and cell: without attention nothing else reaches the decoder. A GRU or plain RNN has no W'.
    """

    def __init__(self, hidden: int, cell: Cell = "lstm") -> None:
        super().__init__()
        self.to_hidden = nn.Linear(hidden, hidden)
        self.to_cell = nn.Linear(hidden, hidden) if cell == "lstm" else nn.Identity()

    def forward(self, hidden: Tensor, cell: Tensor) -> RecurrentState:
        """Two (B, L, H) of the encoder -> the decoder's state."""
        return RecurrentState(torch.tanh(self.to_hidden(hidden)), self.to_cell(cell))
