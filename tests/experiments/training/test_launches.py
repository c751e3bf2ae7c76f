"""Whole runs whose steps are replayed have the same numbers to the last bit, also after an interruption."""

from pathlib import Path

import pytest

from experiments.record.read import read_result
from experiments.training import callbacks
from experiments.training.callbacks import ONE_BY_ONE, TOGETHER
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
