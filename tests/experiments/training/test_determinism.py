"""Each step draws its own numbers. That a resumed run draws what it would have drawn is in test_run."""

from pathlib import Path

import pytest
import torch

from tests.support.tiny_runs import before, tiny_run


def test_each_step_and_each_batch_of_a_step_draws_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    before(monkeypatch, "on_train_batch_start", lambda trainer: seeds.append(torch.initial_seed()))
    for seed in (0, 1):
        tiny_run(tmp_path, "--trainer.accumulate=2", "--trainer.max_steps=3", "--trainer.validate_every=3", seed=seed)
    assert len(seeds) == 12
    assert len(set(seeds)) == len(seeds)
