"""The recurrent language model (Mikolov et al. 2010; Sundermeyer et al. 2012), which also continues a source.

    h_t = LSTM(E x_t, h_{t-1}),   p(x_{t+1}) = softmax(W_o tanh(W_r h_t))

One stack reads the source and then the target, so that the source is in the state with which the target begins.
B batch, S source length, T target length, E embedding, H hidden, L layers.
"""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from models.embedding import embeddings
from models.kernels.dropout import Dropout
from models.network import Network
from models.recurrent import Cell, StackSettings, advance, read, recurrent


@dataclass
class DecoderOnlyRecurrentSettings(StackSettings):
    """Settings of the recurrent language model.

    Args:
        cell: lstm (Hochreiter & Schmidhuber 1997), gru (Cho et al. 2014) or rnn (Elman 1990, with tanh).
    """

    cell: Cell = "lstm"


class RecurrentState(NamedTuple):
    """Hidden and cell, each (B, L, H); of a GRU or plain RNN both are the same."""

    hidden: Tensor
    cell: Tensor


class DecoderOnlyRecurrentNetwork(Network):
    """One recurrent stack over source and target.

    Args:
        source_vocabulary, target_vocabulary: Sizes of the vocabularies.
        settings: Size and initialisation.
        shared_vocabulary: Whether source and target share their ids, and so one embedding.
        pad_id: Token id of padding.
    """

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        settings: DecoderOnlyRecurrentSettings,
        *,
        shared_vocabulary: bool = False,
        pad_id: int = 0,
    ) -> None:
        super().__init__()
        self.pad_id = pad_id
        E, H = settings.embedding, settings.hidden
        self.source_embedding, self.embedding = embeddings(
            source_vocabulary, target_vocabulary, E, pad_id, shared=shared_vocabulary
        )
        self.rnn = recurrent(settings.cell, E, settings, settings.layers)
        self.dropout = Dropout(settings.dropout)
        self.readout = nn.Linear(H, E)
        self.output = nn.Linear(E, target_vocabulary)
        nn.init.zeros_(self.output.bias)
        if settings.tied:
            self.output.weight = self.embedding.weight

    def encode(self, source: Tensor, padded: bool = True) -> RecurrentState:
        """(B, S) token ids -> the state after the source."""
        embedded = self.dropout(self.source_embedding(source))  # (B, S, E)
        source_read = read(self.rnn, embedded, source == self.pad_id, padded, self.dropout)
        return RecurrentState(source_read.hidden, source_read.cell)

    def decode(self, memory: RecurrentState, decoder_input: Tensor) -> Tensor:
        """(B, T) token ids -> (B, T, E) features."""
        return self._advance(decoder_input, memory)[0]

    def start(self, memory: RecurrentState) -> RecurrentState:
        return memory

    def step(self, token: Tensor, memory: RecurrentState, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        features, state = self._advance(token.unsqueeze(1), state)
        return features.squeeze(1), state

    def attention(self, memory: RecurrentState, decoder_input: Tensor) -> dict[str, Tensor]:
        return {}

    def _advance(self, tokens: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """Run (B, T) tokens from a state: features (B, T, E) and the next state."""
        output, hidden, cell = advance(self.rnn, self.dropout(self.embedding(tokens)), *state)  # (B, T, H)
        features = self.dropout(F.tanh(self.readout(self.dropout(output))))  # (B, T, E)
        return features, RecurrentState(hidden, cell)
