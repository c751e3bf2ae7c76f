"""Learning-rate schedules, as factors of the configured learning rate. Steps count from 1."""

from typing import Literal

Schedule = Literal["inverse_square_root", "linear", "constant"]


def learning_rate_factor(schedule: Schedule, step: int, warmup_steps: int, max_steps: int) -> float:
    """Factor of the learning rate at a step.

    Args:
        schedule:
            inverse_square_root: linear warm-up to 1, then sqrt(warmup / step): with a learning rate of
            (D warmup)^-0.5 that of Vaswani et al. 2017, equation 3.
            linear: linear warm-up to 1, then linear decay to 0 after `max_steps`.
            constant: linear warm-up to 1, then constant.
        step: Step from 1.
        warmup_steps: Steps of the warm-up; 0 for none.
        max_steps: Last step, for linear.
    """
    warmup = max(1, warmup_steps)
    warm = min(1.0, step / warmup)
    match schedule:
        case "inverse_square_root":
            return min(warm, (warmup / step) ** 0.5)
        case "linear":
            return min(warm, max(0.0, (max_steps - step + 1) / max(1, max_steps - warmup + 1)))
        case "constant":
            return warm
