import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from experiments.training.callbacks import Clock, MovingAverage
from experiments.training.checkpoints import StopEarly
from experiments.training.divergence import ClipFinite
from experiments.training.trained_run import load_module
from experiments.training.trainer import TrainerSettings, build_trainer, hardware, resolve_precision
from models.loss import evaluate, scored_logits
from tests.support.tiny_runs import STEPS, VALIDATE_EVERY, before, read_lines, saved, tiny_run


def built(tmp_path: Path, callbacks: list[Callback] | None = None, **settings: Any) -> L.Trainer:
    return build_trainer(TrainerSettings(accelerator="cpu", **settings), tmp_path, [], callbacks or [])


def explicit_average(history: list[dict[str, Tensor]], decay: float) -> dict[str, Tensor]:
    average = {name: value.double() for name, value in history[0].items()}
    for n, weights in enumerate(history[1:], 1):
        kept = min(decay, (1 + n) / (10 + n))
        average = {name: kept * average[name] + (1 - kept) * value.double() for name, value in weights.items()}
    return average


def test_a_checkpoint_holds_the_average_and_the_raw_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history: list[dict[str, Tensor]] = []

    def remember(trainer: L.Trainer) -> None:
        history.append({name: p.detach().clone() for name, p in trainer.lightning_module.named_parameters()})

    before(monkeypatch, "on_train_batch_end", remember)
    folder = tiny_run(tmp_path)
    checkpoint = saved(folder)
    assert len(history) == checkpoint["global_step"] == STEPS
    average = explicit_average(history, 0.98)
    for name, raw in history[-1].items():
        torch.testing.assert_close(checkpoint["current_model_state"][name], raw, rtol=0, atol=0)
        torch.testing.assert_close(checkpoint["state_dict"][name].double(), average[name], rtol=1e-5, atol=1e-6)
    assert any((checkpoint["state_dict"][name] != raw).any() for name, raw in history[-1].items())


@pytest.mark.gpu
@pytest.mark.parametrize("model", ["lstm", "bahdanau", "transformer"])
def test_no_update_of_a_training_on_a_gpu_waits(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = range(30, 60)  # a capture waits, and by then every shape is captured

    def watch(trainer: L.Trainer) -> None:
        torch.cuda.set_sync_debug_mode("error" if trainer.global_step in watched else "default")

    before(monkeypatch, "on_train_batch_start", watch)
    before(monkeypatch, "on_train_end", watch)
    steps = ["--trainer.max_steps=61", "--trainer.validate_every=61", "--trainer.log_every=1000"]
    try:
        tiny_run(tmp_path, "--trainer.accelerator=gpu", "--data.init_args.max_tokens=2000", *steps, model=model)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("decay", [0.98, 0.0])
def test_validation_measures_what_the_checkpoint_holds(decay: float, tmp_path: Path) -> None:
    folder = tiny_run(tmp_path, f"--trainer.ema_decay={decay}")
    module, data, _ = load_module(folder)
    checkpoint = saved(folder)
    assert ("current_model_state" in checkpoint) == (decay > 0)
    module.load_state_dict(checkpoint["state_dict"])
    total, tokens = 0.0, 0
    with torch.no_grad():
        for batch in data.loader("val"):
            loss = evaluate(*scored_logits(module.network, batch.source, batch.decoder_input, batch.labels), 0.0)
            total, tokens = total + float(loss.nll) * int(loss.tokens), tokens + int(loss.tokens)
    losses = [row["value"] for row in read_lines(folder / "metrics.jsonl") if row["metric"] == "val/loss"]
    assert losses[-1] == pytest.approx(total / tokens, rel=1e-5)
    assert len(losses) == STEPS // VALIDATE_EVERY


def test_settings_reach_lightning(tmp_path: Path) -> None:
    given = {"max_steps": 40, "validate_every": 10, "accumulate": 2, "precision": "bf16-mixed"}
    trainer = built(tmp_path, [Clock()], **given, gradient_clip=0.5, patience=3)
    assert (trainer.max_steps, trainer.accumulate_grad_batches, trainer.world_size) == (40, 2, 1)
    assert trainer.val_check_interval == 20  # in batches
    assert trainer.precision == "bf16-mixed"
    callbacks: dict[type, Any] = {type(callback): callback for callback in trainer.callbacks}  # type: ignore[attr-defined]
    assert (callbacks[ClipFinite].clip, callbacks[StopEarly].patience) == (0.5, 3)
    assert [*callbacks].index(Clock) < [*callbacks].index(MovingAverage)


def test_on_a_cpu_what_could_differ_from_run_to_run_is_refused(tmp_path: Path) -> None:
    torch.use_deterministic_algorithms(False)
    built(tmp_path)
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]


@pytest.mark.parametrize("asked", [True, False])
def test_on_an_accelerator_only_where_it_is_asked_for(
    asked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(L, "Trainer", lambda **arguments: given.update(arguments))
    build_trainer(TrainerSettings(accelerator="gpu", precision="32-true", deterministic=asked), tmp_path, [], [])
    assert given["deterministic"] is asked


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        *(({"ema_decay": decay}, rf"trainer\.ema_decay is {decay}") for decay in (-0.1, 1.0, 2.0)),
        *(({n: 0}, rf"trainer\.{n} is 0; it must be at least 1") for n in ("max_steps", "accumulate", "log_every")),
        ({"validate_every": -5}, r"trainer\.validate_every is -5; it must be at least 1"),
        ({"max_steps": 10, "validate_every": 20}, r"trainer\.validate_every is 20.*trainer\.max_steps 10"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TrainerSettings(**settings)


@pytest.mark.parametrize(("native", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_bf16_only_where_the_hardware_has_it(native: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: native)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    assert resolve_precision("auto", "cpu") == expected
    assert resolve_precision("auto", "gpu") == expected
    assert resolve_precision("32-true", "gpu") == "32-true"
    assert resolve_precision("bf16-mixed", "gpu") == "bf16-mixed"


def test_bf16_is_refused_before_training_where_onednn_does_not_compute_it() -> None:
    program = (
        "import torch; from experiments.training.trainer import resolve_precision\n"
        "torch.cpu._is_avx512_bf16_supported = lambda: True\n"
        "for asked in ('bf16-mixed', 'auto', '32-true'):\n"
        "    try:\n        print(resolve_precision(asked, 'cpu'))\n"
        "    except ValueError as error:\n        print(error)"
    )
    said = subprocess.check_output(
        [sys.executable, "-c", program], env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}, text=True
    )
    refused, *resolved = said.splitlines()
    assert refused.startswith("trainer.precision is bf16-mixed, which oneDNN does not compute on this CPU")
    assert resolved == ["32-true", "32-true"]


@pytest.mark.parametrize(
    ("gpus", "settings", "said"),
    [
        (0, {"accelerator": "gpu"}, r"trainer\.accelerator is gpu, but torch finds no GPU here: set it to cpu or auto"),
        (1, {"devices": 2}, r"trainer\.devices is 2, but this machine has 1 GPU: lower it, or .* trainer\.accelerator"),
        (2, {"devices": 8}, r"trainer\.devices is 8, but this machine has 2 GPUs"),
        (0, {"devices": 0}, r"trainer\.devices is 0 and trainer\.num_nodes 1; both must be at least 1"),
    ],
)
def test_devices_that_are_not_there_are_refused(
    gpus: int, settings: dict[str, object], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    with pytest.raises(ValueError, match=said):
        hardware(TrainerSettings(**settings))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("gpus", "settings", "found"),
    [
        (0, {}, ("cpu", 1)),
        (4, {}, ("gpu", 4)),
        (4, {"devices": 2}, ("gpu", 2)),
        (4, {"accelerator": "cpu"}, ("cpu", 1)),
        (0, {"devices": 3}, ("cpu", 3)),
    ],
)
def test_a_run_takes_all_gpus_or_one_process_of_the_cpu(
    gpus: int, settings: dict[str, object], found: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert hardware(TrainerSettings(**settings)) == found  # type: ignore[arg-type]
