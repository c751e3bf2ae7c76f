import pytest
import torch
from torch import Tensor, nn

from models.kernels.dropout import Dropout
from models.kernels.fp16_gradients import with_scaled_gradients
from models.kernels.padded_rnn import run_layers

SMALL = 1e-8  # a gradient as of a mean over many tokens; in fp16 it is zero
SIZES = [SMALL, 1.0, 1e6]  # in fp16 the last is infinite


def half(x: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
    """A layer that computes in fp16 and keeps no more of its gradients."""
    return (x.half() @ weight.half()).tanh(), x.half().sum(0)


def single(x: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
    return (x @ weight).tanh(), x.sum(0)


def given() -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.randn(shape).mul(0.5).requires_grad_() for shape in ((5, 4), (4, 3))]


def gradients(outputs: tuple[Tensor, ...], tensors: list[Tensor], size: float = SMALL) -> list[Tensor]:
    return list(torch.autograd.grad(size * sum(output.float().sum() for output in outputs), tensors))


@pytest.mark.parametrize("size", SIZES)
def test_gradients_that_half_precision_would_lose_are_kept(size: float) -> None:
    tensors = given()
    exact = gradients(single(*tensors), tensors, size)
    lost = gradients(half(*tensors), tensors, size)[1]
    assert torch.allclose(lost, exact[1], rtol=0.02) == (size == 1)
    for a, b in zip(gradients(with_scaled_gradients(half, *tensors), tensors, size), exact, strict=True):
        torch.testing.assert_close(a, b, rtol=0.02, atol=0.02 * size)


def test_gradients_of_zero_stay_zero() -> None:
    tensors = given()
    for gradient in gradients(with_scaled_gradients(half, *tensors), tensors, 0.0):
        assert gradient.eq(0).all()


def test_in_single_precision_no_bit_changes() -> None:
    tensors = given()
    outputs, scaled = single(*tensors), with_scaled_gradients(single, *tensors)
    for a, b in zip([*outputs, *gradients(outputs, tensors)], [*scaled, *gradients(scaled, tensors)], strict=True):
        assert torch.equal(a, b)


def test_what_needs_no_gradient_and_what_gets_none_is_left_alone() -> None:
    x, weight = given()
    output, _ = with_scaled_gradients(half, x.detach(), weight)
    (gradient,) = torch.autograd.grad(output.sum(), [weight])
    assert gradient.shape == weight.shape


@pytest.mark.gpu
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_gradients_of_a_recurrent_layer_on_a_gpu_are_those_of_single_precision(
    kind: type[nn.RNNBase], size: float
) -> None:
    torch.manual_seed(0)
    rnn = kind(16, 16, 2, batch_first=True).cuda()
    x, parameters = torch.randn(4, 7, 16, device="cuda"), list(rnn.parameters())
    found = []
    for low in (False, True):
        with torch.autocast("cuda", torch.bfloat16, enabled=low):
            output, _ = run_layers(rnn, x, None, None, Dropout(0.0))
        found.append(torch.autograd.grad(size * output.float().sum(), parameters))
    for a, b in zip(*found, strict=True):
        assert (a - b).norm() < 0.05 * a.norm()
