"""A run with dropout that was interrupted ends bit for bit as if it had not been."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning import Trainer

from experiments.run import main
from experiments.training.callbacks import Clock
from tests.support.tiny_runs import VALIDATE_EVERY, tiny_arguments, tiny_key, tiny_run

DROPOUT = "--model.init_args.network.dropout=0.4"


def last_weights(folder: Path) -> dict[str, torch.Tensor]:
    content = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return dict(content["current_model_state"])


@pytest.mark.parametrize("model", ["lstm", "transformer"])
@pytest.mark.parametrize("step", [1, VALIDATE_EVERY, VALIDATE_EVERY + 1])
def test_dropout_goes_on_where_it_was(model: str, step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tiny_run(tmp_path / "whole", DROPOUT, model=model)
    ended = Clock.on_train_batch_end

    def end(self: Clock, trainer: Trainer, *rest: object) -> None:
        ended(self, trainer, *rest)  # type: ignore[arg-type]
        if trainer.global_step == step:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Clock, "on_train_batch_end", end)
        with pytest.raises(SystemExit) as stopped:
            main([*tiny_arguments(tmp_path / "parts", model), DROPOUT])
    assert stopped.value.code == 143
    assert not (tiny_key(tmp_path / "parts", model).folder / "result.json").exists()
    torch.rand(7)  # whatever else draws in between
    parts = tiny_run(tmp_path / "parts", DROPOUT, model=model)
    torch.testing.assert_close(last_weights(parts), last_weights(whole), rtol=0, atol=0)


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1])
def test_the_first_process_draws_what_it_drew_when_its_rank_was_told_apart(seed: int) -> None:
    """Runs that were recorded then are repeated now."""
    for numbers in ([seed, 0, 0], [seed, 1000, 3]):
        now, then = (np.random.SeedSequence(given).generate_state(1, np.uint64) for given in (numbers, [*numbers, 0]))
        assert now == then


def test_each_step_and_each_batch_of_a_step_draws_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    seed = torch.manual_seed
    monkeypatch.setattr(torch, "manual_seed", lambda number: (seeds.append(number), seed(number))[1])
    tiny_run(tmp_path, "--trainer.accumulate=2", "--trainer.max_steps=3", "--trainer.validate_every=3")
    assert len(seeds[1:]) >= 6
    assert len(set(seeds)) == len(seeds)
