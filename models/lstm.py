"""LSTM encoder-decoder without attention (Sutskever et al. 2014, "Sequence to Sequence Learning with Neural Networks").

    h_j = LSTM(E x_j, h_{j-1})                     encoder
    s_0 = tanh(W h_S), c_0 = W' c_S                two vectors per layer carry the whole source
    s_t = LSTM(E y_{t-1}, s_{t-1})                 decoder
    p(y_t) = softmax(W_o tanh(W_r s_t))            readout

Sutskever et al. copy the encoder's state and have no W_r. Here a `Bridge` and a readout lead from one size to another,
so that an encoder may read in both directions and W_o may be the embedding: both as in `models.bahdanau`.

B batch, S source length, T target length, E embedding, H hidden, L layers, V target vocabulary.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.embedding import Vocabularies, embeddings, output_projection
from models.kernels.dropout import Dropout
from models.kernels.ragged_rnn import reversal
from models.network import Network
from models.recurrent import Bridge, Cell, RecurrentEncoder, RecurrentSettings, RecurrentState, advance, recurrent


@dataclass
class LSTMSettings(RecurrentSettings):
    """Settings of the encoder-decoder without attention.

    Args:
        cell: lstm (Hochreiter & Schmidhuber 1997), gru (Cho et al. 2014) or rnn (Elman 1990, with tanh).
        feed_context: Feed the top layer's s_0 to the decoder at every step (Cho et al. 2014, section 2.2).
        reversed_source: Read the source last word first, which brings its first words nearer to the first words of the
            target (Sutskever et al. 2014, section 3.3).
    """

    cell: Cell = "lstm"
    feed_context: bool = False
    reversed_source: bool = False


class LSTMNetwork(Network):
    """Encoder and decoder of the same recurrent cell, joined by the encoder's last state.

    Args:
        vocabularies: Sizes of source and target; where they share ids and `tied` is set, one embedding serves both.
        settings: Size and initialisation.
    """

    def __init__(self, vocabularies: Vocabularies, settings: LSTMSettings) -> None:
        super().__init__()
        self.settings = settings
        one_table = settings.tied and vocabularies.shared
        source_embedding, self.embedding = embeddings(vocabularies, settings.embedding, one_table=one_table)
        self.encoder = RecurrentEncoder(source_embedding, settings.cell, settings)
        self.bridge = Bridge(settings.hidden, settings.cell)
        inputs = settings.embedding + (settings.hidden if settings.feed_context else 0)
        self.decoder = recurrent(settings.cell, inputs, settings, settings.layers)
        self.dropout = Dropout(settings.dropout)
        self.readout = nn.Linear(settings.hidden, settings.embedding)
        tied = self.embedding if settings.tied else None
        self.output = output_projection(settings.embedding, vocabularies.target, tied)

    def encode(self, source: Tensor, padded: bool = True) -> RecurrentState:
        """(B, S) token ids -> the decoder's initial state."""
        if self.settings.reversed_source:
            source = source.gather(1, reversal((source != self.pad_id).sum(1), source.shape[1]))
        encoded = self.encoder(source, padded)
        return cast(RecurrentState, self.bridge(encoded.hidden, encoded.cell))

    def advance(self, tokens: Tensor, memory: RecurrentState, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """(B, T) token ids from a state -> (B, T, E) features and the state after them."""
        embedded = self.dropout(self.embedding(tokens))  # (B, T, E)
        if self.settings.feed_context:
            context = memory.hidden[:, -1:].expand(-1, tokens.shape[1], -1)  # (B, T, H)
            embedded = torch.cat([embedded, context], dim=-1)  # (B, T, E + H)
        output, state = advance(self.decoder, embedded, state)  # (B, T, H)
        return self.dropout(F.tanh(self.readout(self.dropout(output)))), state  # (B, T, E)
