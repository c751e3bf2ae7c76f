import pytest

from models.schedules import learning_rate_factor

SCHEDULES = ("inverse_square_root", "linear", "constant")


def factor(schedule: str, step: int, warmup: int = 100, max_steps: int = 1000) -> float:
    return learning_rate_factor(schedule, step, warmup, max_steps)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        ("inverse_square_root", {400: 1 / 2, 900: 1 / 3, 10_000: 0.1}),
        ("linear", {550: 451 / 901, 1000: 1 / 901, 1001: 0.0, 1002: 0.0}),
        ("constant", {101: 1.0, 2000: 1.0}),
    ],
)
def test_warm_up_is_linear_to_one_and_then_each_schedule_has_its_values(
    schedule: str, values: dict[int, float]
) -> None:
    values = {1: 0.01, 25: 0.25, 50: 0.5, 100: 1.0} | values
    assert {step: factor(schedule, step) for step in values} == pytest.approx(values)


def test_without_warm_up_the_first_step_has_the_peak() -> None:
    assert [factor(schedule, 1, 0) for schedule in SCHEDULES] == pytest.approx([1.0, 1.0, 1.0])
    assert all(factor(schedule, 4, 0) <= factor(schedule, 1, 0) for schedule in SCHEDULES)


def test_a_warm_up_as_long_as_the_training() -> None:
    assert 0.0 <= factor("linear", 100, 100, max_steps=100) <= 1.0
    assert factor("linear", 50, 100, max_steps=100) == pytest.approx(0.5)
