"""The recurrent language model (Mikolov et al. 2010; Sundermeyer et al. 2012), which also continues a source.

    h_t = LSTM(E x_t, h_{t-1}),   p(x_{t+1}) = softmax(W_o tanh(W_r h_t))

One stack reads the source and then the target, so that the source is in the state with which the target begins.
B batch, S source length, T target length, E embedding, H hidden, L layers.
"""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from models.embedding import Vocabularies, embeddings, output_projection
from models.kernels.dropout import Dropout
from models.network import Network
from models.recurrent import Cell, RecurrentState, StackSettings, advance, read, recurrent


@dataclass
class DecoderOnlyRecurrentSettings(StackSettings):
    """Settings of the recurrent language model.

    Args:
        cell: lstm (Hochreiter & Schmidhuber 1997), gru (Cho et al. 2014) or rnn (Elman 1990, with tanh).
    """

    cell: Cell = "lstm"


class DecoderOnlyRecurrentNetwork(Network):
    """One recurrent stack over source and target.

    Args:
        vocabularies: Sizes of source and target; where they share their ids, one embedding serves both.
        settings: Size and initialisation.
    """

    def __init__(self, vocabularies: Vocabularies, settings: DecoderOnlyRecurrentSettings) -> None:
        super().__init__()
        E, H = settings.embedding, settings.hidden
        self.source_embedding, self.embedding = embeddings(vocabularies, E, one_table=vocabularies.shared)
        self.rnn = recurrent(settings.cell, E, settings, settings.layers)
        self.dropout = Dropout(settings.dropout)
        self.readout = nn.Linear(H, E)
        self.output = output_projection(E, vocabularies.target, self.embedding if settings.tied else None)

    def encode(self, source: Tensor, padded: bool = True) -> RecurrentState:
        """(B, S) token ids -> the state after the source."""
        embedded = self.dropout(self.source_embedding(source))  # (B, S, E)
        source_read = read(self.rnn, embedded, source == self.pad_id, padded, self.dropout)
        return RecurrentState(source_read.hidden, source_read.cell)

    def advance(self, tokens: Tensor, memory: RecurrentState, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """(B, T) token ids from a state -> (B, T, E) features and the state after them."""
        output, state = advance(self.rnn, self.dropout(self.embedding(tokens)), state)  # (B, T, H)
        return self.dropout(F.tanh(self.readout(self.dropout(output)))), state  # (B, T, E)
