import math

import pytest
import torch

from models.kernels.dropout import Dropout

N = 1_000_003  # not a multiple of the eight elements that share a draw


def drop(p: float, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    return Dropout(p).train()(torch.ones(N))


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5, 0.9])
def test_rate_scale_and_mean(p: float) -> None:
    dropped, rounded = drop(p), round(p * 256) / 256
    assert abs(rounded - p) <= 1 / 512
    share, deviation = (dropped == 0).double().mean().item(), math.sqrt(rounded * (1 - rounded) / N)
    assert abs(share - rounded) < 5 * deviation
    assert dropped.unique().tolist() == [0.0, pytest.approx(1 / (1 - rounded), rel=1e-7)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_expectation_is_the_input_in_every_precision(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.rand(N).to(dtype)
    y = Dropout(0.1).train()(x)
    assert float(y.double().mean() / x.double().mean()) == pytest.approx(1, abs=5 * math.sqrt(4 / 3 * 0.113 / N))


def test_the_eight_elements_of_a_draw_are_independent() -> None:
    lanes = (drop(0.3)[: N // 8 * 8].view(-1, 8) == 0).double()
    n, rate = len(lanes), 77 / 256
    variance = rate * (1 - rate)
    assert ((lanes.mean(0) - rate).abs() < 5 * math.sqrt(variance / n)).all()
    covariance = lanes.T.cov()
    between = covariance - covariance.diag().diag()
    assert (between.abs() < 5 * variance / math.sqrt(n)).all()


def test_evaluation_changes_nothing() -> None:
    x = torch.randn(50)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0).train()(x) is x


def test_backward_uses_the_mask_of_forward() -> None:
    x = torch.randn(40, 25, requires_grad=True)
    y = Dropout(0.4).train()(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(gradient, (y / x).detach())
    assert 0 < (gradient == 0).sum() < x.numel()


def test_a_seed_fixes_the_mask_and_the_next_call_draws_another() -> None:
    assert torch.equal(drop(0.3, seed=4), drop(0.3, seed=4))
    assert not torch.equal(drop(0.3, seed=4), drop(0.3, seed=5))
    layer = Dropout(0.3).train()
    assert not torch.equal(layer(torch.ones(100)), layer(torch.ones(100)))


@pytest.mark.parametrize("shape", [(), (1,), (7,), (9,), (3, 5, 2), (0, 4)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_shape_and_type_stay(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    y = Dropout(0.3).train()(torch.ones(shape, dtype=dtype))
    assert (y.shape, y.dtype) == (shape, dtype)


def test_a_tensor_that_is_not_contiguous() -> None:
    x = torch.arange(1.0, 13.0).view(3, 4).T
    y = Dropout(0.5).train()(x)
    assert torch.equal(y[y != 0], 2 * x[y != 0])


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5])
def test_an_impossible_probability_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match=f"dropout is {p}; it must be at least 0 and below 1"):
        Dropout(p)


def test_the_largest_probability_that_is_allowed() -> None:
    y = drop(0.9999)
    assert y.isfinite().all()
    assert 0 < (y != 0).sum() < N // 100
