"""Small networks of every kind and variant, and a batch for them.

All weights are random, biases, norms and padding embeddings included, so that a wrong use of any of them shows.
"""

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from models.bahdanau import BahdanauNetwork, BahdanauSettings
from models.decoder_only.attention import DecoderOnlyAttentionNetwork, DecoderOnlyAttentionSettings
from models.decoder_only.recurrent import DecoderOnlyRecurrentNetwork, DecoderOnlyRecurrentSettings
from models.decoder_only.transformer import DecoderOnlyTransformerNetwork, DecoderOnlyTransformerSettings
from models.embedding import Vocabularies
from models.encoder_only.recurrent import EncoderOnlyRecurrentNetwork, EncoderOnlyRecurrentSettings
from models.encoder_only.transformer import EncoderOnlyTransformerNetwork, EncoderOnlyTransformerSettings
from models.lstm import LSTMNetwork, LSTMSettings
from models.network import Network
from models.recurrent import Cell
from models.transformer import TransformerNetwork, TransformerSettings

SOURCE_VOCABULARY, TARGET_VOCABULARY = 11, 13
PAD, BOS, EOS = 0, 1, 2
Built = TypeVar("Built", bound=nn.Module)


def _made(network: Callable[..., Any], settings: Callable[..., Any], *, shared: bool = False, **changes: Any) -> Any:
    source = TARGET_VOCABULARY if shared else SOURCE_VOCABULARY
    return network(Vocabularies(source, TARGET_VOCABULARY, shared), settings(**{"dropout": 0.3, **changes}))


SIZE: dict[str, Any] = {"embedding": 6, "hidden": 8}
LAYERS: dict[str, Any] = {"width": 8, "heads": 2, "feed_forward": 12, "max_length": 64}
lstm = partial(_made, LSTMNetwork, LSTMSettings, **SIZE)
bahdanau = partial(_made, BahdanauNetwork, BahdanauSettings, **SIZE)
transformer = partial(_made, TransformerNetwork, TransformerSettings, **LAYERS, encoder_layers=2, decoder_layers=2)
decoder_only_recurrent = partial(_made, DecoderOnlyRecurrentNetwork, DecoderOnlyRecurrentSettings, **SIZE)
decoder_only_attention = partial(_made, DecoderOnlyAttentionNetwork, DecoderOnlyAttentionSettings, **SIZE, attention=4)
decoder_only_transformer = partial(
    _made, DecoderOnlyTransformerNetwork, DecoderOnlyTransformerSettings, **LAYERS, layers=2
)
encoder_only_recurrent = partial(_made, EncoderOnlyRecurrentNetwork, EncoderOnlyRecurrentSettings, **SIZE)
encoder_only_transformer = partial(
    _made, EncoderOnlyTransformerNetwork, EncoderOnlyTransformerSettings, **LAYERS, layers=2
)


Builder = Callable[[], Network]


def _builders() -> dict[str, Builder]:
    builders: dict[str, Builder] = {}

    def add(name: str, kind: Callable[..., Network], **settings: Any) -> None:
        builders[name] = lambda: kind(**settings)

    cells: tuple[Cell, ...] = ("lstm", "gru", "rnn")
    for cell, layers, feed in product(cells, (1, 2), (False, True)):
        name = f"lstm-{cell}-{layers}-layers{'-feed-context' if feed else ''}"
        add(name, lstm, cell=cell, layers=layers, feed_context=feed)
    add("lstm-one-way", lstm, bidirectional=False, layers=2)
    add("lstm-untied", lstm, tied=False)
    add("lstm-shared", lstm, shared=True)
    for routing, layers in product(("input_feeding", "parallel"), (1, 2, 3)):
        add(f"bahdanau-{routing}-{layers}-layers", bahdanau, routing=routing, layers=layers)
    add("bahdanau-one-way", bahdanau, bidirectional=False, layers=2)
    add("bahdanau-untied", bahdanau, tied=False)
    add("bahdanau-shared", bahdanau, shared=True)
    for kind, norm in product(("sinusoidal", "learned", "rotary", "alibi", "none"), ("pre", "post")):
        add(f"transformer-{kind}-{norm}", transformer, positions=kind, norm=norm)
    for norm in ("pre", "post"):
        # In deeper networks hardly anything of a token would be left to compare.
        one_layer = {"encoder_layers": 1, "decoder_layers": 1}
        add(f"transformer-no-residual-{norm}", transformer, residual=False, norm=norm, **one_layer)
    add("transformer-unscaled", transformer, scale_scores=False)
    add("transformer-one-layer", transformer, encoder_layers=1, decoder_layers=1)
    add("transformer-uneven-layers", transformer, encoder_layers=1, decoder_layers=3)
    add("transformer-untied", transformer, tied=False)
    add("transformer-shared", transformer, shared=True)
    for cell, layers in product(cells, (1, 2)):
        add(f"decoder_only-{cell}-{layers}-layers", decoder_only_recurrent, cell=cell, layers=layers)
    for layers in (1, 2):
        add(f"decoder_only-attention-{layers}-layers", decoder_only_attention, layers=layers)
    for kind, prefix in product(("sinusoidal", "learned", "rotary", "alibi", "none"), (False, True)):
        name = f"decoder_only-{'prefix' if prefix else 'causal'}-{kind}"
        add(name, decoder_only_transformer, positions=kind, prefix=prefix, norm="post" if kind == "none" else "pre")
    add("decoder_only-lstm-shared", decoder_only_recurrent, shared=True)
    add("decoder_only-attention-shared", decoder_only_attention, shared=True)
    add("decoder_only-causal-shared", decoder_only_transformer, shared=True, positions="rotary")
    for cell, layers in product(cells, (1, 2)):
        add(f"encoder_only-{cell}-{layers}-layers", encoder_only_recurrent, cell=cell, layers=layers)
    for kind in ("sinusoidal", "learned", "rotary", "alibi", "none"):
        add(f"encoder_only-{kind}", encoder_only_transformer, positions=kind, norm="post" if kind == "none" else "pre")
    add("encoder_only-lstm-shared", encoder_only_recurrent, shared=True)
    add("encoder_only-rotary-shared", encoder_only_transformer, shared=True, positions="rotary")
    return builders


BUILDERS = _builders()
ALL = list(BUILDERS)
ONE_OF_EACH = [
    "lstm-lstm-2-layers-feed-context",
    "bahdanau-input_feeding-2-layers",
    "bahdanau-parallel-2-layers",
    "transformer-sinusoidal-pre",
    "transformer-alibi-post",
    "decoder_only-lstm-2-layers",
    "decoder_only-attention-2-layers",
    "decoder_only-causal-rotary",
    "decoder_only-prefix-alibi",
    "encoder_only-lstm-2-layers",
    "encoder_only-rotary",
]


def build(name: str, *, seed: int = 0, dtype: torch.dtype = torch.float64) -> Network:
    """The network of that name in evaluation mode, with every weight drawn from a seed."""
    torch.manual_seed(seed)
    network = BUILDERS[name]().to(dtype).eval()
    return randomised(network)


@torch.no_grad()
def randomised(network: Built) -> Built:
    for parameter in network.parameters():
        parameter.add_(0.4 * torch.randn_like(parameter))
    return network


def sources(lengths: tuple[int, ...] = (7, 4, 1, 6), *, seed: int = 1) -> Tensor:
    """(B, S) sources of these lengths, padded."""
    return _padded(lengths, SOURCE_VOCABULARY, seed)


def decoder_inputs(lengths: tuple[int, ...] = (3, 6, 5, 1), *, seed: int = 2) -> Tensor:
    """(B, T) decoder inputs of these lengths, padded, each beginning with BOS."""
    tokens = _padded(lengths, TARGET_VOCABULARY, seed)
    tokens[:, 0] = BOS
    return tokens


def _padded(lengths: tuple[int, ...], vocabulary: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(3, vocabulary, (len(lengths), max(lengths)), generator=generator)
    return tokens.masked_fill(torch.arange(max(lengths)) >= torch.tensor(lengths).unsqueeze(1), PAD)


class Chain(Network):
    """The next token depends on the step and the last token alone.

    Scores are (steps, V, V) by step, last token and next. Were they the same at every step, hypotheses with the same
    transitions in another order would tie.
    """

    def __init__(self, scores: Tensor) -> None:
        super().__init__()
        self.scores = scores

    def encode(self, source: Tensor, padded: bool = True) -> Tensor:
        return source

    def start(self, memory: Tensor) -> Tensor:
        return torch.zeros(len(memory), dtype=torch.long)

    def advance(self, tokens: Tensor, memory: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        steps = state.unsqueeze(1) + torch.arange(tokens.shape[1])
        return self.scores[steps, tokens], state + tokens.shape[1]

    def project(self, features: Tensor) -> Tensor:
        return features
