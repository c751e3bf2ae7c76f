"""Scaled dot-product and multi-head attention (Vaswani et al. 2017, "Attention Is All You Need", section 3.2).

    Attention(Q, K, V) = softmax(Q K^T / sqrt(d)) V                         (1)
    MultiHead(Q, K, V) = Concat(head_1 .. head_h) W^O,   head_i = Attention(Q W_i^Q, K W_i^K, V W_i^V)

B batch, h heads, T queries, S keys, D model width, d = D / h width of a head.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from models.kernels.matmul_backend import call_with_mkl

SHORT = 64  # positions up to which a GPU's flash kernel, which works in blocks of 128, is not the fastest


def attention_weights(query: Tensor, key: Tensor, bias: Tensor | None = None, *, scale: float | None = None) -> Tensor:
    """softmax(Q K^T / sqrt(d) + bias): (..., T, S), equation 1 without the values.

    Args:
        query: (..., T, d).
        key: (..., S, d).
        bias: Added to the scores, broadcast to (..., T, S); -inf masks a key. A query whose keys are all masked has
            weights of zero, as in torch's fused kernel.
        scale: Replaces 1 / sqrt(d).
    """
    scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)  # (..., T, S)
    if bias is None:
        return torch.softmax(scores, dim=-1)
    scores = scores + bias
    all_masked = scores.isneginf().all(-1, keepdim=True)
    return torch.softmax(scores.masked_fill(all_masked, 0), dim=-1).masked_fill(all_masked, 0)


def causal_bias(queries: int, keys: int, device: torch.device) -> Tensor:
    """(T, S): -inf where a key comes after its query, else 0; the queries are the last T of S positions."""
    return torch.full((queries, keys), -torch.inf, device=device).triu(keys - queries + 1)


def minus_infinity_where(masked: Tensor) -> Tensor:
    """A score bias in single precision: -inf where `masked`, else 0."""
    return torch.zeros_like(masked, dtype=torch.float).masked_fill(masked, -torch.inf)


class KeyValue(NamedTuple):
    """Keys and values of one attention, each (B, h, S, d): the cache of incremental decoding."""

    key: Tensor
    value: Tensor

    def after(self, past: "KeyValue | None") -> "KeyValue":
        """These behind those of earlier positions."""
        return self if past is None else KeyValue(*(torch.cat(pair, 2) for pair in zip(past, self, strict=True)))


Cache = tuple[KeyValue, ...]  # of each layer


class MultiHeadAttention(nn.Module):
    """MultiHead(Q, K, V), section 3.2.2.

    Queries, keys and values are projected in methods of their own, so that a decoder can cache the keys and values of
    earlier steps and of the source.

    Args:
        width: Model width D.
        heads: Number of heads h; must divide D.
        scale_scores: Divide scores by sqrt(d) (section 3.2.1); False is an ablation.
    """

    def __init__(self, width: int, heads: int, *, scale_scores: bool = True) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"network.heads is {heads}, which does not divide network.width {width}.")
        self.heads = heads
        self.scale = (width // heads) ** -0.5 if scale_scores else 1.0
        self.W_q = nn.Linear(width, width)
        self.W_kv = nn.Linear(width, 2 * width)
        self.W_o = nn.Linear(width, width)
        for projection in (self.W_q, self.W_kv):
            # Xavier bound of the stacked (3 D, D) matrix of queries, keys and values.
            bound = math.sqrt(6 / (4 * width))
            nn.init.uniform_(projection.weight, -bound, bound)
            nn.init.zeros_(projection.bias)
        nn.init.xavier_uniform_(self.W_o.weight)
        nn.init.zeros_(self.W_o.bias)

    def queries(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, h, T, d)."""
        return self._by_head(self.W_q(x))

    def keys_values(self, x: Tensor) -> KeyValue:
        """(B, S, D) -> keys and values, each (B, h, S, d)."""
        key, value = self.W_kv(x).chunk(2, dim=-1)
        return KeyValue(self._by_head(key), self._by_head(value))

    def _by_head(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, query: Tensor, keys_values: KeyValue, bias: Tensor | None, *, causal: bool = False) -> Tensor:
        """Queries (B, h, T, d) over keys and values (B, h, S, d) -> (B, T, D).

        Args:
            query: From `queries`, with positions applied.
            keys_values: From `keys_values`, with positions applied.
            bias: Added to the scores, broadcast to (B, h, T, S), or None.
            causal: Queries are the last T of S positions, and attend to no later key; where there is no bias and T is
                S, by the kernel's own causal path.
        """
        T, S = query.shape[2], keys_values.key.shape[2]
        if causal and (bias is not None or T != S):
            bias, causal = causal_bias(T, S, query.device) + (0 if bias is None else bias), False
        # On a CPU the kernel runs in single precision: its backward pass in bf16 takes four times as long (42 against
        # 9 ms, one thread, 156 x 4 x 16 x 64, torch 2.13).
        on_cpu = query.device.type == "cpu"
        dtype = torch.float if on_cpu and query.dtype == torch.bfloat16 else query.dtype
        key, value = keys_values.key.to(dtype), keys_values.value.to(dtype)

        def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
            with _for_short() if not on_cpu and T > 1 and max(T, S) <= SHORT else nullcontext():
                return F.scaled_dot_product_attention(query, key, value, bias, is_causal=causal, scale=self.scale)

        with torch.autocast(query.device.type, enabled=not on_cpu and torch.is_autocast_enabled(query.device.type)):
            heads = call_with_mkl(attend, query.to(dtype), key, value, None if bias is None else bias.to(dtype))
        return self.W_o(heads.transpose(1, 2).flatten(2))  # (B, T, D)


def _for_short() -> AbstractContextManager[None]:
    """torch's memory-efficient kernel, unless flash is switched off already; compiled code cannot choose."""
    if torch.compiler.is_compiling() or not torch.backends.cuda.flash_sdp_enabled():
        return nullcontext()
    return sdpa_kernel([SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH])


@contextmanager
def watched(attentions: Iterable[MultiHeadAttention]) -> Iterator[list[Tensor]]:
    """The weights (B, h, T, S) of each call of these attentions in the block, in the order of the calls."""
    maps: list[Tensor] = []

    def keep(attention: MultiHeadAttention, args: Any, kwargs: Any, output: Tensor) -> None:
        query, keys_values, bias = args
        if kwargs.get("causal"):
            causal = causal_bias(query.shape[2], keys_values.key.shape[2], query.device)
            bias = causal if bias is None else bias + causal
        maps.append(attention_weights(query, keys_values.key, bias, scale=attention.scale))

    with ExitStack() as hooks:
        for attention in attentions:
            hooks.enter_context(attention.register_forward_hook(keep, with_kwargs=True))
        yield maps


def by_layer(kind: str, maps: list[Tensor]) -> dict[str, Tensor]:
    """Attention weights of each layer by name."""
    return {f"{kind} layer {i}": weights for i, weights in enumerate(maps, start=1)}
