"""The encoder-only Transformer (Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers ...").

The encoder of `models.transformer` alone: every token sees every other, on both sides.
B batch, S source length, T target length, D model width, h heads.
"""

from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from models.embedding import Embedding, Vocabularies, output_projection
from models.encoder_only.network import EncoderOnlyNetwork, States
from models.kernels.dropout import Dropout
from models.multi_head_attention import by_layer, watched
from models.positions import positions
from models.transformer import EncoderLayer, LayerSettings, source_biases


@dataclass
class EncoderOnlyTransformerSettings(LayerSettings):
    """Size and variants of the encoder-only Transformer.

    Args:
        layers: Layers of the encoder.
    """

    layers: int = 4


class EncoderOnlyTransformerNetwork(EncoderOnlyNetwork):
    """One stack of self-attention over the source.

    Args:
        vocabularies: Sizes of source and target; where they share ids and `tied` is set, the output is the embedding.
        settings: Size and variants.
    """

    def __init__(self, vocabularies: Vocabularies, settings: EncoderOnlyTransformerSettings) -> None:
        super().__init__()
        D = settings.width
        self.positions = positions(settings.positions, width=D, heads=settings.heads, max_length=settings.max_length)
        self.embedding = Embedding(vocabularies.source, D)
        self.dropout = Dropout(settings.dropout)
        self.layers = nn.ModuleList(EncoderLayer(settings) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(D) if settings.norm == "pre" else nn.Identity()
        tied = self.embedding if settings.tied and vocabularies.shared else None
        self.output = output_projection(D, vocabularies.target, tied)

    def encode(self, source: Tensor, padded: bool = True) -> States:
        """(B, S) token ids -> a state for each; a mask hides what is padded."""
        bias = source_biases(source, self.positions, padded)[1]
        x = self.dropout(self.positions(self.embedding(source), 0))
        for layer in self.layers:
            x = layer(x, self.positions, bias)
        return States(source, self.norm(x))

    def attention(self, memory: States, decoder_input: Tensor) -> dict[str, Tensor]:
        """What the places asked for attend to, by layer."""
        return self._asked(self._maps(memory.source), memory.source, decoder_input)

    def every_attention(self, source: Tensor, decoder_input: Tensor) -> dict[str, Tensor]:
        maps = self._maps(source)
        return by_layer("encoder", maps) | self._asked(maps, source, decoder_input)

    def _asked(self, maps: list[Tensor], source: Tensor, decoder_input: Tensor) -> dict[str, Tensor]:
        place = self.place(source, decoder_input).unsqueeze(1)  # (B, 1, T, S)
        return by_layer("cross", [place.to(weights.dtype) @ weights for weights in maps])

    def _maps(self, source: Tensor) -> list[Tensor]:
        with watched(cast(EncoderLayer, layer).self_attention for layer in self.layers) as maps:
            self.encode(source)
        return maps
