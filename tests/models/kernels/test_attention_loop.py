"""The hand-written gradient against autograd through the same equations."""

import gc
import weakref

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models.kernels.attention_loop import AttentionLoop

B, T, S, H, A = 3, 4, 5, 2, 3
SHAPES = {
    "word_gates": (B, T, 4 * H),
    "annotations": (B, S, H),
    "keys": (B, S, A),
    "mask": (B, S),
    "state": (B, H),
    "cell": (B, H),
    "attend": (A, H),
    "attend_bias": (A,),
    "score": (A,),
    "recurrent": (4 * H, 2 * H),
}


def arguments(seed: int = 0, *, dtype: torch.dtype = torch.double, length: int = T) -> list[Tensor]:
    torch.manual_seed(seed)
    made = {name: torch.randn(shape, dtype=dtype) for name, shape in SHAPES.items()}
    made["word_gates"] = made["word_gates"][:, :length].contiguous()
    made["mask"] = torch.zeros(B, S, dtype=dtype)
    made["mask"][1, 3:] = -torch.inf
    return [value.requires_grad_(name != "mask") for name, value in made.items()]


def textbook(*given: Tensor) -> tuple[Tensor, ...]:
    """The paper's equations with an LSTM cell, one line each, differentiated by autograd.

    Keys and attention weights are given doubled, as to the loop.
    """
    word_gates, annotations, keys, mask, s, c, attend, attend_bias, score, recurrent = given
    states, contexts, alphas = [], [], []
    for gates in word_gates.unbind(1):
        e = torch.tanh((F.linear(s, attend, attend_bias).unsqueeze(1) + keys) / 2) @ (score / 2)
        alpha = torch.softmax(e + mask, dim=-1)
        context = (alpha.unsqueeze(-1) * annotations).sum(1)
        i, f, o, g = (gates + torch.cat([context, s], -1) @ recurrent.t()).chunk(4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        s = torch.sigmoid(o) * torch.tanh(c)
        states.append(s)
        contexts.append(context)
        alphas.append(alpha)
    return torch.stack(states, 1), torch.stack(contexts, 1), torch.stack(alphas, 1), s, c


def loop(given: list[Tensor], *, keep: bool = True) -> tuple[Tensor, ...]:
    *others, attend, attend_bias, score, recurrent = given
    found: tuple[Tensor, ...] = AttentionLoop.apply(*others, keep, attend, attend_bias, score, recurrent)
    return found


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("length", [1, 2, T])
def test_results_and_gradients_are_those_of_the_papers_equations(length: int, *, keep: bool) -> None:
    ours, theirs = arguments(1, length=length), arguments(1, length=length)
    found, expected = loop(ours, keep=keep), textbook(*theirs)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)
    assert not found[2].requires_grad
    for states, contexts, _, s, c in (found, expected):
        weights = [torch.randn(x.shape, generator=torch.Generator().manual_seed(i)) for i, x in enumerate((states, s))]
        (((states * weights[0]) ** 2).sum() + contexts.sin().sum() + (s * weights[1]).sum() + c.exp().sum()).backward()
    for name, a, b in zip(SHAPES, ours, theirs, strict=True):
        if name != "mask":
            torch.testing.assert_close(a.grad, b.grad)
        if name in ("annotations", "keys"):
            assert a.grad is not None
            assert a.grad[1, 3:].eq(0).all()  # padding


def rounded(single: list[Tensor]) -> list[Tensor]:
    """The same arguments in bf16."""
    low = [
        x.detach().to(x.dtype if n in ("mask", "cell") else torch.bfloat16) for n, x in zip(SHAPES, single, strict=True)
    ]
    return [x.requires_grad_(name != "mask") for name, x in zip(SHAPES, low, strict=True)]


def test_gradients_are_summed_over_all_steps_in_single_precision() -> None:
    word_gates, *others = arguments(3, dtype=torch.float)
    single = [word_gates.detach().repeat(1, 60, 1).requires_grad_(), *others]
    low = rounded(single)
    for given in (single, low):
        loop(given)[0].float().square().sum().backward()
    keys = list(SHAPES).index("keys")
    exact, found = (given[keys].grad for given in (single, low))
    assert exact is not None
    assert found is not None
    assert (found.float() - exact).norm() < 0.01 * exact.norm()  # summed in bf16 0.05


def test_low_precision_products_come_close_and_the_cell_stays_in_single_precision() -> None:
    single = arguments(3, dtype=torch.float)
    low = rounded(single)
    expected, found = loop(single), loop(low, keep=False)
    assert found[0].dtype == torch.bfloat16
    assert found[4].dtype == torch.float
    torch.testing.assert_close(found[0].float(), expected[0], atol=0.03, rtol=0.03)
    expected[0].sum().backward()
    found[0].float().sum().backward()
    for a, b in zip(single, low, strict=True):
        if b.grad is not None:
            assert b.grad.dtype == b.dtype
            torch.testing.assert_close(b.grad.float(), a.grad, atol=0.15, rtol=0.1)


def test_the_graph_is_freed_with_the_outputs() -> None:
    outputs = loop(arguments())
    graph = weakref.ref(outputs[0].grad_fn)
    gc.disable()
    try:
        del outputs
        assert graph() is None
    finally:
        gc.enable()


def test_energies_that_are_not_kept_take_no_memory() -> None:
    saved = {keep: _saved(loop(arguments(), keep=keep)) for keep in (True, False)}
    assert saved[True] - saved[False] == T * B * S * A


def _saved(outputs: tuple[Tensor, ...]) -> int:
    """Numbers that the backward pass holds on to step by step."""
    kept: tuple[tuple[Tensor | None, ...], ...] = outputs[0].grad_fn.kept  # type: ignore[union-attr]
    return sum(tensor.numel() for steps in kept for tensor in steps if tensor is not None)
