import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models.kernels import cross_entropy
from models.kernels.cross_entropy import IGNORE, summed_cross_entropy

SHAPES = [(1, 1), (5, 7), (6, 33), (3, 1025), (0, 9)]  # (N, V)


def check(device: str, dtype: torch.dtype, shape: tuple[int, int], smoothing: float) -> None:
    """Against torch's in double precision, with rows that are not scored, large logits and a factor on the loss."""
    N, V = shape
    draws = torch.Generator().manual_seed(N + V)
    logits = (torch.randn(N, V, generator=draws) * 20).to(dtype).to(device)
    labels = torch.randint(V, (N,), generator=draws).to(device)
    labels[1::3] = IGNORE

    def loss_and_gradient(x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.clone().requires_grad_()
        if x.dtype == torch.double:
            loss = F.cross_entropy(x, labels, reduction="sum", label_smoothing=smoothing)
        else:
            loss = summed_cross_entropy(x * 1, labels, smoothing)
        (gradient,) = torch.autograd.grad(loss * 0.25, x)
        return loss.double(), gradient.double()

    for found, expected in zip(loss_and_gradient(logits), loss_and_gradient(logits.double()), strict=True):
        tolerance = 1e-5 if dtype == torch.float else 4e-3
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("shape", SHAPES)
def test_without_a_gpu_it_is_torchs(shape: tuple[int, int], smoothing: float) -> None:
    check("cpu", torch.float, shape, smoothing)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float, torch.bfloat16])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("shape", [*SHAPES, (70, 32_000), (2, cross_entropy.LONGEST), (2, cross_entropy.LONGEST + 1)])
def test_on_a_gpu_it_is_torchs(shape: tuple[int, int], smoothing: float, dtype: torch.dtype) -> None:
    check("cuda", dtype, shape, smoothing)


def test_where_no_kernel_can_be_built_the_loss_is_torchs_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_compiler(*_: object) -> None:
        raise RuntimeError("Failed to find C compiler.\nPlease specify via CC.")

    monkeypatch.setattr(cross_entropy, "triton", object())
    monkeypatch.setattr(cross_entropy, "_launch", without_compiler)
    monkeypatch.setattr(cross_entropy, "_losses", None, raising=False)
    monkeypatch.setattr(torch, "empty", lambda *_, device: torch.ones(2, 1))
    monkeypatch.setattr(torch, "zeros", lambda *shape, **_: torch.ones(shape))
    with pytest.warns(UserWarning, match=r"the loss is torch's, .* \(RuntimeError: Failed to find C compiler\.\)$"):
        assert not cross_entropy.triton_works.__wrapped__()
