"""Names on Weights & Biases: those that runs send under, and by which dashboards find what was sent.

The names of measurements have sections: `train` for the cost of training, `val` for validation, `test` for
translation, `recall/TASK` for a long-range task, `speed/TASK` for speed, and other experiments alike.
"""

import hashlib
import os
from collections.abc import Mapping
from typing import Any

from experiments.record.keys import KEY

MODES = ("online", "offline", "disabled")
UNANSWERED = "wandb-unanswered"  # file in a suite's folder: W&B did not answer a run since `make` was typed
PROJECT = os.environ.get("WANDB_PROJECT", "recurrence-vs-attention")
TRANSLATIONS, ATTENTION = "test/translations", "test/attention"
TRAINING = (
    "parameters",
    "parameters_without_embeddings",
    "steps",
    "best_step",
    "target_tokens",
    "source_tokens",
    "train_seconds",
    "target_tokens_per_second",
)
COMPANIONS = ("_error", "_q25", "_q75")


def run_name(key: Mapping[str, Any]) -> str:
    return "/".join(str(key[column]) for column in KEY)


def run_id(key: Mapping[str, Any]) -> str:
    """The id of a run follows from its key, so that a resumed run continues in the same place."""
    return short_hash(run_name(key))


def short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def group(suite: str, experiment: str, task: str) -> str:
    return f"{suite}/{experiment}/{task}"


def section(experiment: str, task: str, metric: str) -> str:
    if experiment not in ("bleu", "long-range"):
        return f"{experiment}/{task}"
    if metric in TRAINING:
        return "train"
    if metric.startswith("val_"):
        return "val"
    return "test" if experiment == "bleu" else f"recall/{task}"


def series_name(experiment: str, task: str, metric: str, x_name: str = "") -> str:
    """A metric, or its plot over an axis."""
    return "/".join(filter(None, (section(experiment, task, metric), metric, x_name)))


def value_name(experiment: str, task: str, metric: str, x_name: str, x: object) -> str:
    """One measurement, a value of the summary."""
    series = series_name(experiment, task, metric, x_name)
    return f"{series}/{x}" if x_name else series


def is_companion(metric: str) -> bool:
    """Whether it is the uncertainty of another metric, or chance: a value of the summary without a plot of its own."""
    return metric == "trained" or metric.startswith("chance") or metric.endswith(COMPANIONS)
