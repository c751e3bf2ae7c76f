"""Replays, with a capture for the CPU that runs the function again on the same buffers; nothing waits for numbers."""

from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from models.kernels import cuda_graphs
from models.kernels.cuda_graphs import CUDAGraphs, Replays
from models.kernels.dropout import Dropout
from models.loss import IGNORE, masked_loss, scored_loss
from tests.support.fakes.captures import run_again
from tests.support.toy_networks import ALL, ONE_OF_EACH, PAD, build, decoder_inputs, sources

SHAPES = [((5, 5, 5), (4, 6, 2)), ((3, 3), (2, 2)), ((5, 5, 5), (6, 1, 3)), ((5, 5, 5), (6, 6, 6)), ((3, 3), (1, 2))]


def batch(source_lengths: tuple[int, ...], target_lengths: tuple[int, ...], seed: int) -> tuple[Tensor, ...]:
    fed = decoder_inputs(target_lengths, seed=seed)
    return sources(source_lengths, seed=seed + 1), fed, fed.roll(-1, 1).masked_fill(fed == PAD, IGNORE)


@pytest.mark.parametrize("batches", [1, 2])
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_replayed_steps_have_the_same_losses_gradients_and_updates(name: str, batches: int) -> None:
    """Also where gradients of several batches are summed up for an update."""
    found = []
    for capture in (None, run_again):
        network = build(name).train()
        optimiser = torch.optim.SGD(network.parameters(), 0.1)
        objective = lambda *tensors: masked_loss(*tensors, 0.1, padded=False)  # noqa: E731
        step = Replays(network, objective, capture) if capture else lambda *tensors: objective(network, *tensors)  # noqa: B023
        losses = []
        for number, lengths in enumerate(SHAPES):
            torch.manual_seed(number)  # dropout
            loss, _ = step(*batch(*lengths, seed=number))
            loss.backward()
            if (number + 1) % batches == 0:
                optimiser.step()
                optimiser.zero_grad()
            losses.append(loss.detach())
        if capture:
            assert len(step.captured) == 2  # what is met once is not captured
        found.append([*losses, *network.parameters()])
    for eager, replayed in zip(*found, strict=True):
        assert torch.equal(eager, replayed)


def test_gradients_of_an_earlier_step_cannot_be_had_any_more() -> None:
    step = Replays(nn.Linear(1, 1), summed, run_again)
    first, second = (step(torch.ones(2, 1))[0] for _ in range(2))
    second.backward()
    for gone in (first, second):
        with pytest.raises(RuntimeError, match="once, before the next step"):
            gone.backward(retain_graph=True)


def summed(network: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    return network(x).sum(), torch.zeros(())


def test_a_failed_capture_is_reported_once_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(work: Any) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    step = Replays(nn.Linear(1, 1), summed, fails)
    step(torch.ones(2, 1))
    with pytest.warns(UserWarning, match="could not be captured.*not permitted when stream is capturing$"):
        loss, _ = step(torch.ones(2, 1))
    assert loss.requires_grad
    step(torch.ones(2, 1))
    assert step.failure == "operation not permitted when stream is capturing"


def test_after_a_failed_capture_nothing_is_replayed() -> None:
    """So that the record, which says how kernels were launched, is true of every step."""
    step = Replays(nn.Linear(1, 1), summed, run_again)
    for _ in range(2):
        step(torch.ones(2, 1))
    assert step.captured

    def fails(work: Any) -> Any:
        raise RuntimeError("no")

    step.capture = fails
    step(torch.ones(3, 1))
    with pytest.warns(UserWarning, match="could not be captured"):
        step(torch.ones(3, 1))
    assert not step.captured


def test_the_number_of_captured_shapes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_graphs, "MOST", 2)
    step = Replays(nn.Linear(1, 1), summed, run_again)
    for _ in range(2):
        for rows in (1, 2, 3):
            step(torch.ones(rows, 1))
    assert [shapes[0][0] for shapes in step.captured] == [1, 2]  # type: ignore[index]


def without_dropout(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, Dropout):
            module.p = 0.0
        elif isinstance(module, nn.RNNBase):
            module.dropout = 0.0
    return network


@pytest.mark.gpu
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("name", ALL)
def test_captured_steps_on_a_gpu_are_those_launched_one_by_one_and_wait_for_nothing(name: str, padded: bool) -> None:
    """Of two shapes in turn, which share memory and gradients; from the third meeting of each on, without a wait."""
    network = without_dropout(build(name).cuda().train())
    objective = lambda network, *tensors, padded: masked_loss(network, *tensors, 0.1, padded=padded)  # noqa: E731
    step = Replays(network, objective, CUDAGraphs())
    shapes = [((5, 5 - padded, 5), (4, 6, 2)), ((3, 3, 3 - padded), (2, 2, 1))]
    for number in range(8):
        given = tuple(tensor.cuda() for tensor in batch(*shapes[number % 2], seed=number))
        eager, _ = objective(network, *given, padded=padded)
        expected = torch.autograd.grad(eager, list(network.parameters()), materialize_grads=True)
        network.zero_grad()
        eager = eager.detach()  # its graph holds what sums up gradients to the stream that is not captured
        torch.cuda.set_sync_debug_mode("error" if number >= 4 else "default")
        try:
            loss, _ = step(*given, padded=padded)
            loss.backward()
        finally:
            torch.cuda.set_sync_debug_mode("default")
        loss = loss.detach()
        torch.testing.assert_close(loss, eager)
        for parameter, gradient in zip(network.parameters(), expected, strict=True):
            torch.testing.assert_close(
                torch.zeros_like(gradient) if parameter.grad is None else parameter.grad, gradient
            )
    assert len(step.captured) == 2
    assert not step.failure


@pytest.mark.gpu
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_captured_steps_in_bf16_are_those_launched_one_by_one(name: str, padded: bool) -> None:
    """As trained: attention, recurrent layers and loss have other kernels then than in double precision."""
    network = without_dropout(build(name, dtype=torch.float).cuda().train())
    objective = lambda network, *tensors, padded: masked_loss(network, *tensors, 0.1, padded=padded)  # noqa: E731
    step, found = Replays(network, objective, CUDAGraphs()), []
    given = tuple(tensor.cuda() for tensor in batch((5, 5 - padded, 5), (4, 6, 2), seed=0))
    for _ in range(3):
        network.zero_grad()
        with torch.autocast("cuda", torch.bfloat16):
            loss, _ = step(*given, padded=padded)
        loss.backward()
        found.append([loss.detach(), *(p.grad.clone() for p in network.parameters() if p.grad is not None)])
    assert not step.failure
    for replayed in found[1:]:
        for a, b in zip(replayed, found[0], strict=True):
            assert a.isfinite().all()
            torch.testing.assert_close(a, b, rtol=0.02, atol=0.02 * float(b.abs().max()))


@pytest.mark.gpu
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_captured_step_on_a_gpu_draws_the_dropout_of_its_seed(name: str) -> None:
    network = build(name).cuda().train()
    step = Replays(network, lambda *tensors, padded: masked_loss(*tensors, 0.1, padded=padded), CUDAGraphs())
    given, losses = tuple(tensor.cuda() for tensor in batch((5, 5, 5), (4, 6, 2), seed=0)), []
    for seed in (7, 7, 7, 8):  # launched one by one, captured, replayed, replayed
        torch.cuda.manual_seed(seed)
        losses.append(step(*given, padded=False)[0].detach())
    for loss in losses[1:3]:
        torch.testing.assert_close(loss, losses[0])
    assert losses[3] != losses[0]


class HostWaits(TorchDispatchMode):
    """Counts operations whose result, or the shape of whose result, the host would wait for on an accelerator."""

    WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "_unique2")

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.name().split(".")[0].removeprefix("aten::")
        masks = name in ("index", "index_put", "index_put_") and any(
            isinstance(i, Tensor) and i.dtype == torch.bool for i in args[1]
        )
        if name in self.WAITS or masks:
            self.found[name] += 1
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", ALL)
def test_no_operation_of_a_step_waits_for_a_number(name: str) -> None:
    network = build(name).train()
    optimiser = torch.optim.AdamW(network.parameters(), fused=True)
    for expected in (False, False, True):  # the optimiser makes its state in the first step
        objective = scored_loss if expected else masked_loss
        with HostWaits() as waits:
            optimiser.zero_grad()
            loss, _ = objective(network, *batch((5, 5), (3, 6), seed=0), 0.1, padded=expected)
            loss.backward()
            norm = torch.nn.utils.get_total_norm(p.grad for p in network.parameters() if p.grad is not None)
            torch.nn.utils.clip_grads_with_norm_(network.parameters(), 1.0, norm)
            optimiser.step()
        assert bool(waits.found) == expected


@torch.no_grad()
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_the_masked_loss_is_that_of_the_scored_positions(name: str) -> None:
    network = build(name)
    given = batch((5, 5, 5), (4, 6, 2), seed=3)
    masked, scored = masked_loss(network, *given, 0.1, False), scored_loss(network, *given, 0.1, True)
    for one, other in zip(masked, scored, strict=True):
        torch.testing.assert_close(one.float(), other.float())
    loss, tokens = masked_loss(network, *given[:2], torch.full_like(given[2], IGNORE), 0.1, False)
    assert (loss.item(), tokens.item()) == (0, 0)


@pytest.mark.gpu
def test_after_a_capture_that_broke_off_dropout_is_drawn_and_others_are_captured() -> None:
    network, x = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)).cuda(), torch.ones(2, 4, device="cuda")
    none = torch.zeros((), device="cuda")
    waiting = Replays(
        network, lambda net, x: (net(x).sum() * float(net(x).sum().detach().isfinite()), none), CUDAGraphs()
    )
    waiting(x)
    with pytest.warns(UserWarning, match="could not be captured"):
        waiting(x)
    waiting(x)[0].backward()
    other = Replays(network, lambda net, x: (net(x).sum(), none), CUDAGraphs())
    for _ in range(3):
        other(x)
    assert other.captured
    assert not other.failure
