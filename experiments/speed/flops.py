"""Floating-point operations of a network, counted by torch as they run, and the most that a device does per second.

A multiply-add counts 2. Only products are counted: additions, activations and softmax are left out, as usual. Attention
is counted in full, causal or not. torch's counter knows neither the fused LSTM nor the fused attention of a CPU: their
formulas are given to it here.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from experiments.speed.timing import alternate
from models.kernels.matmul_backend import onednn_matmul
from models.network import Network

Shape = Sequence[int]
PEAK_SIZES = {"cpu": (1024, 2048), "cuda": (4096, 8192)}
PEAK_DTYPES = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16}
PEAK_ROUNDS, PEAK_SECONDS = 5, 0.1


@dataclass(frozen=True)
class Flops:
    """Operations for one example; `vocabulary` is the part of `forward_backward` that projects to the vocabulary."""

    forward: int
    forward_backward: int
    vocabulary: int


def count(network: Network, source_length: int, target_length: int) -> Flops:
    """FLOPs of one teacher-forced example without padding: every position is projected to the vocabulary.

    Args:
        network: Left as it is; a copy on the CPU is run.
        source_length, target_length: S and T in tokens.
    """
    copied = copy.deepcopy(network).to("cpu").float().train()
    source = torch.full((1, source_length), network.pad_id + 1)
    decoder_input = torch.full((1, target_length), network.pad_id + 1)
    with _counter() as counter:
        logits = copied(source, decoder_input)
        forward = counter.get_total_flops()
        logits.sum().backward()
    features = copied.decode(copied.encode(source), decoder_input).detach().requires_grad_()
    with _counter() as vocabulary:
        copied.project(features).sum().backward()
    return Flops(forward, counter.get_total_flops(), vocabulary.get_total_flops())


def _counter() -> FlopCounterMode:
    aten = torch.ops.aten
    return FlopCounterMode(
        display=False,
        custom_mapping={
            aten.mkldnn_rnn_layer: _lstm_layer,
            aten.mkldnn_rnn_layer_backward: _lstm_layer_backward,
            aten.mv: _matrix_by_vector,
            aten._scaled_dot_product_flash_attention_for_cpu: _attention,
            aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
        },
    )


def _lstm_layer(x: Shape, weight_ih: Shape, weight_hh: Shape, *rest: Any, out_shape: Any = None, **named: Any) -> int:
    """8 h (d_in + h) a token: four gates, each a product with the input and one with the state."""
    steps, rows, _ = x
    return 2 * steps * rows * (weight_ih[0] * weight_ih[1] + weight_hh[0] * weight_hh[1])


def _lstm_layer_backward(x: Shape, weight_ih: Shape, weight_hh: Shape, *rest: Any, **named: Any) -> int:
    """One product for the gradient of what went in and one for that of the weights."""
    return 2 * _lstm_layer(x, weight_ih, weight_hh)


def _matrix_by_vector(matrix: Shape, vector: Shape, *rest: Any, out_shape: Any = None, **named: Any) -> int:
    return 2 * matrix[0] * matrix[1]


def _attention(query: Shape, key: Shape, value: Shape, *rest: Any, out_shape: Any = None, **named: Any) -> int:
    """4 n d a query and head: scores, then the weighted sum."""
    rows, heads, queries, width = query
    return 2 * rows * heads * queries * key[2] * (width + value[3])


def _attention_backward(gradient: Shape, query: Shape, key: Shape, value: Shape, *rest: Any, **named: Any) -> int:
    """Twice the forward pass; what a kernel computes again instead of keeping it is not counted."""
    return 2 * _attention(query, key, value)


def matmul_peak(precision: str, device: torch.device) -> float:
    """FLOP/s of the fastest block of a square matrix product in this precision."""
    dtype = PEAK_DTYPES[precision]
    best = 0.0
    for size in PEAK_SIZES[device.type]:
        a, b = (torch.randn(size, size, dtype=dtype, device=device) for _ in range(2))
        with onednn_matmul(precision == "32-true"):
            seconds = alternate({"product": partial(torch.matmul, a, b)}, PEAK_ROUNDS, PEAK_SECONDS, device)["product"]
        best = max(best, 2 * size**3 / min(seconds))
    return best
