import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.kernels.dropout import Dropout
from models.multi_head_attention import KeyValue, MultiHeadAttention
from models.positions import Positions, Sinusoidal
from models.transformer import DecoderLayer, EncoderLayer, FeedForward, LayerSettings, TransformerNetwork
from tests.support.toy_networks import PAD, decoder_inputs, randomised, sources, transformer

WITH_POSITIONS = ["sinusoidal", "learned", "rotary", "alibi"]


def network(**settings: Any) -> TransformerNetwork:
    torch.manual_seed(0)
    return randomised(transformer(**settings).double().eval())


def copy_attention(theirs: nn.MultiheadAttention, ours: MultiHeadAttention) -> None:
    theirs.in_proj_weight = nn.Parameter(torch.cat([ours.W_q.weight, ours.W_kv.weight]))
    theirs.in_proj_bias = nn.Parameter(torch.cat([ours.W_q.bias, ours.W_kv.bias]))
    theirs.out_proj.load_state_dict(ours.W_o.state_dict())


def copy_feed_forward(theirs: nn.Module, ours: FeedForward) -> None:
    theirs.get_submodule("linear1").load_state_dict(ours.W_1.state_dict())
    theirs.get_submodule("linear2").load_state_dict(ours.W_2.state_dict())


def torch_encoder_layer(ours: EncoderLayer, *, pre: bool) -> nn.TransformerEncoderLayer:
    theirs = nn.TransformerEncoderLayer(8, 2, 12, 0.0, batch_first=True, norm_first=pre, dtype=torch.float64)
    copy_attention(theirs.self_attn, ours.self_attention)
    copy_feed_forward(theirs, ours.feed_forward)
    theirs.norm1.load_state_dict(ours.around_attention.norm.state_dict())
    theirs.norm2.load_state_dict(ours.around_feed_forward.norm.state_dict())
    return theirs


def torch_decoder_layer(ours: DecoderLayer, *, pre: bool) -> nn.TransformerDecoderLayer:
    theirs = nn.TransformerDecoderLayer(8, 2, 12, 0.0, batch_first=True, norm_first=pre, dtype=torch.float64)
    copy_attention(theirs.self_attn, ours.self_attention)
    copy_attention(theirs.multihead_attn, ours.cross_attention)
    copy_feed_forward(theirs, ours.feed_forward)
    theirs.norm1.load_state_dict(ours.around_self.norm.state_dict())
    theirs.norm2.load_state_dict(ours.around_cross.norm.state_dict())
    theirs.norm3.load_state_dict(ours.around_feed_forward.norm.state_dict())
    return theirs


def embedded(table: nn.Embedding, tokens: Tensor) -> Tensor:
    places = Sinusoidal(8).added(0, tokens.shape[1], torch.device("cpu"))
    return table.weight[tokens] * math.sqrt(8) + places


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_the_network_equals_torch_layers(norm: str) -> None:
    ours, source, decoder_input = network(norm=norm), sources(), decoder_inputs()
    pre, padding = norm == "pre", source == PAD
    x = embedded(ours.source_embedding, source)
    for layer in ours.encoder:
        assert isinstance(layer, EncoderLayer)
        # In training mode torch does not take its fused path, and without dropout nothing else differs.
        x = torch_encoder_layer(layer, pre=pre)(x, src_key_padding_mask=padding)
    x = ours.encoder_norm(x)
    y = embedded(ours.target_embedding, decoder_input)
    later = torch.ones(y.shape[1], y.shape[1], dtype=torch.bool).triu(1)
    for layer in ours.decoder:
        assert isinstance(layer, DecoderLayer)
        y = torch_decoder_layer(layer, pre=pre)(y, x, tgt_mask=later, memory_key_padding_mask=padding)
    expected = ours.decoder_norm(y) @ ours.output.weight.T + ours.output.bias
    torch.testing.assert_close(ours(source, decoder_input), expected, rtol=0, atol=1e-6)


def test_without_positions_a_first_decoder_layer_sees_earlier_words_as_a_set() -> None:
    ours, source = network(positions="none", decoder_layers=1), sources()
    decoder_input = decoder_inputs((6, 6, 6, 6))
    shuffled = decoder_input[:, [2, 0, 4, 1, 3, 5]]
    torch.testing.assert_close(ours(source, shuffled)[:, -1], ours(source, decoder_input)[:, -1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_without_residual_connections_a_sub_layer_forgets_its_input(norm: str) -> None:
    for residual in (True, False):
        ours = network(norm=norm, residual=residual)
        for layer in (*ours.encoder, *ours.decoder):
            for part in layer.modules():
                if isinstance(part, FeedForward):
                    nn.init.zeros_(part.W_2.weight)
        logits, others = ours(sources(), decoder_inputs()), ours(sources(seed=5), decoder_inputs(seed=6))
        assert torch.allclose(logits, others) == (not residual)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_dropout_acts_on_what_a_sub_layer_adds(norm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If all of it is dropped the input is left (Vaswani et al. 2017, 5.4: before it is added and normalised)."""
    monkeypatch.setattr(Dropout, "forward", lambda _, x: torch.zeros_like(x))
    layer, x = EncoderLayer(LayerSettings(8, 2, 12, norm=norm)), torch.randn(2, 3, 8)  # type: ignore[arg-type]
    expected = x if norm == "pre" else F.layer_norm(F.layer_norm(x, [8]), [8])
    torch.testing.assert_close(layer(x, Positions(), None), expected)


def test_unscaled_scores_are_larger_by_the_root_of_a_heads_width() -> None:
    scaled, plain = network(), network(scale_scores=False)
    plain.load_state_dict(scaled.state_dict())
    with torch.no_grad():
        for layer in plain.modules():
            if isinstance(layer, MultiHeadAttention):
                layer.W_q.weight.div_(2)  # sqrt(d), d = 4
                layer.W_q.bias.div_(2)
    torch.testing.assert_close(plain(sources(), decoder_inputs()), scaled(sources(), decoder_inputs()))


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("kind", [*WITH_POSITIONS, "none"])
def test_weights_times_values_are_what_attention_gives(kind: str, scaled: bool) -> None:
    """Whatever the positions do to queries, keys or scores, the map is that of the attention that ran."""
    ours, source, decoder_input = network(positions=kind, scale_scores=scaled), sources(), decoder_inputs()
    ran: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def keep(attention: nn.Module, given: tuple[Tensor, KeyValue, Tensor], output: Tensor) -> None:
        ran[attention] = given[1].value, output

    maps = ours.every_attention(source, decoder_input)
    named = {}
    for i, layer in enumerate(ours.encoder, start=1):
        named[f"encoder layer {i}"] = layer.get_submodule("self_attention")
    for i, layer in enumerate(ours.decoder, start=1):
        named[f"decoder layer {i}"] = layer.get_submodule("self_attention")
        named[f"cross layer {i}"] = layer.get_submodule("cross_attention")
    for attention in named.values():
        attention.register_forward_hook(keep)
    ours(source, decoder_input)
    assert set(named) == set(maps)
    for name, attention in named.items():
        assert isinstance(attention, MultiHeadAttention)
        value, output = ran[attention]
        expected = attention.W_o((maps[name] @ value).transpose(1, 2).flatten(2))
        torch.testing.assert_close(output, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_features_are_normalised_once_at_the_end(norm: str) -> None:
    torch.manual_seed(0)
    ours = transformer(norm=norm).eval()  # fresh norms: weight 1, bias 0
    features = ours.decode(ours.encode(sources()), decoder_inputs())
    torch.testing.assert_close(features.mean(-1), torch.zeros(4, 6), rtol=0, atol=1e-5)
    torch.testing.assert_close(features.var(-1, correction=0), torch.ones(4, 6), rtol=0, atol=1e-2)
