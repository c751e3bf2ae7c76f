"""The LSTM language model with additive attention over its own past (Daniluk et al. 2017, "Frustratingly Short ...").

    h_t = LSTM(E x_t, h_{t-1}),   e_tj = v . tanh(W_a h_t + U_a h_j),   alpha_t = softmax_{j <= t}(e_tj)
    c_t = sum_j alpha_tj h_j,     p(x_{t+1}) = softmax(W_o tanh(W [h_t; c_t; E x_t]))

The attention is that of Bahdanau et al. (2015), from the LSTM's state to all its states so far, those of the source
included. It does not feed back into the recurrence, so target tokens run together, in B x T x (S + T / 2) x A memory.
Other than there, a state attends to itself too, and the readout has E x_t, as Bahdanau's, which that of the recurrent
network has not. Kin: attention inside the cell (Cheng et al. 2016), one head between layers (Merity 2019, SHA-RNN).
B batch, S source length, T target length, E embedding, H hidden, A attention width, L layers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.bahdanau import AdditiveAttention, BahdanauMemory
from models.embedding import Vocabularies, embeddings, output_projection
from models.kernels.dropout import Dropout
from models.multi_head_attention import causal_bias, minus_infinity_where
from models.network import Network
from models.recurrent import RecurrentState, StackSettings, advance, read, recurrent

BLOCK = 32  # states that attend at once


@dataclass
class DecoderOnlyAttentionSettings(StackSettings):
    """Settings of the LSTM language model with attention.

    Args:
        attention: Width A of the attention.
    """

    attention: int = 64


class DecoderOnlyAttentionNetwork(Network):
    """One LSTM stack over source and target, with attention to all of its states so far.

    Memory and State are both what was read so far: states, keys and mask of its tokens, and the last state.

    Args:
        vocabularies: Sizes of source and target; where they share their ids, one embedding serves both.
        settings: Size and initialisation.
    """

    def __init__(self, vocabularies: Vocabularies, settings: DecoderOnlyAttentionSettings) -> None:
        super().__init__()
        E, H = settings.embedding, settings.hidden
        self.source_embedding, self.embedding = embeddings(vocabularies, E, one_table=vocabularies.shared)
        self.rnn = recurrent("lstm", E, settings, settings.layers)
        self.additive = AdditiveAttention(H, H, settings.attention)
        self.dropout = Dropout(settings.dropout)
        self.readout = nn.Linear(H + H + E, E)
        self.output = output_projection(E, vocabularies.target, self.embedding if settings.tied else None)

    def encode(self, source: Tensor, padded: bool = True) -> BahdanauMemory:
        """(B, S) token ids -> states of the source, their keys, and the state after it."""
        is_padding = source == self.pad_id
        mask = minus_infinity_where(is_padding)
        embedded = self.dropout(self.source_embedding(source))  # (B, S, E)
        annotations, hidden, cell, _ = read(self.rnn, embedded, is_padding, padded, self.dropout)
        return BahdanauMemory(annotations, self.additive.keys(annotations), mask, hidden, cell)

    def advance(self, tokens: Tensor, memory: BahdanauMemory, state: BahdanauMemory) -> tuple[Tensor, BahdanauMemory]:
        """(B, T) token ids from a state -> (B, T, E) features and the state after them."""
        return self._advance(tokens, state)[:2]

    def attention(self, memory: BahdanauMemory, decoder_input: Tensor) -> dict[str, Tensor]:
        S = memory.mask.shape[1]
        alpha = self._advance(decoder_input, memory)[2].unsqueeze(1)
        return {"additive": alpha[..., :S]} if S else {}

    def every_attention(self, source: Tensor, decoder_input: Tensor) -> dict[str, Tensor]:
        alpha = self._advance(decoder_input, self.encode(source))[2].unsqueeze(1)
        S = source.shape[1]
        return {"decoder": alpha[..., S:]} | ({"additive": alpha[..., :S]} if S else {})

    def _advance(self, tokens: Tensor, state: BahdanauMemory) -> tuple[Tensor, BahdanauMemory, Tensor]:
        """`advance`, and attention (B, T, past + T)."""
        embedded = self.dropout(self.embedding(tokens))  # (B, T, E)
        output, after = advance(self.rnn, embedded, RecurrentState(state.hidden, state.cell))  # (B, T, H)
        annotations = torch.cat([state.annotations, output], 1)
        keys = torch.cat([state.keys, self.additive.keys(output)], 1)
        mask = F.pad(state.mask, (0, tokens.shape[1]))  # (B, past + T)
        context, alpha = self._attend(output, annotations, keys, mask)
        together = torch.cat([output, context, embedded], dim=-1)  # (B, T, 2H + E)
        features = self.dropout(F.tanh(self.readout(self.dropout(together))))  # (B, T, E)
        return features, BahdanauMemory(annotations, keys, mask, *after), alpha

    def _attend(self, output: Tensor, annotations: Tensor, keys: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """From (B, T, H) states to those up to each: contexts (B, T, H) and attention (B, T, past + T).

        A block of states at a time, with the keys that its last state may see: half the work of all with all.
        """
        length, T = mask.shape[1], output.shape[1]
        contexts, weights = [], []
        for first in range(0, T, BLOCK):
            queries = output[:, first : first + BLOCK]
            seen = length - T + first + queries.shape[1]
            later = causal_bias(queries.shape[1], seen, mask.device)
            alpha = self.additive.weights(queries, keys[:, :seen], mask[:, None, :seen] + later)  # (B, block, seen)
            contexts.append(torch.bmm(alpha.to(annotations.dtype), annotations[:, :seen]))
            weights.append(F.pad(alpha, (0, length - seen)))
        return torch.cat(contexts, 1), torch.cat(weights, 1)
