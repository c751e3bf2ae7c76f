import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from experiments.speed.profiling import kernels, peak_memory

CPU = torch.device("cpu")
FLOATS = 1_000_000


def test_what_is_held_at_once_counts_and_what_was_freed_before_does_not() -> None:
    def one_after_another() -> None:
        for _ in range(5):
            torch.ones(FLOATS)

    def together() -> list[torch.Tensor]:
        return [torch.ones(FLOATS) for _ in range(5)]

    assert 4 * FLOATS <= peak_memory(one_after_another, CPU) < 5 * FLOATS
    assert 20 * FLOATS <= peak_memory(together, CPU) < 21 * FLOATS


def test_what_was_there_before_does_not_count() -> None:
    kept = torch.ones(10 * FLOATS)
    assert peak_memory(lambda: kept.mul_(2), CPU) < FLOATS


@pytest.mark.parametrize(("backend", "words"), [(SDPBackend.FLASH_ATTENTION, "flash (CPU)"), (SDPBackend.MATH, "math")])
def test_the_attention_kernel_that_ran_is_named(backend: SDPBackend, words: str) -> None:
    x = torch.randn(2, 2, 5, 8)

    def run() -> None:
        with sdpa_kernel(backend):
            F.scaled_dot_product_attention(x, x, x)

    assert kernels(run) == {"attention kernel": words}


def test_the_recurrent_kernel_that_ran_is_named() -> None:
    x, lstm, gru = torch.randn(2, 5, 8), nn.LSTM(8, 8), nn.GRU(8, 8)
    assert kernels(lambda: lstm(x)) == {"recurrent kernel": "oneDNN layer"}
    assert kernels(lambda: gru(x)) == {"recurrent kernel": "torch's loop over steps"}


def test_a_call_without_either_has_no_kernels_to_name() -> None:
    assert kernels(lambda: torch.ones(3).sum()) == {}
