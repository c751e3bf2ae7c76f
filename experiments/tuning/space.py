"""The settings that tuning tries: points of one space, the same for every model."""

from dataclasses import dataclass

from scipy.stats.qmc import Sobol

SEED = 100  # of the points and of the trials' runs; the published runs have others
OPTIMISATION = "model.init_args.optimisation"


@dataclass(frozen=True)
class Range:
    """Values between two bounds, uniform in their logarithm."""

    low: float
    high: float


SPACE = {"learning_rate": Range(5e-4, 2e-2), "initialisation_scale": Range(0.5, 2.0)}


def points(number: int) -> list[dict[str, float]]:
    """The first points of a scrambled Sobol sequence, to three significant digits.

    Bousquet et al. 2017, "Critical Hyper-Parameters: No Random, No Cry": few points of a low-discrepancy sequence cover
    a space better than as many random ones. The sequence is balanced at powers of 2.
    """
    sequence = Sobol(len(SPACE), scramble=True, rng=SEED).random_base2((number - 1).bit_length())
    return [
        {
            name: float(f"{bounds.low * (bounds.high / bounds.low) ** float(share):.3g}")
            for (name, bounds), share in zip(SPACE.items(), point, strict=True)
        }
        for point in sequence[:number]
    ]
