"""A loss or gradient that is not finite ends a run before the update, naming where it came from."""

import copy
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from datamodules.sampler import rank_and_world
from experiments.training import divergence as finite
from experiments.training.devices.process_group import join, leave
from experiments.training.divergence import ClipFinite, Diverged, gradient_norms
from models import Seq2SeqModule
from tests.support.several import in_processes
from tests.support.tiny_runs import STEPS, VALIDATE_EVERY, read_json, read_lines, saved, tiny_key, tiny_run

Loss = Callable[[Seq2SeqModule, Any], tuple[Tensor, int]]
POISONED = VALIDATE_EVERY + 1  # the step; the checkpoint before it is that of the last validation
SELDOM = "--trainer.log_every=20"  # a CPU is looked at nonetheless
MODULE_LOSS: Loss = Seq2SeqModule.loss


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Losses of chosen (step, batch of the step) multiplied by a factor; the batches met and the module are kept."""
    found = SimpleNamespace(factors={}, met={}, module=None)

    def loss(module: Seq2SeqModule, batch: Any) -> tuple[Tensor, int]:
        value, scored = MODULE_LOSS(module, batch)
        step = module.trainer.global_step + 1
        met = found.met.setdefault(step, [])
        met.append(batch.ids.tolist())
        found.module = module
        return value * found.factors.get((step, len(met) - 1), 1.0), scored

    monkeypatch.setattr(Seq2SeqModule, "loss", loss)
    return found


def ended(root: Path, *more: str) -> tuple[str, Path]:
    """What a run that ends with an error says, and its folder."""
    with pytest.raises(SystemExit) as error:
        tiny_run(root, *more)
    return str(error.value), tiny_key(root).folder


def test_a_bad_loss_ends_the_run_at_its_step_and_the_next_goes_on_from_the_saved(
    trained: Path, tmp_path: Path, poisoned: SimpleNamespace
) -> None:
    whole = saved(tiny_key(trained).folder)
    poisoned.factors[POISONED, 0] = math.nan
    said, folder = ended(tmp_path / "cut", SELDOM)
    [ids] = poisoned.met[POISONED]
    assert f"The loss is nan at step {POISONED}, on training examples {', '.join(map(str, ids))}: lower" in said
    assert str(folder / "config.yaml") in said
    assert max(poisoned.met) == POISONED
    failure = read_json(folder / "failure.json")
    assert failure["error"] == f"Diverged: {said.removeprefix('error: ')}"
    assert not (folder / "result.json").exists()
    checkpoint = saved(folder)
    assert checkpoint["global_step"] == VALIDATE_EVERY
    assert all(w.isfinite().all() for w in checkpoint["current_model_state"].values())

    poisoned.factors.clear()
    resumed = saved(tiny_run(tmp_path / "cut", SELDOM))
    assert resumed["global_step"] == STEPS
    torch.testing.assert_close(resumed["current_model_state"], whole["current_model_state"], rtol=0, atol=0)


@pytest.mark.parametrize("clip", [1.0, 0.0])
def test_a_bad_gradient_names_its_parameter_and_changes_no_weight(
    clip: float, tmp_path: Path, poisoned: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    before: dict[str, Tensor] = {}

    def poisoned_gradients(module: Seq2SeqModule, batch: Any) -> tuple[Tensor, int]:
        if module.trainer.global_step == POISONED - 1:
            before.update({name: p.detach().clone() for name, p in module.named_parameters()})
            for parameter in (module.network.output.bias, module.network.bridge.to_cell.weight):
                parameter.register_hook(lambda g: g.index_fill(0, torch.tensor([1]), math.inf))
        poisoned.module = module
        return MODULE_LOSS(module, batch)

    monkeypatch.setattr(Seq2SeqModule, "loss", poisoned_gradients)
    said, _ = ended(tmp_path, f"--trainer.gradient_clip={clip}", SELDOM)
    assert f"The gradient of network.bridge.to_cell.weight is not finite at step {POISONED}," in said
    for name, weights in poisoned.module.named_parameters():
        assert torch.equal(weights, before[name]), name


def test_of_several_batches_the_bad_one_is_named_and_all_are_recorded(
    tmp_path: Path, poisoned: SimpleNamespace
) -> None:
    poisoned.factors[POISONED, 1] = math.nan
    said, folder = ended(tmp_path, "--trainer.accumulate=2")
    first, second = poisoned.met[POISONED]
    assert f"on training examples {', '.join(map(str, second))}: lower" in said
    trace = read_json(folder / "failure.json")["traceback"]
    assert f"a batch of step {POISONED} with loss nan, its examples: {second}" in trace
    assert f"its examples: {first}" in trace
    assert trace.count("its examples: ") == 2


@pytest.mark.parametrize(("every", "met_until"), [(2, POISONED), (20, STEPS)])
def test_an_accelerator_is_looked_at_now_and_then_and_before_anything_is_validated_or_saved(
    every: int, met_until: int, tmp_path: Path, poisoned: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Validated and saved at 3, looked at each second step since the last look: at 2, 3 and 5, or at 3 and 6."""
    monkeypatch.setattr(finite, "waits", lambda number: True)
    poisoned.factors[POISONED, 0] = math.nan
    said, folder = ended(tmp_path, f"--trainer.log_every={every}")
    assert f"The loss is nan at step {POISONED}," in said
    assert ", ".join(map(str, poisoned.met[POISONED][0])) in said
    assert max(poisoned.met) == (POISONED + 1 if every == 2 else met_until)
    checkpoints = [torch.load(path, weights_only=True) for path in (folder / "checkpoints").iterdir()]
    assert [checkpoint["global_step"] for checkpoint in checkpoints] == [VALIDATE_EVERY] * 2
    validated = {row["step"] for row in read_lines(folder / "metrics.jsonl") if row["metric"].startswith("val/")}
    assert validated == {VALIDATE_EVERY}


def fake_update(
    callback: ClipFinite, module: nn.Module, losses: list[float], ids: list[list[int]], **trainer: Any
) -> None:
    """What the Trainer calls of the callback at an update, gradients being there."""
    described: Any = SimpleNamespace(**{"global_step": 0, "world_size": 1, **trainer})
    for loss, examples in zip(losses, ids, strict=True):
        batch: Any = SimpleNamespace(ids=torch.tensor(examples))
        callback.on_train_batch_start(described, module, batch, 0)  # type: ignore[arg-type]
        callback.on_before_backward(described, module, torch.tensor(loss))  # type: ignore[arg-type]
    callback.on_before_optimizer_step(described, module, None)  # type: ignore[arg-type]


def with_gradients(sizes: list[int], scale: float, seed: int) -> nn.ParameterList:
    torch.manual_seed(seed)
    module = nn.ParameterList(nn.Parameter(torch.zeros(size, 3)) for size in sizes)
    for parameter in module:
        parameter.grad = scale * torch.randn_like(parameter)
    return module


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.floats(0.01, 100), st.integers(0, 99))
def test_clipping_is_torchs_bit_for_bit(sizes: list[int], scale: float, seed: int) -> None:
    ours, theirs, untouched = (with_gradients(sizes, scale, seed) for _ in range(3))
    norm = torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
    assert torch.equal(gradient_norms([p.grad for p in ours])[1], norm)
    fake_update(ClipFinite(1.0, 20, Path()), ours, [1.0], [[0]])
    none = with_gradients(sizes, scale, seed)
    fake_update(ClipFinite(0.0, 20, Path()), none, [1.0], [[0]])
    for a, b, c, d in zip(ours, theirs, untouched, none, strict=True):
        assert torch.equal(a.grad, b.grad)
        assert torch.equal(c.grad, d.grad)


def test_a_norm_beyond_all_numbers_is_found_although_each_parameter_has_one() -> None:
    module = nn.ParameterList(nn.Parameter(torch.zeros(1)) for _ in range(2))
    for parameter in module:
        parameter.grad = torch.full((1,), 3e38)
    with pytest.raises(Diverged, match="gradient of all parameters together is not finite at step 1"):
        fake_update(ClipFinite(1.0, 20, Path()), module, [1.0], [[0]])


def test_among_several_devices_only_what_they_all_know_decides() -> None:
    """One that ended by itself at its own loss would leave the others waiting for it."""
    fake_update(ClipFinite(1.0, 20, Path()), with_gradients([2], 1.0, 0), [math.inf], [[0]], world_size=2)
    with pytest.raises(Diverged, match="loss is inf"):
        fake_update(ClipFinite(1.0, 20, Path()), with_gradients([2], 1.0, 0), [math.inf], [[0]])


def test_many_examples_are_counted_in_the_sentence_and_listed_in_the_traceback() -> None:
    module, ids = with_gradients([2], 1.0, 0), list(range(100, 130))
    with pytest.raises(Diverged, match=r"on training examples 100, .*, 119 and 10 others: lower") as error:
        fake_update(ClipFinite(1.0, 20, Path()), module, [math.nan], [ids])
    assert error.value.__notes__ == [f"a batch of step 1 with loss nan, its examples: {ids}"]


def of_one_rank(folder: Path) -> None:
    join("cpu")
    with_a_bad_loss(rank_and_world()[0], folder)
    with_divided_weights()
    leave()


def with_a_bad_loss(rank: int, folder: Path) -> None:
    """Only the second device has a bad loss; the gradient that they share is bad on both."""
    module = nn.Linear(2, 1)
    wrapped = DistributedDataParallel(module)
    losses: list[float] = []
    for value in (1.0, math.nan if rank else 1.0):
        loss = value * wrapped(torch.ones(1, 2)).mean()
        loss.backward()
        losses.append(loss.item())
    try:
        ids = [[10 * rank], [10 * rank + 1]]
        fake_update(ClipFinite(1.0, 20, Path("config.yaml")), module, losses, ids, global_step=6, world_size=2)
    except Diverged as error:
        (folder / f"rank{rank}").write_text("\n".join([str(error), *error.__notes__]))


def with_divided_weights() -> None:
    """Norms are those of the whole gradients, and they are clipped by it."""
    torch.manual_seed(0)
    whole = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 1))
    divided = copy.deepcopy(whole)
    fully_shard(divided, mesh=init_device_mesh("cpu", (2,)))
    for module in (whole, divided):
        module(torch.ones(2, 3)).mean().backward()
    norms = [gradient_norms([p.grad for p in module.parameters()]) for module in (whole, divided)]
    torch.testing.assert_close(norms[1], norms[0])
    torch.nn.utils.clip_grads_with_norm_(divided.parameters(), 0.5, norms[1][1])
    assert float(gradient_norms([p.grad for p in divided.parameters()])[1]) == pytest.approx(0.5, rel=1e-4)


def test_all_devices_end_together_and_say_the_same(tmp_path: Path) -> None:
    assert in_processes(2, of_one_rank, tmp_path) == [0, 0]
    said = [(tmp_path / f"rank{rank}").read_text() for rank in range(2)]
    assert said[0] == said[1]
    assert said[0].startswith("The loss is nan at step 7, on training examples 11: lower")
    assert [line.rpartition(" ")[2] for line in said[0].splitlines()[1:]] == ["[0]", "[10]", "[1]", "[11]"]
