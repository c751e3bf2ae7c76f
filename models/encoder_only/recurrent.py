"""The recurrent encoder alone (Schuster & Paliwal 1997; Peters et al. 2018, ELMo).

    state_j = tanh(W_r [h_j forwards; h_j backwards])

B batch, S source length, T target length, E embedding, H hidden.
"""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from models.embedding import Embedding, Vocabularies, output_projection
from models.encoder_only.network import EncoderOnlyNetwork, States
from models.kernels.dropout import Dropout
from models.recurrent import Cell, RecurrentEncoder, RecurrentSettings


@dataclass
class EncoderOnlyRecurrentSettings(RecurrentSettings):
    """Settings of the recurrent encoder.

    Args:
        cell: lstm (Hochreiter & Schmidhuber 1997), gru (Cho et al. 2014) or rnn (Elman 1990, with tanh).
    """

    cell: Cell = "lstm"


class EncoderOnlyRecurrentNetwork(EncoderOnlyNetwork):
    """One recurrent stack over the source, in both directions.

    Args:
        vocabularies: Sizes of source and target; where they share ids and `tied` is set, the output is the embedding.
        settings: Size and initialisation.
    """

    def __init__(self, vocabularies: Vocabularies, settings: EncoderOnlyRecurrentSettings) -> None:
        super().__init__()
        E, H = settings.embedding, settings.hidden
        self.encoder = RecurrentEncoder(Embedding(vocabularies.source, E), settings.cell, settings)
        self.dropout = Dropout(settings.dropout)
        self.readout = nn.Linear(H, E)
        tied = self.encoder.embedding if settings.tied and vocabularies.shared else None
        self.output = output_projection(E, vocabularies.target, tied)

    def encode(self, source: Tensor, padded: bool = True) -> States:
        """(B, S) token ids -> a state for each."""
        annotations = self.encoder(source, padded).annotations  # (B, S, H)
        return States(source, self.dropout(F.tanh(self.readout(self.dropout(annotations)))))
