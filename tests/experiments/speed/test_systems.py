import pytest
import torch

from datamodules.batch import BOS, PAD
from experiments.speed import systems
from experiments.speed.settings import Settings
from experiments.speed.suite import read_settings
from experiments.speed.systems import Step, System, build, random_batch, sequential_steps
from models.kernels.matmul_backend import MATMUL, onednn_is_exact
from models.transformer import TransformerNetwork
from tests.support.fakes.captures import run_again

CPU = torch.device("cpu")
SMOKE: Settings = read_settings("smoke")


@pytest.mark.parametrize(
    ("name", "model", "variant", "network", "precision", "compiled", "plain"),
    [
        ("lstm", "lstm", "base", "lstm", "32-true", False, False),
        ("lstm-bf16", "lstm", "bf16", "lstm", "bf16-mixed", False, False),
        ("bahdanau-parallel-compiled", "bahdanau", "parallel-compiled", "bahdanau-parallel", "32-true", True, False),
        ("transformer-math-attention", "transformer", "math-attention", "transformer", "32-true", False, True),
    ],
)
def test_a_name_says_how_a_model_is_run(
    name: str, model: str, variant: str, network: str, precision: str, compiled: bool, plain: bool
) -> None:
    system = System(name)
    assert (system.model, system.variant, system.network, system.precision) == (model, variant, network, precision)
    assert (system.compiled, system.plain_attention) == (compiled, plain)


def test_a_random_batch_is_shifted_and_has_no_padding_and_no_special_tokens() -> None:
    batch = random_batch(3, 4, 5, 50, CPU)
    assert (batch.source.shape, batch.labels.shape) == ((3, 4), (3, 5))
    assert batch.decoder_input[:, 0].eq(BOS).all()
    assert torch.equal(batch.decoder_input[:, 1:], batch.labels[:, :-1])
    assert batch.source.ne(PAD).all()
    assert batch.source.min() > 2
    assert torch.equal(batch.source, random_batch(3, 4, 5, 50, CPU).source)


def test_a_step_is_one_of_training(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    module = build(SMOKE.models["lstm"], 50)
    step = Step(module, System("lstm"), CPU)
    batch = random_batch(4, 5, 5, 50, CPU)
    first = float(step.forward(batch).detach())
    before = [p.detach().clone() for p in module.parameters()]
    step.forward(batch)
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))
    assert module.training
    for _ in range(60):
        step.step(batch)
    assert float(step.forward(batch).detach()) < first - 0.5
    monkeypatch.setattr(systems, "CLIP", 0.01)
    step.step(batch)
    gradients = torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])
    assert float(gradients.norm()) == pytest.approx(0.01, rel=1e-3)


def test_a_captured_step_is_the_same_and_can_be_launched_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    losses, modes = [], []
    for capture in (None, run_again):
        monkeypatch.setattr(systems, "capture_on", lambda device, capture=capture: capture)
        torch.manual_seed(0)
        step = Step(build(SMOKE.models["transformer"], 50), System("transformer"), CPU)
        batch = random_batch(2, 4, 4, 50, CPU)
        for number in range(3):
            torch.manual_seed(number)
            step.step(batch)
        with step.one_by_one():
            modes.append(step.mode)
            losses.append(step.forward(batch).detach())
        modes.append(step.mode)
    assert torch.equal(*losses)
    assert modes == ["eager", "eager", "eager", "captured"]


def test_the_plain_kernel_gives_the_fused_ones_loss() -> None:
    losses = []
    for system in (System("transformer"), System("transformer-math-attention")):
        torch.manual_seed(0)
        step = Step(build(SMOKE.models["transformer"], 50), system, CPU)
        step.module.eval()
        losses.append(step.forward(random_batch(2, 6, 6, 50, CPU)).detach())
    torch.testing.assert_close(*losses)


def test_widths_grow_together() -> None:
    small, wide = (build(SMOKE.models["transformer"], 50, scale).network for scale in (1.0, 2.0))
    assert isinstance(small, TransformerNetwork)
    assert isinstance(wide, TransformerNetwork)
    assert wide.output.in_features == 2 * small.output.in_features
    inner = [network.state_dict()["encoder.0.feed_forward.W_1.weight"].shape[0] for network in (small, wide)]
    assert inner[1] == 2 * inner[0]


def test_recurrence_waits_for_every_token_and_attention_for_every_layer() -> None:
    lstm, bahdanau, transformer = (build(SMOKE.models[m], 50).network for m in ("lstm", "bahdanau", "transformer"))
    assert [sequential_steps(network, 10, 20) for network in (lstm, bahdanau, transformer)] == [30, 30, 2]


@pytest.mark.parametrize(
    ("name", "by_onednn"),
    [("transformer", True), ("transformer-bf16", False), ("transformer-compiled", False), ("lstm-compiled", True)],
)
def test_single_precision_goes_to_onednn_unless_compiled_attention_would_suffer(
    name: str, by_onednn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    system = System(name)
    step = Step(build(SMOKE.models[system.network], 50), system, CPU)
    seen: list[str] = []
    step.loss = lambda _: (seen.append(MATMUL.fp32_precision), (torch.zeros(1, requires_grad=True).sum(), 1))[1]
    step.forward_backward(random_batch(2, 4, 4, 50, CPU))
    assert seen == ["bf16" if by_onednn and onednn_is_exact() else "none"]
