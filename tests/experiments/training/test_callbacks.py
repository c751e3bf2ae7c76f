from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor

from datamodules.batch import IGNORE, PAD, Batch
from experiments.training import callbacks
from experiments.training.callbacks import Clock, LocalRecord, Progress
from tests.support.tiny_runs import read_lines


def batch() -> Batch:
    source = torch.tensor([[5, 6, 2], [5, 2, PAD]])
    labels = torch.tensor([[7, 8, 9, 2], [7, 2, IGNORE, IGNORE]])
    return Batch(source, labels.clamp(min=0), labels, torch.arange(2))


def test_the_clock_counts_tokens_that_are_not_padding_on_every_device(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, now = Clock(), iter([10.0, 10.5, 20.0, 20.25])
    monkeypatch.setattr(callbacks.time, "perf_counter", lambda: next(now))

    def with_another(counts: Tensor, reduce_op: str) -> Tensor:
        assert reduce_op == "sum"
        return counts + torch.tensor([10, 100])  # another device's

    trainer: Any = SimpleNamespace(strategy=SimpleNamespace(reduce=with_another))
    module = L.LightningModule()
    for number in range(2):
        clock.on_train_batch_start(trainer, module, batch(), number)
        clock.on_train_batch_end(trainer, module, None, batch(), number)
    assert clock.state_dict() == {"seconds": 0.75, "target_tokens": 12 + 20, "source_tokens": 10 + 200}
    resumed = Clock()
    resumed.load_state_dict(clock.state_dict())
    assert resumed.state_dict() == clock.state_dict()


def test_the_record_has_a_line_for_each_metric_and_says_how_many_updates_are_done(tmp_path: Path) -> None:
    clock = Clock()
    clock.seconds, clock.target_tokens = 1.23456, torch.tensor(40)
    record = LocalRecord(tmp_path / "metrics.jsonl", clock)
    record.log_metrics({"train/loss": 2.5, "epoch": 0}, step=0)
    record.log_metrics({"val/loss": 2.0, "val/bleu": 7.0}, step=4)
    when = {"seconds": 1.235, "target_tokens": 40}
    assert read_lines(record.path) == [
        {"step": 1, **when, "metric": "train/loss", "value": 2.5},
        {"step": 5, **when, "metric": "val/loss", "value": 2.0},
        {"step": 5, **when, "metric": "val/bleu", "value": 7.0},
    ]


@pytest.mark.parametrize("half", ["", "{", '{"step": 5, "metric": "train/l', '{"step": 2}'])
def test_a_resumed_record_forgets_what_will_happen_again_and_a_line_that_a_kill_left_unfinished(
    half: str, tmp_path: Path
) -> None:
    record = LocalRecord(tmp_path / "metrics.jsonl", Clock())
    record.forget_after(3)  # a new run has none
    for step in range(6):
        record.log_metrics({"train/loss": 1.0}, step)
    with record.path.open("a") as file:
        file.write(half)
    record.forget_after(4)
    record.log_metrics({"train/loss": 1.0}, 4)
    assert [row["step"] for row in read_lines(record.path)] == [1, 2, 3, 4, 5]


def test_progress_is_one_line_a_validation_and_its_rate_is_that_since_the_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter((0.0, 21.0, 4880.0))
    monkeypatch.setattr(callbacks.time, "perf_counter", lambda: next(now))
    clock = Clock()
    progress, record = Progress(clock, "task lstm base seed 0"), LocalRecord(tmp_path / "metrics.jsonl", clock)
    state = SimpleNamespace(fn="fit")
    metrics = {"val/loss": torch.tensor(2.5), "val/bleu": torch.tensor(12.0)}
    trainer: Any = SimpleNamespace(
        sanity_checking=False, is_global_zero=True, state=state, loggers=[record], max_steps=40, global_step=10,
        callback_metrics=metrics,
    )  # fmt: skip
    for clock.seconds, clock.target_tokens, trainer.global_step in ((2.0, 200, 10), (4.0, 1000, 20)):
        progress.on_validation_end(trainer, L.LightningModule())
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "step 10/40  1:03 min left" in said[0]
    assert "step 20/40  1 h 21 min left" in said[1]
    assert "val/loss 2.50  val/bleu 12.00" in said[0]
    assert [(row["step"], row["value"]) for row in read_lines(record.path)] == [(10, 100.0), (20, 400.0)]
    state.fn = "validate"
    progress.on_validation_end(trainer, L.LightningModule())
    assert capsys.readouterr().err == ""
