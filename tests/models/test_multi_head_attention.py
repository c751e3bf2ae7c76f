import math

import pytest
import torch
from torch import Tensor, nn

from models.multi_head_attention import KeyValue, MultiHeadAttention, attention_weights, causal_bias
from models.positions import ALiBi

CPU = torch.device("cpu")
B, T, S, D, HEADS = 3, 5, 7, 12, 3


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def layer(*, scale_scores: bool = True) -> MultiHeadAttention:
    torch.manual_seed(3)
    attention = MultiHeadAttention(D, HEADS, scale_scores=scale_scores).double()
    for parameter in attention.parameters():
        nn.init.normal_(parameter)
    return attention


def padding_bias(lengths: tuple[int, ...], keys: int) -> Tensor:
    padding = torch.arange(keys) >= torch.tensor(lengths).unsqueeze(1)  # (B, S)
    return torch.zeros(len(lengths), 1, 1, keys).masked_fill(padding[:, None, None], -torch.inf)


@pytest.mark.parametrize("lengths", [(7, 7, 7), (7, 3, 1)])
def test_cross_attention_equals_torch(lengths: tuple[int, ...]) -> None:
    ours, target, source = layer(), random(B, T, D), random(B, S, D, seed=1)
    theirs = nn.MultiheadAttention(D, HEADS, batch_first=True, dtype=torch.float64)
    theirs.load_state_dict(
        {
            "in_proj_weight": torch.cat([ours.W_q.weight, ours.W_kv.weight]),
            "in_proj_bias": torch.cat([ours.W_q.bias, ours.W_kv.bias]),
            "out_proj.weight": ours.W_o.weight,
            "out_proj.bias": ours.W_o.bias,
        }
    )
    bias = padding_bias(lengths, S)
    expected, weights = theirs(target, source, source, key_padding_mask=bias[:, 0, 0] < 0, average_attn_weights=False)
    query, keys_values = ours.queries(target), ours.keys_values(source)
    assert query.shape == (B, HEADS, T, D // HEADS)
    torch.testing.assert_close(ours(query, keys_values, bias), expected)
    torch.testing.assert_close(attention_weights(query, keys_values.key, bias.double(), scale=ours.scale), weights)


@pytest.mark.parametrize("scale_scores", [True, False])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("alibi", [True, False])
@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("queries", [S, 3])
def test_the_kernel_equals_the_equation(
    queries: int, padded: bool, alibi: bool, causal: bool, scale_scores: bool
) -> None:
    ours, x = layer(scale_scores=scale_scores), random(B, S, D)
    query, keys_values = ours.queries(x[:, -queries:]), ours.keys_values(x)
    terms = [padding_bias((7, 5, 2), S)] if padded else []
    terms += [ALiBi(HEADS).bias(queries, S, CPU)] if alibi else []
    bias = sum(terms[1:], terms[0]) if terms else None
    everything = torch.zeros(B, HEADS, queries, S, dtype=torch.float64)
    for term in [*terms, *([causal_bias(queries, S, CPU)] if causal else [])]:
        everything = everything + term
    heads = attention_weights(query, keys_values.key, everything, scale=ours.scale) @ keys_values.value
    expected = ours.W_o(heads.transpose(1, 2).flatten(2))
    torch.testing.assert_close(ours(query, keys_values, bias, causal=causal), expected)


def test_a_query_without_any_key_gets_zeros_and_changes_no_other() -> None:
    """Equation 1 is 0 / 0 there; weights and kernel give zeros, and no gradient is NaN."""
    ours = layer()
    target, source = random(2, T, D).requires_grad_(), random(2, S, D, seed=1)
    bias = padding_bias((0, S), S)
    query, keys_values = ours.queries(target), ours.keys_values(source)
    assert attention_weights(query, keys_values.key, bias)[0].eq(0).all()
    output = ours(query, keys_values, bias)
    torch.testing.assert_close(output[0], ours.W_o.bias.expand(T, D))
    alone = ours(query[1:], KeyValue(keys_values.key[1:], keys_values.value[1:]), None)
    torch.testing.assert_close(output[1:], alone)
    (gradient,) = torch.autograd.grad(output.square().sum(), target)
    assert gradient.isfinite().all()
    assert (gradient[0] == 0).all()
    assert gradient[1].abs().sum() > 0


def test_initial_weights_have_the_bound_of_the_stacked_matrix() -> None:
    attention = MultiHeadAttention(64, 4)
    bound = math.sqrt(6 / (64 + 3 * 64))
    for projection in (attention.W_q, attention.W_kv):
        assert 0.98 * bound < projection.weight.abs().max() <= bound
        assert (projection.bias == 0).all()
    assert attention.scale == 0.25
    assert MultiHeadAttention(64, 4, scale_scores=False).scale == 1.0


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match=r"network\.heads is 5.*network\.width 12"):
        MultiHeadAttention(12, 5)
