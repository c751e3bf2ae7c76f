"""Intervals and tests against their oracles: SciPy, published examples, tables of the t distribution."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics.intervals import (
    Interval,
    difference,
    holm,
    mean_interval,
    percentile_interval,
    pooled,
    resampled_counts,
    t_interval,
    welch,
    wilson,
)


@given(n=st.integers(1, 2000), share=st.floats(0, 1))
def test_wilson_is_scipys_on_whole_counts(n: int, share: float) -> None:
    successes = round(share * n)
    expected = stats.binomtest(successes, n).proportion_ci(method="wilson")
    interval = wilson(successes / n, n)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize("interval", [wilson(0.5, 0), t_interval([0.5])])
def test_no_trials_or_one_seed_give_no_interval(interval: Interval) -> None:
    assert interval.value == 0.5
    assert np.isnan(interval[1:]).all()


def test_pooling_turns_errors_into_an_effective_number_of_examples() -> None:
    assert tuple(pooled([0.7, 0.9], [0.03, 0.05], 100)) == pytest.approx(tuple(wilson(0.8, 0.8 * 0.2 / 0.04**2)))
    assert pooled([1.0, 1.0], [0.0, 0.0], 100) == wilson(1.0, 100)  # judged twice, not twice as many
    assert pooled([0.7, 0.9], [], 100) == wilson(0.8, 100)


@given(st.floats(0, 1), st.floats(0, 1), st.integers(5, 500))
def test_a_difference_is_antisymmetric_and_holds_its_value(a: float, b: float, n: int) -> None:
    there, back = difference(wilson(a, n), wilson(b, n)), difference(wilson(b, n), wilson(a, n))
    assert there.low <= a - b <= there.high
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))


def test_percentiles_hold_95_percent() -> None:
    interval = percentile_interval(50, np.arange(1001, dtype=float))
    assert interval == (50, 25, 975)


def test_t_interval_of_three_seeds_uses_the_tables_4_303() -> None:
    interval = t_interval([1.0, 2.0, 3.0])
    assert interval.value == 2
    assert interval.high - 2 == pytest.approx(4.3027 / math.sqrt(3), rel=1e-4)
    assert 2 - interval.low == pytest.approx(interval.high - 2)


def test_holm_on_a_worked_example() -> None:
    # four tests: 0.005 x 4, 0.01 x 3, 0.03 x 2, and 0.04 x 1, which may not be below the one before
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.7, 0.8]).tolist() == [1, 1]
    assert holm([0.02]).tolist() == [0.02]
    assert holm([]).tolist() == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_what_the_procedure_step_by_step_rejects(p_values: list[float]) -> None:
    rejected: set[int] = set()
    for step, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[index] * (len(p_values) - step) > 0.05:
            break
        rejected.add(index)
    adjusted = holm(p_values)
    assert {i for i, p in enumerate(adjusted) if p <= 0.05} == rejected
    assert all(p <= a <= min(1, p * len(p_values)) for p, a in zip(p_values, adjusted, strict=True))


def test_interval_of_a_mean_is_as_wide_as_its_standard_error_says() -> None:
    values = np.random.default_rng(1).normal(3, 2, 400)
    interval = mean_interval(values)
    assert interval.value == pytest.approx(values.mean())
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)


def test_shared_samples_cannot_be_changed_by_accident() -> None:
    with pytest.raises(ValueError, match="read-only"):
        resampled_counts(10)[0, 0] = 1


def test_welch_of_two_small_samples_by_hand() -> None:
    interval = welch([1.0, 2.0, 3.0], [2.0, 4.0])
    freedom = (1 / 3 + 1) ** 2 / ((1 / 3) ** 2 / 2 + 1**2 / 1)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(1 / 3 + 1)
    assert interval == pytest.approx((1.0, 1.0 - half, 1.0 + half))


def test_welch_with_one_constant_sample_is_the_t_interval_of_the_other() -> None:
    assert welch([5.0, 5.0, 5.0], [1.0, 2.0, 3.0]) == pytest.approx([end - 5 for end in t_interval([1.0, 2.0, 3.0])])
