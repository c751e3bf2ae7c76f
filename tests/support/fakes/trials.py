"""Trials without training: a search, and a launcher whose runs end at losses that are a formula of their settings."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from experiments.launch.local import Ended, Limits
from experiments.planning.grid import Planned
from experiments.record.keys import RunKey
from experiments.record.write import write_failure, write_result, write_rows
from experiments.tuning.space import OPTIMISATION, SEED
from experiments.tuning.tune import Search
from tests.support.fakes.runs import PROVENANCE


def search(root: Path, number: int, model: str = "lstm", monitor: str = "val/loss", mode: str = "min") -> Search:
    key = RunKey("full", "long-range", "copy", model, "base", SEED, str(root))
    base = Planned(key, (Path(f"{model}.yaml"),), ("--trainer.devices=1",))
    return Search(base, number, 100, 0.25, ("--trainer.max_steps=100",), monitor, mode)


def setting(planned: Planned, name: str) -> float:
    return float(next(word for word in planned.overrides if word.startswith(f"--{OPTIMISATION}.{name}=")).split("=")[1])


def bowl(planned: Planned) -> float:
    """Lowest at a learning rate of 0.003 and a scale of 1."""
    rate, scale = setting(planned, "learning_rate"), setting(planned, "initialisation_scale")
    return math.log(rate / 0.003) ** 2 + math.log(scale) ** 2


class FakeLauncher:
    """Takes the place of `run_all`: writes the folder of each run at once.

    Args:
        loss: Validation loss at the last step; at the one before it is twice as high.
        codes: Exit codes by variant, for example {"trial1": 1}; other runs finish.
        error: In the record of a run that fails.
    """

    def __init__(
        self,
        loss: Callable[[Planned], float] = bowl,
        codes: dict[str, int] | None = None,
        error: str = "OSError: disk full",
    ) -> None:
        self.loss, self.codes, self.error = loss, codes or {}, error
        self.ran: list[Planned] = []

    def __call__(self, runs: Sequence[Planned], limits: Limits) -> list[Ended]:
        self.ran += runs
        return [Ended(planned, self.run(planned)) for planned in runs]

    def run(self, planned: Planned) -> int:
        key, code = planned.key, self.codes.get(planned.key.variant, 0)
        (key.folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        loss = self.loss(planned)
        curve = [(50, "val/loss", 2 * loss), (50, "val/bleu", 1.0)]
        curve += [] if code else [(100, "val/loss", loss), (100, "val/bleu", 10 + loss)]
        when = {"seconds": 1.0, "target_tokens": 9}
        rows = [{"step": step, **when, "metric": metric, "value": value} for step, metric, value in curve]
        write_rows(key.folder / "metrics.jsonl", rows)
        if code:
            write_failure(key, self.error, "")
        else:
            write_result(key, {}, [], {}, {}, PROVENANCE)
        return code

    @property
    def variants(self) -> list[str]:
        return [planned.key.variant for planned in self.ran]


def has_result(runs: Sequence[Planned]) -> list[bool]:
    """Takes the place of `finished`, which compares configurations of models that are not there."""
    return [(planned.key.folder / "result.json").exists() for planned in runs]
