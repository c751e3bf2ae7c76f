"""The settings that tuning tries: points of one space for each experiment, the same for every model."""

from dataclasses import dataclass
from typing import Literal

from scipy.stats.qmc import Sobol

SEED = 100  # of the points and of the trials' runs; the published runs have others


@dataclass(frozen=True)
class Range:
    """Values of a configuration key between two bounds, uniform or uniform in their logarithm."""

    key: str
    low: float
    high: float
    distribution: Literal["uniform", "log-uniform"] = "log-uniform"

    def at(self, share: float) -> float:
        """The value at a share of the range, to three significant digits."""
        if self.distribution == "uniform":
            return float(f"{self.low + (self.high - self.low) * share:.3g}")
        return float(f"{self.low * (self.high / self.low) ** share:.3g}")


OPTIMISATION, NETWORK = "model.init_args.optimisation", "model.init_args.network"
SPACES = {
    "long-range": {
        "learning_rate": Range(f"{OPTIMISATION}.learning_rate", 5e-4, 2e-2),
        "initialisation_scale": Range(f"{OPTIMISATION}.initialisation_scale", 0.5, 2.0),
    },
    "language": {
        "learning_rate": Range(f"{OPTIMISATION}.learning_rate", 1e-3, 1e-2),
        "initialisation_scale": Range(f"{OPTIMISATION}.initialisation_scale", 0.5, 2.0),
    },
    "bleu": {
        "learning_rate": Range(f"{OPTIMISATION}.learning_rate", 4e-4, 6e-3),
        "dropout": Range(f"{NETWORK}.dropout", 0.1, 0.5, "uniform"),
    },
}


def points(experiment: str, number: int) -> list[dict[str, float]]:
    """The first points of a scrambled Sobol sequence in the space of an experiment.

    Bousquet et al. 2017, "Critical Hyper-Parameters: No Random, No Cry": few points of a low-discrepancy sequence cover
    a space better than as many random ones. The sequence is balanced at powers of 2.
    """
    space = SPACES[experiment]
    sequence = Sobol(len(space), scramble=True, rng=SEED).random_base2((number - 1).bit_length())
    return [
        {name: values.at(float(share)) for (name, values), share in zip(space.items(), point, strict=True)}
        for point in sequence[:number]
    ]
