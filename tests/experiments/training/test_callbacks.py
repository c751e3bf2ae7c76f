import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from datamodules import TranslationData
from datamodules.batch import IGNORE, PAD, Batch
from experiments.run import build_parser
from experiments.training import callbacks
from experiments.training.callbacks import Clock, LocalRecord, Progress, ValidationBLEU
from experiments.training.decode import Translation, bleu
from experiments.training.trainer import TrainerSettings, build_trainer
from models import Seq2SeqModule
from models.search import Decoding
from tests.support.several import in_processes
from tests.support.tiny_runs import SIZES, tiny_arguments

pytestmark = pytest.mark.usefixtures("no_tracking")


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


def test_the_clock_goes_on_where_it_stopped() -> None:
    clock = Clock()
    clock.load_state_dict({"seconds": 3.5, "target_tokens": 7, "source_tokens": 9})
    assert clock.state_dict() == {"seconds": 3.5, "target_tokens": 7, "source_tokens": 9}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_record_has_a_line_for_each_metric_and_says_how_many_updates_are_done(tmp_path: Path) -> None:
    clock = Clock()
    clock.seconds, clock.target_tokens = 1.23456, torch.tensor(40)
    record = LocalRecord(tmp_path / "metrics.jsonl", clock)
    record.log_metrics({"train/loss": 2.5, "epoch": 0}, step=0)
    record.log_metrics({"val/loss": 2.0, "val/bleu": 7.0}, step=4)
    when = {"seconds": 1.235, "target_tokens": 40}
    assert lines(record.path) == [
        {"step": 1, **when, "metric": "train/loss", "value": 2.5},
        {"step": 5, **when, "metric": "val/loss", "value": 2.0},
        {"step": 5, **when, "metric": "val/bleu", "value": 7.0},
    ]


def test_a_resumed_record_forgets_what_will_happen_again(tmp_path: Path) -> None:
    record = LocalRecord(tmp_path / "metrics.jsonl", Clock())
    record.forget_after(3)  # a new run has none
    for step in range(6):
        record.log_metrics({"train/loss": 1.0}, step)
    record.forget_after(4)
    assert [row["step"] for row in lines(record.path)] == [1, 2, 3, 4]


@pytest.mark.parametrize("half", ["", "{", '{"step": 5, "metric": "train/l', '{"step": 2}'])
def test_a_line_that_a_kill_left_unfinished_is_forgotten(half: str, tmp_path: Path) -> None:
    record = LocalRecord(tmp_path / "metrics.jsonl", Clock())
    for step in range(4):
        record.log_metrics({"train/loss": 1.0}, step)
    with record.path.open("a") as file:
        file.write(half)
    record.forget_after(9)
    record.log_metrics({"train/loss": 1.0}, 4)
    assert [row["step"] for row in lines(record.path)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("seconds", "expected"), [(5, "0:05"), (65, "1:05"), (3599, "59:59"), (3660, "1 h 01")])
def test_time_left_is_readable(seconds: float, expected: str) -> None:
    assert callbacks._duration(seconds) == f"{expected} min"


def test_progress_is_one_line_a_validation_and_its_rate_is_that_since_the_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
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
    assert "step 10/40" in said[0]
    assert "val/loss 2.50  val/bleu 12.00" in said[0]
    assert [(row["step"], row["value"]) for row in lines(record.path)] == [(10, 100.0), (20, 400.0)]
    state.fn = "validate"
    progress.on_validation_end(trainer, L.LightningModule())
    assert capsys.readouterr().err == ""


class Seen(Callback):
    """Writes the ids of every validation example and what was measured, one file of each a process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        (self.folder / f"metrics-{os.getpid()}").write_text(json.dumps(metrics))

    def on_validation_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        with (self.folder / f"ids-{os.getpid()}").open("a") as file:
            file.writelines(f"{i}\n" for i in batch.ids.tolist())


def half_right(
    network: Any, source: Tensor, ids: Tensor, data: TranslationData, decoding: Decoding
) -> list[Translation]:
    """Hypotheses that depend on the sentence: right for even numbers, without their last words for odd ones."""
    references = data.text("val").target
    texts = [references[i] if i % 2 == 0 else references[i][:-9] for i in ids.tolist()]
    return [Translation(i, text, 0.0, 0.0, False, 1) for i, text in zip(ids.tolist(), texts, strict=True)]


def parts(arguments: list[str]) -> tuple[Seq2SeqModule, TranslationData]:
    parser = build_parser()
    torch.manual_seed(3)
    made = parser.instantiate(parser.parse_args(arguments))
    return made.model, made.data


def validate(folder: Path, arguments: list[str], limit: int, devices: int = 1) -> None:
    module, data = parts(arguments)
    watching = [ValidationBLEU(data, Decoding(), limit), Seen(folder)]
    settings = TrainerSettings(accelerator="cpu", precision="32-true", ema_decay=0, devices=devices)
    build_trainer(settings, folder, [], watching).validate(module, datamodule=data, verbose=False)


def what_was_seen(folder: Path) -> tuple[list[dict[str, float]], list[list[int]]]:
    metrics = [json.loads(path.read_text()) for path in folder.glob("metrics-*")]
    return metrics, [[int(line) for line in path.read_text().split()] for path in folder.glob("ids-*")]


@pytest.mark.parametrize("limit", [SIZES["val"], 5])
def test_two_processes_measure_what_one_measures_each_example_once(
    limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks, "translate_batch", half_right)
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    arguments = tiny_arguments(tmp_path, "transformer")
    validate(tmp_path / "one", arguments, limit)
    assert in_processes(2, validate, tmp_path / "two", arguments, limit, 2) == [0, 0]
    (one,), (whole,) = what_was_seen(tmp_path / "one")
    both, shares = what_was_seen(tmp_path / "two")
    assert sorted(whole) == list(range(SIZES["val"]))
    assert len(shares) == 2
    assert sorted(i for share in shares for i in share) == sorted(whole)
    _, data = parts(arguments)
    references = data.text("val").target[:limit]
    hypotheses = [text if i % 2 == 0 else text[:-9] for i, text in enumerate(references)]
    assert one["val/bleu"] == pytest.approx(bleu(hypotheses, references))
    assert 0 < one["val/bleu"] < 100
    assert both == [one, one]  # to the last bit


def test_validation_is_greedy_and_of_the_first_sentences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[list[int], int]] = []

    def spy(network: Any, source: Tensor, ids: Tensor, data: Any, decoding: Decoding) -> list[Translation]:
        asked.append((ids.tolist(), decoding.beam_size))
        return half_right(network, source, ids, data, decoding)

    monkeypatch.setattr(callbacks, "translate_batch", spy)
    validate(tmp_path, tiny_arguments(tmp_path, "transformer"), 4)
    assert sorted(i for ids, _ in asked for i in ids) == [0, 1, 2, 3]
    assert {beam for _, beam in asked} == {1}
