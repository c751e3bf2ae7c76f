"""The standard error of a mean over a text, whose neighbouring pieces are alike: the same scene, the same speakers."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.record.keys import Measurement

STRETCHES = 20


def with_error(
    metric: str, values: NDArray[np.float64], unit: str, n: int, x_name: str = "", x: Any = None
) -> list[Measurement]:
    """The mean of values in the order of the text, (N,), and its standard error."""
    rows = {metric: float(values.mean()), f"{metric}_error": standard_error(values)}
    return [Measurement(name, value, unit, n, x_name, x) for name, value in rows.items()]


def standard_error(values: NDArray[np.float64]) -> float:
    """Of a mean, from the means of 20 stretches of the text.

    If pieces were taken as independent, the error of a loss on Shakespeare would be half as large.
    """
    stretches = [part.mean() for part in np.array_split(values, min(STRETCHES, len(values)))]
    return float(np.std(stretches, ddof=1)) / math.sqrt(len(stretches)) if len(stretches) > 1 else 0.0
