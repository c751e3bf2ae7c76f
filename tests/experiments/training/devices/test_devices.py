"""Several processes give the numbers of one, and end together."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor

from datamodules import TranslationData
from datamodules.batch import Batch
from experiments.planning.parser import build_parser
from experiments.run import main
from experiments.training import validation
from experiments.training.decode import Translation
from experiments.training.trainer import TrainerSettings, build_trainer
from experiments.training.validation import ValidationBLEU
from models import Seq2SeqModule
from models.search import Decoding
from tests.support.several import in_processes
from tests.support.tiny_runs import (
    SIZES,
    STEPS,
    VALIDATE_EVERY,
    assert_same,
    before,
    measured,
    read_json,
    read_lines,
    recorded,
    saved,
    terminate_at,
    tiny_arguments,
    tiny_key,
    tiny_run,
)

DROPOUT = "--model.init_args.network.dropout=0.4"
TWO = ("--trainer.devices=2", DROPOUT)


def run_in_two(root: Path, *more: str, model: str = "transformer") -> list[int]:
    """Train a tiny run in two processes; return their exit codes."""
    return in_processes(2, main, [*tiny_arguments(root, model), *TWO, *more])


def folder_of(root: Path, model: str = "transformer") -> Path:
    return tiny_key(root, model).folder


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run in one process, two batches an update."""
    return tiny_run(tmp_path_factory.mktemp("one"), DROPOUT, "--trainer.accumulate=2", model="transformer")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run in two processes, one batch an update each."""
    root = tmp_path_factory.mktemp("two")
    assert run_in_two(root) == [0, 0]
    return folder_of(root)


def test_two_processes_train_as_one_that_accumulates(one: Path, two: Path) -> None:
    for ours, theirs in zip(recorded(two), recorded(one), strict=True):
        assert ours[:2] == theirs[:2]
        assert ours[2] == pytest.approx(theirs[2], rel=1e-5)
        assert ours[3] == theirs[3]  # tokens are counted, not estimated
    assert {step for step, metric, *_ in recorded(two) if metric == "train/loss"} == {*range(1, STEPS + 1)}


def test_two_processes_leave_the_record_of_one(one: Path, two: Path) -> None:
    names = [sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) for folder in (one, two)]
    assert names[0] == names[1]
    results = [read_json(folder / "result.json") for folder in (one, two)]
    assert results[0]["held_equal"] == results[1]["held_equal"]
    assert [row["n"] for row in results[0]["measurements"]] == [row["n"] for row in results[1]["measurements"]]
    assert measured(two) == pytest.approx(measured(one), rel=1e-5, abs=1e-9)
    for test_set in ("seen", "unseen"):
        hypotheses = [[r["hypothesis"] for r in read_lines(f / "hypotheses" / f"{test_set}.jsonl")] for f in (one, two)]
        assert hypotheses[0] == hypotheses[1]
        assert len(hypotheses[0]) == SIZES[test_set]


class Seen(L.Callback):
    """Writes down which examples a process validated."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.batches: list[list[int]] = []

    def on_validation_batch_end(self, trainer: L.Trainer, module: Any, outputs: Any, batch: Batch, *_: int) -> None:
        scored = (batch.labels >= 0).any(dim=1)
        self.batches.append(batch.ids[scored].tolist())

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        found = {"metrics": {name: float(value) for name, value in trainer.callback_metrics.items()}}
        text = json.dumps({**found, "batches": self.batches})
        (self.folder / f"{trainer.global_rank}.json").write_text(text)


def measure(folder: Path, checkpoint: Path, world: int, arguments: list[str]) -> None:
    parser = build_parser()
    made = parser.instantiate(parser.parse_args(arguments))
    module, data = made.model, made.data
    assert isinstance(module, Seq2SeqModule)
    assert isinstance(data, TranslationData)
    module.load_state_dict(torch.load(checkpoint, weights_only=True)["state_dict"])
    settings = TrainerSettings(accelerator="cpu", precision="32-true", ema_decay=0, devices=world)
    watching = [ValidationBLEU(data, Decoding(), 9), Seen(folder)]
    build_trainer(settings, folder, [], watching).validate(module, datamodule=data, verbose=False)


def half_right(network: Any, source: Tensor, ids: Tensor, data: TranslationData, _: Decoding) -> list[Translation]:
    """Hypotheses that depend on the sentence: right for even numbers, without their last words for odd ones."""
    texts = [data.text("val").target[i] for i in ids.tolist()]
    found = zip(ids.tolist(), texts, strict=True)
    return [Translation(i, text[:-9] if i % 2 else text, 0.0, 0.0, 1, False) for i, text in found]


@pytest.mark.parametrize(("world", "max_tokens", "batches"), [(2, 30, 12), (3, 60, 10), (3, 300, 2)])
def test_any_number_of_processes_measures_exactly_what_one_does(
    world: int, max_tokens: int, batches: int, two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where some have a batch less than others, or none."""
    monkeypatch.setattr(validation, "translate_batch", half_right)
    checkpoint = two / "checkpoints" / "best.ckpt"
    for name in ("alone", "together"):
        (tmp_path / name).mkdir()
    arguments = [*tiny_arguments(tmp_path, "transformer"), f"--data.init_args.max_tokens={max_tokens}"]
    measure(tmp_path / "alone", checkpoint, 1, arguments)
    assert in_processes(world, measure, tmp_path / "together", checkpoint, world, arguments) == [0] * world
    alone = read_json(tmp_path / "alone" / "0.json")
    ranks = [read_json(tmp_path / "together" / f"{rank}.json") for rank in range(world)]
    assert {"val/loss", "val/token_accuracy"} < alone["metrics"].keys()
    assert 0 < alone["metrics"]["val/bleu"] < 100
    assert [found["metrics"] for found in ranks] == [alone["metrics"]] * world  # to the last bit
    assert len(alone["batches"]) == batches
    for rank, found in enumerate(ranks):
        assert found["batches"] == (alone["batches"][rank::world] or [[]])


@pytest.mark.parametrize(("step", "rank"), [(VALIDATE_EVERY + 1, 0), (STEPS, 1)], ids=["between", "last"])
def test_processes_that_are_terminated_resume_as_if_nothing_had_happened(
    step: int, rank: int, two: Path, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        terminate_at(patch, step, rank)
        assert run_in_two(tmp_path) == [143, 143]
    parts = folder_of(tmp_path)
    assert not (parts / "result.json").exists()
    assert not (parts / "failure.json").exists()
    assert saved(parts)["global_step"] == step
    assert run_in_two(tmp_path) == [0, 0]
    assert_same(parts, two)


def test_an_update_is_completed_before_a_run_ends(one: Path, tmp_path: Path) -> None:
    """Terminated between the two batches of an update: its first half is in no checkpoint."""
    begun = 2 * VALIDATE_EVERY + 2
    taken = iter(range(begun + 1))

    def end(trainer: L.Trainer) -> None:
        if next(taken, 0) == begun:
            os.kill(os.getpid(), signal.SIGTERM)

    arguments = [*tiny_arguments(tmp_path, "transformer"), DROPOUT, "--trainer.accumulate=2"]
    with pytest.MonkeyPatch.context() as patch:
        before(patch, "on_train_batch_end", end)
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
    assert stopped.value.code == 143
    assert saved(folder_of(tmp_path))["global_step"] == begun // 2 + 1
    main(arguments)
    assert_same(folder_of(tmp_path), one)


def fail(trainer: L.Trainer) -> None:
    if (trainer.global_step, trainer.global_rank) == (2, 1):
        raise RuntimeError("the memory of rank 1 is full")


def test_one_process_that_fails_ends_all_and_its_traceback_is_the_record(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        before(patch, "on_train_batch_start", fail)
        assert run_in_two(tmp_path) == [1, 1]
    failure = read_json(folder_of(tmp_path) / "failure.json")
    assert failure["error"] == "RuntimeError: the memory of rank 1 is full"
    assert "in fail" in failure["traceback"]
    assert not (folder_of(tmp_path) / "result.json").exists()


UNEVEN = "--data.init_args.max_tokens=80"  # 7 batches of validation


def test_processes_stop_early_together_although_one_validates_more(tmp_path: Path) -> None:
    """Also a network with buffers, which DDP would exchange in every batch."""
    original = Seq2SeqModule.__init__

    def with_buffer(self: Seq2SeqModule, *arguments: Any) -> None:
        original(self, *arguments)
        self.register_buffer("anything", torch.zeros(3))

    still = ("--trainer.patience=1", "--trainer.max_steps=30", "--model.init_args.optimisation.learning_rate=0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Seq2SeqModule, "__init__", with_buffer)
        assert run_in_two(tmp_path, *still, UNEVEN) == [0, 0]
    assert saved(folder_of(tmp_path))["global_step"] == 2 * VALIDATE_EVERY


def test_what_one_process_has_prepared_is_there_for_the_others(two: Path, tmp_path: Path) -> None:
    """A changed configuration moves the folder aside once, and no process resumes from what was there."""
    assert run_in_two(tmp_path, "--trainer.ema_decay=0.5") == [0, 0]
    assert run_in_two(tmp_path) == [0, 0]
    folder = folder_of(tmp_path)
    assert len([path for path in folder.parent.iterdir() if path.is_dir()]) == 2
    assert_same(folder, two)
