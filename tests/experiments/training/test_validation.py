"""Validation decodes greedily, and the first sentences alone. Several devices validate in test_devices."""

from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from experiments.planning.parser import build_parser
from experiments.training import validation
from experiments.training.decode import Translation, bleu
from experiments.training.trainer import TrainerSettings, build_trainer
from experiments.training.validation import ValidationBLEU
from models.search import Decoding
from tests.experiments.training.devices.test_devices import half_right
from tests.support.tiny_runs import SIZES, tiny_arguments


@pytest.mark.parametrize("limit", [SIZES["val"], 5])
def test_the_bleu_of_validation(limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[list[int], int]] = []

    def spy(network: Any, source: Tensor, ids: Tensor, data: Any, decoding: Decoding) -> list[Translation]:
        asked.append((ids.tolist(), decoding.beam_size))
        return half_right(network, source, ids, data, decoding)

    monkeypatch.setattr(validation, "translate_batch", spy)
    parser = build_parser()
    made = parser.instantiate(parser.parse_args(tiny_arguments(tmp_path, "transformer")))
    settings = TrainerSettings(accelerator="cpu", precision="32-true", ema_decay=0)
    trainer = build_trainer(settings, tmp_path, [], [ValidationBLEU(made.data, Decoding(4), limit)])
    trainer.validate(made.model, datamodule=made.data, verbose=False)
    assert sorted(i for ids, _ in asked for i in ids) == list(range(limit))
    assert {beam for _, beam in asked} == {1}
    references = made.data.text("val").target[:limit]
    hypotheses = [text[:-9] if i % 2 else text for i, text in enumerate(references)]
    assert float(trainer.callback_metrics["val/bleu"]) == pytest.approx(bleu(hypotheses, references, "de"))
