import json
import os
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from datamodules import TranslationData
from datamodules.batch import Batch
from experiments.planning.parser import build_parser
from experiments.training import validation
from experiments.training.decode import Translation, bleu
from experiments.training.trainer import TrainerSettings, build_trainer
from experiments.training.validation import ValidationBLEU
from models import Seq2SeqModule
from models.search import Decoding
from tests.support.several import in_processes
from tests.support.tiny_runs import SIZES, tiny_arguments


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
    monkeypatch.setattr(validation, "translate_batch", half_right)
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

    monkeypatch.setattr(validation, "translate_batch", spy)
    validate(tmp_path, tiny_arguments(tmp_path, "transformer"), 4)
    assert sorted(i for ids, _ in asked for i in ids) == [0, 1, 2, 3]
    assert {beam for _, beam in asked} == {1}
