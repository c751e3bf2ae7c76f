"""What tuning varies: one space for all models, as Optuna draws from it and as Weights & Biases sweeps over it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution
from scipy.stats.qmc import Sobol

from experiments.planning.grid import HERE, Planned
from experiments.tracking.logger import PROJECT

SEED = 100  # of the trials' runs and of the sampler; the published runs have others
SHARED_POINTS = 4  # tried first, the same for every model: a scrambled Sobol sequence, balanced at powers of 2
OPTIMISATION = "model.init_args.optimisation"


@dataclass(frozen=True)
class Range:
    """Values between two bounds, uniform in their logarithm."""

    low: float
    high: float


SPACE = {"learning_rate": Range(5e-4, 2e-2), "initialisation_scale": Range(0.5, 2.0)}


def distributions() -> dict[str, BaseDistribution]:
    return {name: FloatDistribution(values.low, values.high, log=True) for name, values in SPACE.items()}


def shared_point(number: int) -> dict[str, float]:
    """Values of one of the first trials: they depend on its number alone.

    Bousquet et al. 2017, "Critical Hyper-Parameters: No Random, No Cry": few points of a low-discrepancy sequence cover
    a space better than as many random ones.
    """
    point = Sobol(len(SPACE), scramble=True, rng=SEED).random(SHARED_POINTS)[number]
    return {
        name: values.low * (values.high / values.low) ** float(share)
        for (name, values), share in zip(SPACE.items(), point, strict=True)
    }


def rounded(values: Mapping[str, float]) -> dict[str, float]:
    """Three significant digits: what runs is what a configuration file can show."""
    return {name: float(f"{values[name]:.3g}") for name in SPACE}


def overrides(values: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(f"--{OPTIMISATION}.{name}={values[name]}" for name in SPACE)


def sweep_definition(trial: Planned, trials: int) -> dict[str, Any]:
    """The same search as a Weights & Biases sweep definition; its trials are runs of the same command.

    Every run gets a folder of its own from the id that the agent gives it, so that several agents can work at once.
    It takes a shell to read that id: an agent fills in its macros before it sets the variable.

    Args:
        trial: A trial without the values that the sweep sets.
        trials: Runs after which the sweep ends.
    """
    words = [os.path.relpath(word, HERE.parent) if os.path.isabs(word) else word for word in trial.arguments]
    script = 'exec python -m experiments.run "$@" --run.variant="sweep-$WANDB_RUN_ID"'
    return {
        "name": f"{trial.key.task} {trial.key.model} ({trial.key.suite})",
        "project": PROJECT,
        "program": "experiments/run.py",
        "method": "bayes",
        "metric": {"name": "val/loss", "goal": "minimize"},
        "run_cap": trials,
        "parameters": {
            f"{OPTIMISATION}.{name}": {"distribution": "log_uniform_values", "min": values.low, "max": values.high}
            for name, values in SPACE.items()
        },
        "command": ["${env}", "sh", "-c", script, "sh", *words, "${args}"],
    }
