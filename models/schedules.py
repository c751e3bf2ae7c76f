"""Learning rate by step, as a factor of the peak learning rate. Steps count from 1."""

from typing import Literal

Schedule = Literal["inverse_square_root", "noam", "linear", "constant"]


def learning_rate_factor(schedule: Schedule, step: int, warmup_steps: int, *, width: int, max_steps: int) -> float:
    """The factor that the configured learning rate is multiplied by at a step.

    Args:
        schedule:
            inverse_square_root: rises linearly to 1 at `warmup_steps`, then falls as 1 / sqrt(step).
            noam: D^-0.5 min(step^-0.5, step warmup^-1.5), Vaswani et al. 2017, equation 3; the learning rate is then a
            plain factor, about 1.
            linear: rises to 1 at `warmup_steps`, then falls in a straight line to 0 at `max_steps`.
            constant: rises to 1 at `warmup_steps` and stays.
        step: Step from 1.
        warmup_steps: Steps of the rise; 0 for none.
        width: Model width D, for noam.
        max_steps: Last step, for linear.
    """
    warmup = max(1, warmup_steps)
    rise = min(1.0, step / warmup)
    match schedule:
        case "inverse_square_root":
            return min(rise, (warmup / step) ** 0.5)
        case "noam":
            return width**-0.5 * min(step**-0.5, step * warmup**-1.5)
        case "linear":
            return min(rise, max(0.0, (max_steps - step) / max(1, max_steps - warmup)))
        case "constant":
            return rise
