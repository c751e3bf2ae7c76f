from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from datamodules.batch import IGNORE, PAD, Batch
from experiments.speed.loops import InterleavedSteps, rows_of
from experiments.speed.systems import System, random_batch

CPU = torch.device("cpu")


class FakeStep:
    """Takes two seconds of a clock that only steps move."""

    device = CPU

    def __init__(self) -> None:
        self.now, self.order = 0.0, []  # type: ignore[var-annotated]

    def step(self, batch: Batch) -> None:
        self.now += 2.0
        self.order.append("bare")


def test_rates_are_of_the_blocks_after_the_warm_up_and_padding_is_what_is_no_token() -> None:
    step = SimpleNamespace(one_by_one=nullcontext, step=lambda batch: None, system=System("lstm"), mode="eager")
    timed: Any = SimpleNamespace(steps=2, step=step, last=None, tokens=[(1, 1, 2), (30, 20, 100), (30, 20, 100)])
    timed.seconds = {"bare": [9.0, 2.0, 2.0], "trainer": [9.0, 4.0, 4.0]}
    found = {(m.metric, m.x): m.value for m in rows_of(timed, 1).measurements}
    assert found["target_tokens_per_second", "bare"] == 15
    assert found["step_seconds", "trainer"] == 2
    assert found["padding_share", "bare"] == 0.5


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
