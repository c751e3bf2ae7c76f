"""How sure a number is: intervals of shares, means and differences, bootstrap samples, Holm over many tests."""

import math
import warnings
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

SAMPLES = 1000
FEW = 10  # sentences: resampling fewer shows too narrow an interval
SEED = 12345  # sacreBLEU's own default: intervals and p values rest on the samples and trials that it would draw
Z = float(stats.norm.ppf(0.975))

Array = NDArray[np.float64]


class Interval(NamedTuple):
    """A value and its 95 % interval; low and high are NaN where there is none."""

    value: float
    low: float
    high: float


def wilson(share: float, n: float) -> Interval:
    """A share of `n` independent trials with its Wilson 95 % interval; `n` may be an effective, fractional number."""
    if not n > 0:
        return Interval(share, math.nan, math.nan)
    middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half))


def pooled(shares: Collection[float], errors: Collection[float], n: int) -> Interval:
    """Mean share over seeds with the interval that covers the choice of the `n` test examples.

    The tokens of one example are not independent, so the number of trials is the one that would give the standard
    error measured over examples. All seeds are judged on the same examples, so more seeds are not more examples: the
    error of their mean is taken as large as it can be, the mean of their errors.
    """
    share, error = float(np.mean(list(shares))), float(np.mean(list(errors))) if errors else 0.0
    return wilson(share, share * (1 - share) / error**2 if error > 0 else n)


def difference(first: Interval, second: Interval) -> Interval:
    """first − second of two independent shares, by Newcombe's square-and-add of their own intervals (1998)."""
    value = first.value - second.value
    low = math.hypot(first.value - first.low, second.high - second.value)
    high = math.hypot(first.high - first.value, second.value - second.low)
    return Interval(value, value - low, value + high)


def any_two_seeds(apart: Interval, first: Mapping[int, float], second: Mapping[int, float]) -> Interval:
    """The interval of a difference, widened until it holds that of any seed of the one and any of the other."""
    pairs = [a - b for a in first.values() for b in second.values()]
    return Interval(apart.value, min(apart.low, *pairs), max(apart.high, *pairs))


def spread(values: Collection[float]) -> Interval:
    """Mean, lowest and highest seed."""
    return Interval(float(np.mean(list(values))), min(values), max(values))


def t_interval(values: Sequence[float]) -> Interval:
    """Mean over seeds with its t interval, which is wide on purpose: t is 4.30 with three seeds."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return Interval(mean, math.nan, math.nan)
    half = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    return Interval(mean, mean - half, mean + half)


def welch(first: Sequence[float], second: Sequence[float]) -> Interval:
    """second − first, means of independent samples of unequal variance (Welch 1947), with its 95 % t interval."""
    with warnings.catch_warnings(action="ignore"):  # of lost precision, where one of the two is constant
        low, high = stats.ttest_ind(second, first, equal_var=False).confidence_interval()
    return Interval(float(np.mean(second) - np.mean(first)), float(low), float(high))


@lru_cache(maxsize=8)  # test sets and bins of them come round for every system; one sample of 1000 sentences is 8 MB
def resampled_counts(sentences: int, samples: int = SAMPLES) -> Array:
    """(samples, sentences): how often each bootstrap sample draws each sentence."""
    draws = np.random.default_rng(SEED).choice(sentences, size=(samples, sentences), replace=True)
    counts = np.stack([np.bincount(draw, minlength=sentences) for draw in draws]).astype(np.float64)
    counts.flags.writeable = False
    return counts


def percentile_interval(value: float, samples: Array) -> Interval:
    low, high = np.percentile(samples, [2.5, 97.5])
    return Interval(value, float(low), float(high))


def mean_interval(values: Array) -> Interval:
    """The mean over sentences with its bootstrap interval."""
    return percentile_interval(float(values.mean()), resampled_counts(len(values)) @ values / len(values))


def holm(p_values: ArrayLike) -> Array:
    """The p values adjusted for their number (Holm 1979): those below 0.05 include a false one with at most 5 %."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted
