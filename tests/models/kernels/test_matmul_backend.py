"""oneDNN's products are as exact as MKL's, are used in a block only, and leave small products to MKL."""

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models.kernels import matmul_backend
from models.kernels.matmul_backend import MATMUL, call_with_mkl, onednn_matmul

CAUSAL = torch.full((5, 5), -torch.inf).triu(1)


@pytest.fixture(params=[True, False], ids=["exact", "rounding"])
def exact(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[bool]:
    """A machine whose oneDNN multiplies exactly, and one whose oneDNN does not."""
    monkeypatch.setattr(matmul_backend, "onednn_is_exact", lambda: request.param)
    yield request.param
    assert MATMUL.fp32_precision == "none"


def test_the_setting_is_that_of_the_block(exact: bool) -> None:
    inside = "bf16" if exact else "none"
    with onednn_matmul():
        assert MATMUL.fp32_precision == inside
        with onednn_matmul(False):
            assert MATMUL.fp32_precision == "none"
        assert MATMUL.fp32_precision == inside
    assert MATMUL.fp32_precision == "none"
    with pytest.raises(ZeroDivisionError), onednn_matmul():
        1 / 0  # noqa: B018


def test_no_bit_of_a_factor_is_lost() -> None:
    torch.manual_seed(0)
    for rows, inner, columns in ((1, 3, 2), (40, 256, 600), (333, 64, 65)):
        a, b = torch.randn(rows, inner), torch.randn(inner, columns)
        with onednn_matmul():
            product = a @ b
        torch.testing.assert_close(product.double(), a.double() @ b.double(), rtol=0, atol=3e-6 * inner**0.5)


def test_a_library_that_rounds_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    assert matmul_backend._keeps_last_bit(16)
    multiply = Tensor.__matmul__
    monkeypatch.setattr(Tensor, "__matmul__", lambda a, b: multiply(a.bfloat16(), b.bfloat16()).float())
    assert not matmul_backend._keeps_last_bit(16)


class Watched(torch.autograd.Function):
    """A sum, which notes the setting under which it and its backward pass run."""

    settings: ClassVar[list[str]] = []

    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> Tensor:
        Watched.settings.append(MATMUL.fp32_precision)
        return sum(inputs, torch.zeros(()))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        Watched.settings.append(MATMUL.fp32_precision)
        return gradient, gradient


@pytest.mark.parametrize("inside", [True, False])
def test_a_function_and_its_backward_pass_use_mkl_wherever_that_is_called(exact: bool, inside: bool) -> None:
    Watched.settings.clear()
    x = torch.ones(3, requires_grad=True)
    with onednn_matmul():
        output = call_with_mkl(Watched.apply, x, x).sum()
    with onednn_matmul(inside):
        setting = MATMUL.fp32_precision
        output.backward()
        assert MATMUL.fp32_precision == setting
    assert Watched.settings == ["none", "none"]


@pytest.mark.parametrize("bias", [None, CAUSAL, torch.randn(5, 5).requires_grad_()], ids=["none", "mask", "learned"])
def test_attention_and_its_gradients_are_the_same(exact: bool, bias: Tensor | None) -> None:
    torch.manual_seed(0)
    given = [torch.randn(2, 3, 5, 8) for _ in range(3)]
    found = []
    for inside in (True, False):
        query, *others = [x.clone().requires_grad_() for x in given]
        inputs = [query, *others, None if bias is None else bias.detach().clone().requires_grad_(bias.requires_grad)]
        with onednn_matmul(inside):
            output = call_with_mkl(F.scaled_dot_product_attention, query, *inputs[1:])
            (output**2).sum().backward()
            with torch.no_grad():
                assert not call_with_mkl(F.scaled_dot_product_attention, query, *inputs[1:]).requires_grad
        found.append([output, *(x.grad for x in inputs if x is not None and x.requires_grad)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)
