"""Trials without training: a subject to tune and runs whose losses are a formula of their settings."""

import math
from collections.abc import Callable
from pathlib import Path

from experiments.planning.grid import Planned
from experiments.record.keys import RunKey
from experiments.tuning.space import OPTIMISATION
from experiments.tuning.trials import Report, Subject

MAX_STEPS = 400  # so that a trial has 100 steps, validated at every tenth


def subject(root: Path, model: str = "lstm", fingerprint: str = "one") -> Subject:
    key = RunKey("full", "long-range", "copy", model, root=str(root))
    return Subject(Planned(key, (Path(f"{model}.yaml"),), ("--trainer.devices=1",)), MAX_STEPS, 200, fingerprint)


def setting(planned: Planned, name: str) -> float:
    return float(next(word for word in planned.overrides if word.startswith(f"--{OPTIMISATION}.{name}=")).split("=")[1])


def bowl(planned: Planned) -> float:
    """Lowest at a learning rate of 0.003 and a scale of 1."""
    rate, scale = setting(planned, "learning_rate"), setting(planned, "initialisation_scale")
    return math.log(rate / 0.003) ** 2 + math.log(scale) ** 2


class FakeRunner:
    """Reports what `losses` says and ends as a run does.

    Args:
        loss: Validation loss at the end; before, it is twice as high.
        codes: Exit codes by variant, for example {"trial1": 1}; the others end well.
    """

    def __init__(self, loss: Callable[[Planned], float] = bowl, codes: dict[str, int] | None = None) -> None:
        self.loss, self.codes = loss, codes or {}
        self.ran: list[Planned] = []

    def __call__(self, planned: Planned, report: Report) -> int:
        self.ran.append(planned)
        code = self.codes.get(planned.key.variant, 0)
        for step in range(10, 101, 10):
            if code and step > 20:
                return code
            if not report(step, self.loss(planned) * (2 if step < 100 else 1)):
                return 143
        return code

    @property
    def variants(self) -> list[str]:
        return [planned.key.variant for planned in self.ran]
