"""Whole runs whose steps are replayed have the same numbers to the last bit, also after an interruption."""

from pathlib import Path

import pytest

from experiments.record.read import read_result
from experiments.training import callbacks
from experiments.training.callbacks import ONE_BY_ONE, TOGETHER
from models.kernels.cuda_graphs import Gradients
from tests.support.fakes.captures import run_again
from tests.support.tiny_runs import measured, recorded, terminate_at, tiny_run

# Every shape is met again in the second epoch.
TWO_EPOCHS = ("--data.init_args.max_tokens=60", "--trainer.max_steps=60", "--trainer.validate_every=20")
DROPOUT = "--model.init_args.network.dropout=0.3"


def test_a_run_of_replayed_steps_has_the_numbers_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    eager = tiny_run(tmp_path / "eager", DROPOUT, *TWO_EPOCHS)
    monkeypatch.setattr(callbacks, "capture_on", lambda device: run_again)
    with pytest.MonkeyPatch.context() as patch:
        terminate_at(patch, 50)
        with pytest.raises(SystemExit):
            tiny_run(tmp_path / "replayed", DROPOUT, *TWO_EPOCHS)
    replayed = tiny_run(tmp_path / "replayed", DROPOUT, *TWO_EPOCHS)
    assert [read_result(f)["held_equal"]["kernels launched"] for f in (eager, replayed)] == [ONE_BY_ONE, TOGETHER]
    assert recorded(replayed) == recorded(eager)
    assert measured(replayed) == measured(eager)


def test_no_gradient_is_copied_where_an_update_has_one_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning drops gradients after the forward pass, which overwrites those that are still there."""
    kept: list[bool] = []

    def keep(gradients: Gradients) -> None:
        kept.append(any(p.grad is not None for p in gradients.parameters))
        usual(gradients)

    usual = Gradients.keep
    monkeypatch.setattr(Gradients, "keep", keep)
    monkeypatch.setattr(callbacks, "capture_on", lambda device: run_again)
    tiny_run(tmp_path / "one", *TWO_EPOCHS)
    assert len(kept) >= 60
    assert not any(kept)
    tiny_run(tmp_path / "two", *TWO_EPOCHS, "--trainer.accumulate=2")
    assert any(kept)
