from typing import Any

import pytest
import torch

from datamodules.batch import IGNORE, PAD, Batch
from experiments.speed.loops import InterleavedSteps
from experiments.speed.systems import random_batch

CPU = torch.device("cpu")


class FakeStep:
    """Takes two seconds of a clock that only steps move."""

    device = CPU

    def __init__(self) -> None:
        self.now, self.order = 0.0, []  # type: ignore[var-annotated]

    def step(self, batch: Batch) -> None:
        self.now += 2.0
        self.order.append("bare")


def test_each_goes_first_every_other_time_and_neither_pays_for_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    step: Any = FakeStep()
    timed = InterleavedSteps(step, steps=4)
    monkeypatch.setattr(timed, "_now", lambda: step.now)
    nothing: Any = None
    timed.on_train_start(nothing, nothing)
    for i in range(8):
        batch = random_batch(2, 3, 5, 50, CPU)
        batch.source[0, -1], batch.labels[0, -1] = PAD, IGNORE
        timed.on_train_batch_start(nothing, nothing, batch, i)
        step.now += 3.0
        step.order.append("trainer")
        timed.on_train_batch_end(nothing, nothing, nothing, batch, i)
    assert step.order == ["trainer", "bare", "bare", "trainer"] * 4
    assert timed.seconds == {"trainer": [12.0, 12.0], "bare": [8.0, 8.0]}
    assert timed.tokens == [(36, 20, 64), (36, 20, 64)]
