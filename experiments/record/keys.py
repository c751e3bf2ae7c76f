"""What names a run and its numbers: the key with its folder, a measurement, and fingerprints of both."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

KEY = ("suite", "experiment", "task", "model", "variant", "seed")  # nothing else distinguishes two runs
RESULT, FAILURE, HISTORY = "result.json", "failure.json", "metrics.jsonl"
IDENTITY, TOKENIZERS = "identity.json", "tokenizers"
TUNING = "-tuning"  # ends the suite of the trials of a suite
BLOCKS, ATTENTION, TRIALS, WORD_COUNTS = "blocks.jsonl", "attention.json", "trials.json", "target_word_counts.json"


@dataclass(frozen=True)
class RunKey:
    """Name of a run: nothing else may distinguish two runs of a suite.

    Args:
        suite: Grid the run belongs to.
        experiment: Question asked: bleu, long-range, language, speed or inspection.
        task: Data it is asked on.
        model: Model it is asked of.
        variant: Variant of the model, base by default.
        seed: Seed of weights, dropout and data order.
        root: Folder of all suites.
        command: What a user types to make this run again.
    """

    suite: str
    experiment: str
    task: str
    model: str
    variant: str = "base"
    seed: int = 0
    root: str = "runs"
    command: str = ""

    @property
    def folder(self) -> Path:
        parts = (self.suite, self.experiment, self.task, self.model, self.variant, f"seed{self.seed}")
        return Path(self.root, *parts)

    @property
    def system(self) -> str:
        """The model with its variant, as MODELS names it."""
        return self.model if self.variant == "base" else f"{self.model}-{self.variant}"

    @property
    def log(self) -> Path:
        """Output of the run; not in the folder, because a changed configuration renames the folder."""
        return self.folder.with_name(f"log-{self.folder.name}.txt")

    @property
    def identity(self) -> dict[str, Any]:
        """The key columns of every measurement."""
        return {name: getattr(self, name) for name in KEY}


def source_of(key: RunKey, name: str) -> RunKey:
    """The run that another one starts from: of the same suite and seed, but trials start from that of seed 0.

    Args:
        key: The run that starts.
        name: experiment/task/model of the other, for example language/stories-short/transformer-small.
    """
    if key.suite.endswith(TUNING):
        key = replace(key, suite=key.suite.removesuffix(TUNING), seed=0)
    experiment, task, system = name.split("/")
    model, _, variant = system.partition("-")
    return replace(key, experiment=experiment, task=task, model=model, variant=variant or "base", command="")


@dataclass(frozen=True)
class Measurement:
    """One number: `value` of `metric` at `x`, from `n` examples."""

    metric: str
    value: float
    unit: str
    n: int
    x_name: str = ""
    x: str | float | None = None


def config_hash(config: Mapping[str, Any]) -> str:
    """A fingerprint of everything that can change a run's numbers."""
    return hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()[:16]


def digest(measurements: Sequence[Mapping[str, Any]]) -> str:
    """A fingerprint of the numbers themselves, by which a reader notices one that was changed."""
    return hashlib.sha256(json.dumps(measurements, sort_keys=True).encode()).hexdigest()
