"""The encoder-only Transformer (Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers ...").

The encoder of `models.transformer` alone: every token sees every other, on both sides.
B batch, S source length, T target length, D model width, h heads.
"""

from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from models.embedding import Embedding
from models.encoder_only.network import EncoderOnlyNetwork, States
from models.kernels.dropout import Dropout
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
        source_vocabulary, target_vocabulary: Sizes of the vocabularies.
        settings: Size and variants.
        shared_vocabulary: Whether source and target share their ids; if tied, the output is then the embedding.
        pad_id: Token id of padding.
    """

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        settings: EncoderOnlyTransformerSettings,
        *,
        shared_vocabulary: bool = False,
        pad_id: int = 0,
    ) -> None:
        super().__init__()
        self.pad_id = pad_id
        D = settings.width
        self.positions = positions(settings.positions, width=D, heads=settings.heads, max_length=settings.max_length)
        self.embedding = Embedding(source_vocabulary, D, pad_id)
        self.dropout = Dropout(settings.dropout)
        self.layers = nn.ModuleList(EncoderLayer(settings) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(D) if settings.norm == "pre" else nn.Identity()
        self.output = nn.Linear(D, target_vocabulary)
        nn.init.zeros_(self.output.bias)
        if settings.tied and shared_vocabulary:
            self.output.weight = self.embedding.weight

    def encode(self, source: Tensor, padded: bool = True) -> States:
        """(B, S) token ids -> a state for each; a mask hides what is padded."""
        return States(source, self._run(source))

    def attention(self, memory: States, decoder_input: Tensor) -> dict[str, Tensor]:
        """What the places asked for attend to, by layer."""
        place = self.place(memory.source, decoder_input).unsqueeze(1)  # (B, 1, T, S)
        maps = self._maps(memory.source)
        return {f"cross layer {i}": place.to(weights.dtype) @ weights for i, weights in enumerate(maps, 1)}

    def every_attention(self, source: Tensor, decoder_input: Tensor) -> dict[str, Tensor]:
        by_layer = {f"encoder layer {i}": weights for i, weights in enumerate(self._maps(source), 1)}
        return by_layer | self.attention(self.encode(source), decoder_input)

    def _maps(self, source: Tensor) -> list[Tensor]:
        maps: list[Tensor] = []
        self._run(source, maps)
        return maps

    def _run(self, source: Tensor, maps: list[Tensor] | None = None) -> Tensor:
        """(B, S) token ids -> (B, S, D); each layer's weights (B, h, S, S) are added to `maps`."""
        bias = source_biases(source, self.pad_id, self.positions)[1]
        x, place = self.embedding(source), self.positions.added(0, source.shape[1], source.device)
        x = self.dropout(x if place is None else x + place)
        for layer in cast("list[EncoderLayer]", list(self.layers)):
            if maps is not None:
                maps.append(layer.self_weights(x, self.positions, bias))
            x = layer(x, self.positions, bias)
        return cast(Tensor, self.norm(x))
