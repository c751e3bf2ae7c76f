"""Weights divided among processes train as whole ones, and are saved whole."""

from pathlib import Path

import lightning as L
import pytest
import torch

from experiments.planning.parser import build_parser
from experiments.training.trained_run import load_module
from experiments.training.trainer import TrainerSettings, build_trainer, fit
from models import Seq2SeqModule
from tests.experiments.training.devices.test_devices import DROPOUT, UNEVEN, folder_of, run_in_two
from tests.support.tiny_runs import VALIDATE_EVERY, recorded, saved, terminate_at, tiny_arguments, tiny_run

FSDP = ("--trainer.strategy=fsdp", "--trainer.ema_decay=0", UNEVEN)


@pytest.fixture(scope="module")
def divided(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run whose weights were divided between two processes."""
    root = tmp_path_factory.mktemp("divided")
    assert run_in_two(root, *FSDP) == [0, 0]
    return folder_of(root)


def test_divided_weights_train_as_whole_ones(divided: Path, tmp_path: Path) -> None:
    alone = ("--trainer.accumulate=2", "--trainer.ema_decay=0", UNEVEN)
    whole = tiny_run(tmp_path, DROPOUT, *alone, model="transformer")
    for ours, theirs in zip(recorded(divided), recorded(whole), strict=True):
        assert ours[:2] == theirs[:2]
        assert ours[2:] == pytest.approx(theirs[2:], rel=1e-4)
    shapes = [{name: w.shape for name, w in saved(folder)["state_dict"].items()} for folder in (divided, whole)]
    assert shapes[0] == shapes[1]


def test_a_checkpoint_of_divided_weights_is_loaded_by_one_process(divided: Path, tmp_path: Path) -> None:
    module, data, _ = load_module(divided)
    total, tokens = 0.0, 0
    with torch.no_grad():
        for batch in data.loader("val"):
            scored = batch.labels >= 0
            log_p = module(batch.source, batch.decoder_input)[scored].log_softmax(-1)
            total -= float(log_p.gather(1, batch.labels[scored].unsqueeze(1)).sum())
            tokens += int(scored.sum())
    best = saved(divided, "best")["global_step"]
    (measured,) = (value for step, metric, value, _ in recorded(divided) if (step, metric) == (best, "val/loss"))
    assert total / tokens == pytest.approx(measured, rel=1e-5)


def test_divided_weights_resume_where_they_were(divided: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        terminate_at(patch, VALIDATE_EVERY + 1)
        assert run_in_two(tmp_path, *FSDP) == [143, 143]
    assert run_in_two(tmp_path, *FSDP) == [0, 0]
    parts = folder_of(tmp_path)
    assert recorded(parts) == recorded(divided)
    torch.testing.assert_close(saved(parts)["state_dict"], saved(divided)["state_dict"], rtol=0, atol=0)


def test_what_cannot_be_divided_is_refused(tmp_path: Path) -> None:
    settings = TrainerSettings(accelerator="cpu", devices=2, strategy="fsdp")
    with pytest.raises(ValueError, match=r"trainer\.strategy fsdp .* trainer\.ema_decay to 0 \(it is 0\.998\)"):
        build_trainer(settings, tmp_path, [], [])
    settings.ema_decay = 0.0
    trainer = build_trainer(settings, tmp_path, [], [])
    with pytest.raises(ValueError, match="divides the Transformer alone, not LSTMSeq2Seq: use ddp"):
        fit(trainer, load_lstm(tmp_path), L.LightningDataModule())


def load_lstm(root: Path) -> Seq2SeqModule:
    parser = build_parser()
    return parser.instantiate(parser.parse_args(tiny_arguments(root))).model  # type: ignore[no-any-return]
