"""The decoder-only Transformer (Liu et al. 2018, "Generating Wikipedia ..."; Radford et al. 2018, GPT).

    layer   x = x + MultiHead(x, past and x, past and x),   x = x + FFN(x)       with norms as in `models.transformer`

One stack reads the source and then the target: what it keeps of the source are the keys and values of every layer. A
source token sees what is left of it, or, as a prefix, the whole source (Zhang et al. 2022, "Examining Scaling and
Transfer of Language Model Architectures for Machine Translation").
Positions count from the target's first token; those of the source are negative, so that padding changes none.
B batch, S source length, T target length, D model width, h heads, d = D / h.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.embedding import Vocabularies, embeddings, output_projection
from models.kernels.dropout import Dropout
from models.multi_head_attention import Cache, by_layer, causal_bias, minus_infinity_where, watched
from models.network import Network
from models.positions import Learned, positions
from models.transformer import EncoderLayer, LayerSettings


@dataclass
class DecoderOnlyTransformerSettings(LayerSettings):
    """Size and variants of the decoder-only Transformer.

    Args:
        layers: Layers of the stack.
        prefix: A source token sees the whole source; otherwise what is left of it, as in the target.
    """

    layers: int = 4
    prefix: bool = False


class StreamMemory(NamedTuple):
    """The source: its keys and values in every layer, and a score bias (B, 1, 1, S), -inf at padding.

    Padding is moved to the left: the target follows the source's last token.
    """

    cache: Cache
    bias: Tensor


class DecoderOnlyTransformerNetwork(Network):
    """One causal stack over source and target.

    Args:
        vocabularies: Sizes of source and target; where they share their ids, one embedding serves both.
        settings: Size and variants.
    """

    def __init__(self, vocabularies: Vocabularies, settings: DecoderOnlyTransformerSettings) -> None:
        super().__init__()
        self.prefix = settings.prefix
        D = settings.width
        self.positions = positions(settings.positions, width=D, heads=settings.heads, max_length=settings.max_length)
        self.source_embedding, self.embedding = embeddings(vocabularies, D, one_table=vocabularies.shared)
        self.biased = settings.positions == "alibi"
        self.dropout = Dropout(settings.dropout)
        self.layers = nn.ModuleList(EncoderLayer(settings) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(D) if settings.norm == "pre" else nn.Identity()
        self.output = output_projection(D, vocabularies.target, self.embedding if settings.tied else None)

    def encode(self, source: Tensor, padded: bool = True) -> StreamMemory:
        """(B, S) token ids -> keys and values of the source in every layer."""
        x, is_padding, S = self.source_embedding(source), source == self.pad_id, source.shape[1]
        if padded:
            count = is_padding.sum(1)
            x, is_padding = rolled(x, count, 1), rolled(is_padding, count, 1)
        source_bias = minus_infinity_where(is_padding[:, None, None, :])
        if not S:
            return StreamMemory((), source_bias)
        x, bias = self.dropout(self.positions(x, -S)), self._bias(source_bias, S, S, causal=not self.prefix)
        return StreamMemory(self._run(x, -S, (), bias)[1], source_bias)

    def start(self, memory: StreamMemory) -> Cache:
        return memory.cache

    def advance(self, tokens: Tensor, memory: StreamMemory, state: Cache) -> tuple[Tensor, Cache]:
        """(B, T) token ids from a state -> (B, T, D) features and the next state."""
        S, T = memory.bias.shape[-1], tokens.shape[1]
        keys = T + (state[0].key.shape[2] if state else 0)
        if isinstance(self.positions, Learned):  # the last of its vectors are the source's, the first the target's
            self.positions.check(keys, "a stream of source and target")
        x = self.dropout(self.positions(self.embedding(tokens), keys - T - S))
        bias = self._bias(memory.bias, T, keys, causal=True) if S or self.biased else None
        x, state = self._run(x, keys - T - S, state, bias, causal=bias is None and T > 1)
        return self.norm(x), state

    def attention(self, memory: StreamMemory, decoder_input: Tensor) -> dict[str, Tensor]:
        """The part of the target's weights that is on the source, its padding on the right again; none if empty."""
        with self._watched() as maps:
            self.decode(memory, decoder_input)
        S, back = memory.bias.shape[-1], -memory.bias.isneginf().sum((1, 2, 3))
        return by_layer("cross", [rolled(m[..., :S], back, 3) for m in maps if S])

    def every_attention(self, source: Tensor, decoder_input: Tensor) -> dict[str, Tensor]:
        with self._watched() as of_source:
            memory = self.encode(source)
        with self._watched() as of_target:
            to_source = self.attention(memory, decoder_input)
        S, back = memory.bias.shape[-1], -memory.bias.isneginf().sum((1, 2, 3))
        of_source = [rolled(rolled(m, back, 2), back, 3) for m in of_source]
        return by_layer("encoder", of_source) | by_layer("decoder", [m[..., S:] for m in of_target]) | to_source

    def _watched(self) -> AbstractContextManager[list[Tensor]]:
        return watched(cast(EncoderLayer, layer).self_attention for layer in self.layers)

    def _run(
        self, x: Tensor, start: int, past: Cache, bias: Tensor | None, *, causal: bool = False
    ) -> tuple[Tensor, Cache]:
        """All layers over positions from `start` on."""
        cache = []
        for i, layer in enumerate(cast("list[EncoderLayer]", list(self.layers))):
            x, present = layer.advance(x, self.positions, bias, past[i] if past else None, start, causal=causal)
            cache.append(present)
        return x, tuple(cache)

    def _bias(self, source_bias: Tensor, T: int, keys: int, *, causal: bool) -> Tensor:
        """Score bias (B, h or 1, T, keys) of the last T of so many positions; the first (B, 1, 1, S) are the source."""
        bias = F.pad(source_bias, (0, keys - source_bias.shape[-1])).expand(-1, -1, T, -1)
        if causal:
            bias = bias + causal_bias(T, keys, source_bias.device)
        relative = self.positions.bias(T, keys, source_bias.device)  # (1, h, T, keys)
        return bias if relative is None else bias + relative


def rolled(x: Tensor, by: Tensor, axis: int) -> Tensor:
    """Each row of (B, ...) rotated along an axis by its own number of places (B,)."""
    size = x.shape[axis]
    if not size:
        return x
    index = (torch.arange(size, device=x.device) - by.unsqueeze(1)) % size  # (B, size)
    shape = [len(by), *(size if a == axis else 1 for a in range(1, x.dim()))]
    return x.gather(axis, index.view(shape).expand_as(x))
