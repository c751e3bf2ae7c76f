"""A checkpoint is whole or not there, and whatever is left of them, a run ends bit for bit as one never interrupted."""

import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import torch

from experiments.run import main
from experiments.training.checkpoints import BestCheckpoint, BrokenCheckpoint, read_checkpoint
from tests.support.tiny_runs import (
    STEPS,
    VALIDATE_EVERY,
    assert_same,
    measured,
    saved,
    terminate_at,
    tiny_arguments,
    tiny_key,
    tiny_run,
)

FIRST_IS_BEST = ["--trainer.monitor=val/loss", "--trainer.monitor_mode=max"]
PATIENT = ["--trainer.patience=2", "--trainer.max_steps=30"]


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run is that is harmed and resumed."""
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def whole(root: Path) -> Path:
    """A copy of its folder from before anything happened to it."""
    return shutil.copytree(tiny_run(root, *FIRST_IS_BEST), root / "whole")


@pytest.mark.parametrize("harm", [half, os.remove])
@pytest.mark.parametrize("harmed", [["last"], ["best"], ["last", "best"]])
def test_what_is_left_of_the_checkpoints_is_resumed_from(
    harmed: list[str], harm: Callable[[Path], None], root: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny_key(root).folder
    shutil.rmtree(folder)
    shutil.copytree(whole, folder)  # which a checkpoint names: elsewhere it would be resumed without the best score
    (folder / "result.json").unlink()
    for name in harmed:
        harm(folder / "checkpoints" / f"{name}.ckpt")
    tiny_run(root, *FIRST_IS_BEST)
    assert_same(folder, whole)
    assert measured(folder) == measured(whole)
    said = capsys.readouterr().err
    broken = sorted(path.name for path in folder.glob("checkpoints/*.broken"))
    assert broken == ([] if harm is os.remove else sorted(f"{name}.ckpt.broken" for name in harmed))
    assert all(name in said for name in broken)
    assert ("starts again" in said) == (harmed == ["best"])


def test_a_damaged_checkpoint_is_recognised_wherever_it_was_cut(whole: Path, tmp_path: Path) -> None:
    saved = (whole / "checkpoints" / "last.ckpt").read_bytes()
    path = tmp_path / "last.ckpt"
    for length in (*range(0, len(saved), len(saved) // 40), len(saved) - 1):
        path.write_bytes(saved[:length])
        with pytest.raises(BrokenCheckpoint, match=r"last\.ckpt is not a whole checkpoint"):
            read_checkpoint(path, "LSTMSeq2Seq")
    path.write_bytes(saved)
    assert read_checkpoint(path, "LSTMSeq2Seq")["global_step"] == STEPS


@pytest.mark.parametrize(
    ("scores", "losses", "best"),
    [
        ([0, 0, 0, 0], [4, 3, 2, 2.5], 3),  # a model that gets no four words right
        ([0, 0, 1, 1], [4, 3, 5, 5], 3),  # the metric comes first, and equals change nothing
        ([1, 1, 0, 1], [4, 3, 1, 3.5], 2),
        ([0, 0, 0, 0], [2, 2.1, 2.2, 1], 4),
        ([math.nan, 0, 0, 0], [math.nan, 3, 2, 1], 4),
    ],
)
def test_of_equal_scores_the_least_loss_is_best(
    scores: list[float], losses: list[float], best: int, tmp_path: Path
) -> None:
    def callback() -> BestCheckpoint:
        return BestCheckpoint(tmp_path, "best", monitor="val/bleu", mode="max", enable_version_counter=False)

    chosen: list[int] = []
    kept = callback()
    for step, (score, loss) in enumerate(zip(scores, losses, strict=True), 1):
        trainer: Any = MagicMock(global_step=step, current_epoch=0)
        trainer.callback_metrics = {"val/bleu": torch.tensor(float(score)), "val/loss": torch.tensor(float(loss))}
        trainer.strategy.reduce_boolean_decision = lambda decision, **_: decision
        trainer.save_checkpoint = lambda *_, step=step: chosen.append(step)
        kept._save_topk_checkpoint(trainer, kept._monitor_candidates(trainer))
        state = kept.state_dict()
        kept = callback()  # as after an interruption
        kept.load_state_dict(state)
    assert chosen[-1] == best


def test_patience_is_counted_on_after_an_interruption_and_after_it_nothing_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([5.0, 4.0, 3.0, 9.0])  # the second without a better one ends it, at step 9 of 30
    monkeypatch.setattr("experiments.training.validation.bleu", lambda *_: next(scores))
    whole = tiny_run(tmp_path / "whole", *PATIENT)
    scores = iter([5.0, 4.0, 3.0, 9.0])
    with monkeypatch.context() as patch:
        terminate_at(patch, 3 * VALIDATE_EVERY - 1)
        with pytest.raises(SystemExit):
            main([*tiny_arguments(tmp_path / "parts"), *PATIENT])
    for _ in range(2):  # the second time as if it had been killed while it was evaluated
        parts = tiny_run(tmp_path / "parts", *PATIENT)
        assert saved(parts)["global_step"] == 3 * VALIDATE_EVERY
        assert_same(parts, whole)
        assert measured(parts) == measured(whole)
        (parts / "result.json").unlink()
