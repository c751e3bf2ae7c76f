"""The Transformer (Vaswani et al. 2017, "Attention Is All You Need").

    encoder layer   x = LayerNorm(x + MultiHead(x, x, x)),   x = LayerNorm(x + FFN(x))           (section 3.1)
    decoder layer   the same with causal self-attention, and MultiHead(y, source, source) between the two
    FFN(x)          max(0, x W_1 + b_1) W_2 + b_2                                                (equation 2)

Pre-norm layers (Xiong et al. 2020) compute x + f(LayerNorm(x)) instead.
B batch, S source length, T target length, D model width, h heads, d = D / h, V target vocabulary.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

from torch import Tensor, nn
from torch.nn import functional as F

from models.embedding import PAD, Vocabularies, embeddings, output_projection
from models.kernels.dropout import Dropout
from models.multi_head_attention import Cache, KeyValue, MultiHeadAttention, by_layer, minus_infinity_where, watched
from models.network import Network
from models.positions import PositionKind, Positions, positions


@dataclass
class LayerSettings:
    """Size and variants of Transformer layers.

    Args:
        width: Model width D.
        heads: Attention heads h.
        feed_forward: Inner width of the feed-forward layers.
        dropout: Dropout probability of embeddings and sub-layer outputs (section 5.4).
        positions: Position encoding: sinusoidal, learned, rotary, alibi or none.
        max_length: Longest sequence of learned positions, in tokens.
        norm: post as in the paper, or pre (Xiong et al. 2020), which trains without warm-up.
        residual: Add each sub-layer's input to its output; False is an ablation.
        scale_scores: Divide attention scores by sqrt(d); False is an ablation.
        tied: Share one matrix between target embedding and output projection, and with the source embedding if the
            vocabulary is joint (section 3.4); one stack always shares that, and an encoder alone has a matrix to share
            only then.
    """

    width: int = 256
    heads: int = 4
    feed_forward: int = 1024
    dropout: float = 0.1
    positions: PositionKind = "sinusoidal"
    max_length: int = 512
    norm: Literal["pre", "post"] = "pre"
    residual: bool = True
    scale_scores: bool = True
    tied: bool = True


@dataclass
class TransformerSettings(LayerSettings):
    """Size and variants of the Transformer.

    Args:
        encoder_layers: Layers of the encoder.
        decoder_layers: Layers of the decoder.
    """

    encoder_layers: int = 3
    decoder_layers: int = 3


class FeedForward(nn.Module):
    """FFN(x) = max(0, x W_1 + b_1) W_2 + b_2 (equation 2)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.W_1 = nn.Linear(width, inner)
        self.W_2 = nn.Linear(inner, width)
        for layer in (self.W_1, self.W_2):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.W_2(F.relu(self.W_1(x)))


class SubLayer(nn.Module):
    """Residual connection and norm around a sub-layer f: LayerNorm(x + f(x)) (section 3.1), or x + f(LayerNorm(x))."""

    def __init__(self, settings: LayerSettings) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(settings.width)
        self.dropout = Dropout(settings.dropout)
        self.pre = settings.norm == "pre"
        self.residual = settings.residual

    def before(self, x: Tensor) -> Tensor:
        """Input of f."""
        return self.norm(x) if self.pre else x

    def after(self, x: Tensor, output: Tensor) -> Tensor:
        """Residual sum and norm of f's output."""
        output = self.dropout(output)
        added = x + output if self.residual else output
        return added if self.pre else self.norm(added)


def self_projections(
    attention: MultiHeadAttention, x: Tensor, place: Positions, start: int = 0
) -> tuple[Tensor, KeyValue]:
    """(B, T, D) at positions start .. start + T - 1 -> queries (B, h, T, d), keys and values."""
    query = place.rotated(attention.queries(x), start)
    key, value = attention.keys_values(x)
    return query, KeyValue(place.rotated(key, start), value)


class EncoderLayer(nn.Module):
    """Self-attention, then feed-forward (section 3.1)."""

    def __init__(self, settings: LayerSettings) -> None:
        super().__init__()
        self.self_attention = MultiHeadAttention(settings.width, settings.heads, scale_scores=settings.scale_scores)
        self.feed_forward = FeedForward(settings.width, settings.feed_forward)
        self.around_attention = SubLayer(settings)
        self.around_feed_forward = SubLayer(settings)

    def forward(self, x: Tensor, place: Positions, bias: Tensor | None) -> Tensor:
        """(B, S, D) and a score bias (B, h or 1, 1 or S, S) or None -> (B, S, D)."""
        return self.advance(x, place, bias)[0]

    def advance(
        self,
        x: Tensor,
        place: Positions,
        bias: Tensor | None,
        past: KeyValue | None = None,
        start: int = 0,
        *,
        causal: bool = False,
    ) -> tuple[Tensor, KeyValue]:
        """Run T positions from `start` on after t cached ones: (B, T, D), keys and values of all t + T positions."""
        query, present = self_projections(self.self_attention, self.around_attention.before(x), place, start)
        present = present.after(past)
        x = self.around_attention.after(x, self.self_attention(query, present, bias, causal=causal))
        return self.around_feed_forward.after(x, self.feed_forward(self.around_feed_forward.before(x))), present


def source_biases(source: Tensor, place: Positions, padded: bool = True) -> tuple[Tensor | None, Tensor | None]:
    """-inf at padding, (B, 1, 1, S); the same plus the encoder's position bias, (B or 1, 1 or h, 1 or S, S).

    None where there is nothing to add: an accelerator's fastest attention takes no bias.
    """
    relative = place.bias(source.shape[1], source.shape[1], source.device)  # (1, h, S, S)
    if not padded:
        return None, relative
    padding = (source == PAD)[:, None, None, :]
    bias = minus_infinity_where(padding)
    return bias, bias if relative is None else bias + relative


class DecoderLayer(nn.Module):
    """Causal self-attention, attention to the source, then feed-forward (section 3.1)."""

    def __init__(self, settings: LayerSettings) -> None:
        super().__init__()
        self.self_attention = MultiHeadAttention(settings.width, settings.heads, scale_scores=settings.scale_scores)
        self.cross_attention = MultiHeadAttention(settings.width, settings.heads, scale_scores=settings.scale_scores)
        self.feed_forward = FeedForward(settings.width, settings.feed_forward)
        self.around_self = SubLayer(settings)
        self.around_cross = SubLayer(settings)
        self.around_feed_forward = SubLayer(settings)

    def forward(
        self, x: Tensor, past: KeyValue | None, source: KeyValue, source_bias: Tensor | None, place: Positions
    ) -> tuple[Tensor, KeyValue]:
        """Run T positions after t cached ones.

        Args:
            x: (B, T, D).
            past: Self-attention keys and values of earlier positions, (B, h, t, d) each, or None at the start.
            source: Cross-attention keys and values, (B, h, S, d) each.
            source_bias: (B, 1, 1, S), -inf at padding, or None.
            place: The position encoding.

        Returns:
            (B, T, D); self-attention keys and values of all t + T positions.
        """
        start = 0 if past is None else past.key.shape[2]
        query, present = self_projections(self.self_attention, self.around_self.before(x), place, start)
        present = present.after(past)
        T = x.shape[1]
        bias = place.bias(T, present.key.shape[2], x.device)
        attended = self.self_attention(query, present, bias, causal=T > 1)
        x = self.around_self.after(x, attended)

        source_query = self.cross_attention.queries(self.around_cross.before(x))
        x = self.around_cross.after(x, self.cross_attention(source_query, source, source_bias))
        x = self.around_feed_forward.after(x, self.feed_forward(self.around_feed_forward.before(x)))
        return x, present


class TransformerMemory(NamedTuple):
    """The encoded source: keys and values for each decoder layer, and -inf at padding, (B, 1, 1, S), or None."""

    keys_values: tuple[KeyValue, ...]
    bias: Tensor | None


class TransformerNetwork(Network):
    """Encoder and decoder stacks between embeddings (figure 1).

    Args:
        vocabularies: Sizes of source and target; where they share ids and `tied` is set, one embedding serves both.
        settings: Size and variants.
    """

    def __init__(self, vocabularies: Vocabularies, settings: TransformerSettings) -> None:
        super().__init__()
        D = settings.width
        self.positions = positions(settings.positions, width=D, heads=settings.heads, max_length=settings.max_length)
        self.source_embedding, self.target_embedding = embeddings(
            vocabularies, D, one_table=settings.tied and vocabularies.shared
        )
        self.dropout = Dropout(settings.dropout)
        self.encoder = nn.ModuleList(EncoderLayer(settings) for _ in range(settings.encoder_layers))
        self.decoder = nn.ModuleList(DecoderLayer(settings) for _ in range(settings.decoder_layers))
        # A post-norm stack ends with a norm; a pre-norm stack needs one more.
        pre = settings.norm == "pre"
        self.encoder_norm = nn.LayerNorm(D) if pre else nn.Identity()
        self.decoder_norm = nn.LayerNorm(D) if pre else nn.Identity()
        self.output = output_projection(D, vocabularies.target, self.target_embedding if settings.tied else None)

    def encode(self, source: Tensor, padded: bool = True) -> TransformerMemory:
        """(B, S) token ids -> keys and values of the source for every decoder layer; a mask hides what is padded."""
        source_bias, bias = source_biases(source, self.positions, padded)
        x = self.dropout(self.positions(self.source_embedding(source), 0))  # (B, S, D), sections 3.4 and 3.5
        for layer in self.encoder:
            x = layer(x, self.positions, bias)
        x = self.encoder_norm(x)  # (B, S, D)
        return TransformerMemory(tuple(cross.keys_values(x) for cross in self._attentions("cross")), source_bias)

    def start(self, memory: TransformerMemory) -> Cache:
        return ()

    def advance(self, tokens: Tensor, memory: TransformerMemory, state: Cache) -> tuple[Tensor, Cache]:
        """(B, T) token ids from a state -> (B, T, D) features and the next state."""
        start = state[0].key.shape[2] if state else 0
        x = self.dropout(self.positions(self.target_embedding(tokens), start))  # (B, T, D)
        presents = []
        for i, layer in enumerate(self.decoder):
            x, present = layer(x, state[i] if state else None, memory.keys_values[i], memory.bias, self.positions)
            presents.append(present)
        return self.decoder_norm(x), tuple(presents)

    def attention(self, memory: TransformerMemory, decoder_input: Tensor) -> dict[str, Tensor]:
        with watched(self._attentions("cross")) as maps:
            self.decode(memory, decoder_input)
        return by_layer("cross", maps)

    def every_attention(self, source: Tensor, decoder_input: Tensor) -> dict[str, Tensor]:
        with watched(self._attentions("encoder")) as of_source, watched(self._attentions("decoder")) as of_target:
            to_source = self.attention(self.encode(source), decoder_input)
        return by_layer("encoder", of_source) | by_layer("decoder", of_target) | to_source

    def _attentions(self, kind: Literal["encoder", "decoder", "cross"]) -> list[MultiHeadAttention]:
        if kind == "cross":
            return [cast(DecoderLayer, layer).cross_attention for layer in self.decoder]
        stack = self.encoder if kind == "encoder" else self.decoder
        return [cast("EncoderLayer | DecoderLayer", layer).self_attention for layer in stack]
