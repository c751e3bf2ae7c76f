"""LSTM encoder-decoder with additive attention (Bahdanau et al. 2015, "... Jointly Learning to Align and Translate").

    h_j     = [forward state; backward state] of source word j                      (section 3.2)
    e_tj    = v . tanh(W_a s_{t-1} + U_a h_j)                                       (A.1.2)
    alpha_t = softmax_j(e_tj),   c_t = sum_j alpha_tj h_j                           (equations 5, 6)
    s_t     = LSTM([E y_{t-1}; c_t], s_{t-1}),   p(y_t) = softmax(W_o tanh(W [s_t; c_t; E y_{t-1}]))

B batch, S source length, T target length, E embedding, H hidden, A = H attention width, V target vocabulary.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.embedding import Vocabularies, embeddings, output_projection
from models.kernels.attention_loop import AttentionLoop, Weights
from models.kernels.dropout import Dropout
from models.multi_head_attention import minus_infinity_where
from models.network import Network
from models.recurrent import Bridge, RecurrentEncoder, RecurrentSettings, RecurrentState, advance, recurrent


@dataclass
class BahdanauSettings(RecurrentSettings):
    """Settings of the encoder-decoder with additive attention.

    Args:
        routing: Where the context enters.
            input_feeding, the paper: c_t is computed from s_{t-1} and enters the cell, so target tokens are processed
            one after another in training too.
            parallel, as in NVIDIA's GNMT (DeepLearningExamples): the query is the output of the first decoder layer
            at the same step, and the context enters the second layer (there every one above) and the output, so all
            target tokens run at once.
    """

    routing: Literal["input_feeding", "parallel"] = "input_feeding"


class AdditiveAttention(nn.Module):
    """e_tj = v . tanh(W_a s + U_a h_j), alpha_t = softmax_j(e_tj), c_t = sum_j alpha_tj h_j (section 3.1, A.1.2).

    Computed as 2v . sigmoid(2 (W_a s + U_a h_j)): tanh(x) = 2 sigmoid(2x) - 1, and the constant -sum(v) cancels in the
    softmax. torch's sigmoid is nine times as fast as its tanh on a CPU with AVX-512.
    """

    def __init__(self, query: int, annotation: int, width: int) -> None:
        super().__init__()
        self.W_a = nn.Linear(query, width)
        self.U_a = nn.Linear(annotation, width, bias=False)
        self.v = nn.Parameter(torch.empty(width).uniform_(-(width**-0.5), width**-0.5))

    def keys(self, annotations: Tensor) -> Tensor:
        """2 U_a h_j, computed once per source: (B, S, H) -> (B, S, A)."""
        return 2 * self.U_a(annotations)

    def weights(self, query: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        """(B, H) or (B, T, H) queries -> (B, S) or (B, T, S) attention weights alpha.

        Args:
            query: Decoder states.
            keys: (B, S, A) from `keys`.
            mask: (B, S) or, for T queries, (B, T, S), 0 where a query may look and -inf elsewhere, in single precision.
        """
        if query.dim() == 3:
            keys, mask = keys.unsqueeze(1), mask if mask.dim() == 3 else mask.unsqueeze(1)
        energy = torch.sigmoid(2 * self.W_a(query).unsqueeze(-2) + keys) @ (2 * self.v).to(keys.dtype)  # (B, [T,] S)
        return torch.softmax(energy + mask, dim=-1)


class BahdanauMemory(NamedTuple):
    """The encoded source: annotations (B, S, H), keys (B, S, A), mask (B, S), initial hidden and cell (B, L, H)."""

    annotations: Tensor
    keys: Tensor
    mask: Tensor
    hidden: Tensor
    cell: Tensor


class BahdanauNetwork(Network):
    """First decoder layer with attention, further layers over its output and the context, then the readout.

    Two deviations from the paper leave little but attention between this network and `LSTMNetwork`, whose readout is of
    s_t alone: the paper's is a maxout of [s_{t-1}; c_t; E y_{t-1}] (A.2.2), ours a tanh of [s_t; c_t; E y_{t-1}], and
    the cell is an LSTM, not a GRU. W_o may be the embedding (`tied`). For s_0 see `Bridge`.

    Args:
        vocabularies: Sizes of source and target; where they share ids and `tied` is set, one embedding serves both.
        settings: Size, routing and initialisation.
    """

    def __init__(self, vocabularies: Vocabularies, settings: BahdanauSettings) -> None:
        super().__init__()
        self.settings = settings
        E, H = settings.embedding, settings.hidden
        source_embedding, self.embedding = embeddings(vocabularies, E, one_table=settings.tied and vocabularies.shared)
        self.encoder = RecurrentEncoder(source_embedding, "lstm", settings)
        self.bridge = Bridge(H)
        self.additive = AdditiveAttention(H, H, H)
        feeds_context = settings.routing == "input_feeding"
        self.first = recurrent("lstm", E + H if feeds_context else E, settings, 1)
        self.upper = recurrent("lstm", 2 * H, settings, settings.layers - 1) if settings.layers > 1 else None
        self.dropout = Dropout(settings.dropout)
        self.readout = nn.Linear(H + H + E, E)
        self.output = output_projection(E, vocabularies.target, self.embedding if settings.tied else None)

    def encode(self, source: Tensor, padded: bool = True) -> BahdanauMemory:
        """(B, S) token ids -> annotations, their keys, and the decoder's initial state."""
        annotations, hidden, cell, is_padding = self.encoder(source, padded)
        # An empty source is not masked, so that the softmax has no NaN: its annotations are all zero.
        forbidden = is_padding & ~is_padding.all(1, keepdim=True)
        mask = minus_infinity_where(forbidden)
        return BahdanauMemory(annotations, self.additive.keys(annotations), mask, *self.bridge(hidden, cell))

    def start(self, memory: BahdanauMemory) -> RecurrentState:
        return RecurrentState(memory.hidden, memory.cell)

    def advance(self, tokens: Tensor, memory: BahdanauMemory, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """(B, T) token ids from a state -> (B, T, E) features and the state after them."""
        return self._advance(tokens, memory, state)[:2]

    def attention(self, memory: BahdanauMemory, decoder_input: Tensor) -> dict[str, Tensor]:
        weights = self._advance(decoder_input, memory, self.start(memory))[2]
        return {"additive": weights.unsqueeze(1)}

    def _advance(
        self, tokens: Tensor, memory: BahdanauMemory, state: RecurrentState
    ) -> tuple[Tensor, RecurrentState, Tensor]:
        """`advance`, and attention (B, T, S)."""
        embedded = self.dropout(self.embedding(tokens))  # (B, T, E)
        first_state = state.hidden[:, 0].contiguous(), state.cell[:, 0].contiguous()  # (B, H) each
        if self.settings.routing == "parallel":
            attend_first = self._parallel
        else:
            attend_first = self._input_feeding if tokens.shape[1] > 1 else self._one_word
        output, context, weights, (hidden, cell) = attend_first(embedded, memory, first_state)
        hidden, cell = hidden.unsqueeze(1), cell.unsqueeze(1)  # (B, 1, H)
        if self.upper is not None:
            both = self.dropout(torch.cat([output, context], dim=-1))  # (B, T, 2H)
            output, upper = advance(self.upper, both, RecurrentState(state.hidden[:, 1:], state.cell[:, 1:]))
            hidden, cell = torch.cat([hidden, upper.hidden], 1), torch.cat([cell, upper.cell], 1)  # (B, L, H)
        # The readout does not feed back into the recurrence: all steps at once.
        together = torch.cat([output, context, embedded], dim=-1)  # (B, T, 2H + E)
        features = self.dropout(F.tanh(self.readout(self.dropout(together))))  # (B, T, E)
        return features, RecurrentState(hidden, cell), weights

    def _one_word(
        self, embedded: Tensor, memory: BahdanauMemory, state: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, Tensor]]:
        """c_t from s_{t-1}, then s_t = LSTM([E y_{t-1}; c_t], s_{t-1}) (section 3.1, equations 5 and 6), for T = 1."""
        s, cell = state
        cell = cell.to(torch.promote_types(cell.dtype, torch.float))  # accumulates over steps: never in bf16
        alpha = self.additive.weights(s, memory.keys, memory.mask).unsqueeze(1)  # (B, 1, S)
        context = torch.bmm(alpha.to(memory.annotations.dtype), memory.annotations)  # (B, 1, H)
        weight_ih, weight_hh, bias_ih, bias_hh = self.first.all_weights[0]
        word_and_context = torch.cat([embedded, context], dim=-1).squeeze(1)
        gates = F.linear(word_and_context, weight_ih, bias_ih) + F.linear(s, weight_hh, bias_hh)  # (B, 4H)
        i, f, g, o = gates.to(cell.dtype).chunk(4, dim=-1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        s = (o.sigmoid() * cell.tanh()).to(gates.dtype)
        return s.unsqueeze(1), context, alpha, (s, cell)

    def _input_feeding(
        self, embedded: Tensor, memory: BahdanauMemory, state: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, Tensor]]:
        """c_t from s_{t-1}, then s_t = LSTM([E y_{t-1}; c_t], s_{t-1}): serial in t (section 3.1, equations 5 and 6).

        The word's contribution to the gates does not depend on the state: it is computed before the loop for all t. In
        the loop the gates take one product, [W_ctx | W_hh] [c; s].
        """
        E = embedded.shape[-1]
        weight_ih, weight_hh, bias_ih, bias_hh = (_output_before_cell(p) for p in self.first.all_weights[0])
        W_word, W_context = weight_ih.split([E, self.first.input_size - E], dim=1)
        word_gates = F.linear(embedded, W_word, bias_ih + bias_hh)  # (B, T, 4H)
        dtype, attend = word_gates.dtype, self.additive.W_a
        W_recurrent = torch.cat([W_context, weight_hh], dim=1)
        weights = Weights(2 * attend.weight, 2 * attend.bias, 2 * self.additive.v, W_recurrent)
        s, cell = state
        with torch.autocast(embedded.device.type, enabled=False):
            outputs, contexts, alpha, s, cell = AttentionLoop.apply(
                word_gates,
                memory.annotations.to(dtype),
                memory.keys.to(dtype),
                memory.mask,
                s.to(dtype),
                cell.to(torch.promote_types(dtype, torch.float)),  # accumulates over steps: never in bf16
                embedded.device.type == "cpu" and torch.is_grad_enabled(),
                *(w.to(dtype) for w in weights),
            )
        return outputs, contexts, alpha, (s, cell)

    def _parallel(
        self, embedded: Tensor, memory: BahdanauMemory, state: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, Tensor]]:
        """s_t = LSTM(E y_{t-1}, s_{t-1}) for all t, then c_t from s_t for all t at once, in B x T x S x A memory."""
        before = RecurrentState(*(s.unsqueeze(1) for s in state))
        output, (hidden, cell) = advance(self.first, embedded, before)  # (B, T, H)
        alpha = self.additive.weights(output, memory.keys, memory.mask)  # (B, T, S)
        context = torch.bmm(alpha.to(memory.annotations.dtype), memory.annotations)  # (B, T, H)
        return output, context, alpha, (hidden.squeeze(1), cell.squeeze(1))


def _output_before_cell(parameter: Tensor) -> Tensor:
    """Reorder LSTM gates from torch's input, forget, cell, output to input, forget, output, cell: sigmoids first."""
    i, f, g, o = parameter.chunk(4)
    return torch.cat([i, f, o, g])
