from itertools import pairwise

import pytest

from models.schedules import learning_rate_factor


def factor(schedule: str, step: int, warmup: int = 100, *, width: int = 256, max_steps: int = 1000) -> float:
    return learning_rate_factor(schedule, step, warmup, width=width, max_steps=max_steps)  # type: ignore[arg-type]


@pytest.mark.parametrize("schedule", ["inverse_square_root", "linear", "constant"])
def test_the_rise_is_a_straight_line_to_one(schedule: str) -> None:
    assert [factor(schedule, step) for step in (1, 25, 50, 100)] == pytest.approx([0.01, 0.25, 0.5, 1.0])


def test_inverse_square_root_falls() -> None:
    assert [factor("inverse_square_root", step) for step in (400, 900, 10_000)] == pytest.approx([1 / 2, 1 / 3, 0.1])


def test_linear_falls_to_zero_at_the_last_step() -> None:
    assert [factor("linear", step) for step in (100, 550, 910, 1000)] == pytest.approx([1.0, 0.5, 0.1, 0.0])
    assert factor("linear", 1001) == 0.0


def test_constant_stays() -> None:
    assert {factor("constant", step) for step in range(100, 2000, 100)} == {1.0}


def test_noam_is_equation_3() -> None:
    """Transformer base: D = 512, 4000 warm-up steps, peak about 7e-4."""
    for step in (1, 10, 3999, 4000, 4001, 100_000):
        expected = 512**-0.5 * min(step**-0.5, step * 4000**-1.5)
        assert factor("noam", step, 4000, width=512) == pytest.approx(expected)
    values = [factor("noam", step, 4000, width=512) for step in range(1, 12_000)]
    assert max(values) == values[3999] == pytest.approx(6.99e-4, rel=1e-3)


@pytest.mark.parametrize("schedule", ["inverse_square_root", "noam", "linear", "constant"])
def test_no_schedule_rises_after_the_warm_up_or_is_negative(schedule: str) -> None:
    values = [factor(schedule, step) for step in range(1, 1200)]
    assert all(a < b for a, b in pairwise(values[:100]))
    assert all(a >= b for a, b in pairwise(values[99:]))
    assert min(values) >= 0


@pytest.mark.parametrize(("schedule", "first"), [("inverse_square_root", 1.0), ("noam", 1 / 16), ("constant", 1.0)])
def test_without_warm_up_the_first_step_is_the_peak(schedule: str, first: float) -> None:
    assert factor(schedule, 1, 0) == pytest.approx(first)
    assert factor(schedule, 4, 0) <= first


def test_linear_without_warm_up_begins_next_to_one() -> None:
    assert factor("linear", 1, 0) == pytest.approx(1.0)


def test_a_warm_up_as_long_as_the_training() -> None:
    assert 0.0 <= factor("linear", 100, 100, max_steps=100) <= 1.0
    assert factor("linear", 50, 100, max_steps=100) == pytest.approx(0.5)
