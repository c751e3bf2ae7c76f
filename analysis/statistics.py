"""How sure a number is: bootstrap over sentences for BLEU, t interval over seeds."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.significance import PairedTest, Result
from scipy import stats

SAMPLES = 1000
SEED = 12345  # sacreBLEU's own default: intervals here and p values there rest on the same resampled sentences
ORDER = 4  # BLEU counts n-grams up to this length

Array = NDArray[np.float64]


class Interval(NamedTuple):
    """A value and its 95 % interval; low and high are NaN where there is none."""

    value: float
    low: float
    high: float


class Comparison(NamedTuple):
    """BLEU of a system minus BLEU of the baseline; `p` is that of the paired bootstrap test."""

    difference: Interval
    p: float


@lru_cache(maxsize=256)  # every table and figure about the same translations asks for these, and counting is slow
def sentence_statistics(hypotheses: tuple[str, ...], references: tuple[str, ...]) -> Array:
    """What BLEU sums over sentences: (N, 10) two lengths (hypothesis, reference), four n-gram matches, four totals."""
    metric = BLEU(effective_order=True)
    scores = [metric.sentence_score(h, [r]) for h, r in zip(hypotheses, references, strict=True)]
    return np.array([[s.sys_len, s.ref_len, *s.counts, *s.totals] for s in scores], dtype=np.float64)


def bleu_of(sums: Array) -> float:
    """Corpus BLEU (0 to 100) of summed sentence statistics; equal to sacreBLEU on the same sentences."""
    score = BLEU.compute_bleu(
        correct=[int(v) for v in sums[2 : 2 + ORDER]],
        total=[int(v) for v in sums[2 + ORDER :]],
        sys_len=int(sums[0]),
        ref_len=int(sums[1]),
        smooth_method="exp",  # what the metric does by default, but not this function
    )
    return float(score.score)


def resampled_counts(sentences: int, samples: int = SAMPLES) -> Array:
    """(samples, sentences): how often each bootstrap sample draws each sentence."""
    draws = np.random.default_rng(SEED).choice(sentences, size=(samples, sentences), replace=True)
    return np.stack([np.bincount(draw, minlength=sentences) for draw in draws]).astype(np.float64)


def bootstrap_bleu(statistics: Array, counts: Array) -> Array:
    """(samples,): BLEU of each bootstrap sample."""
    return np.array([bleu_of(sums) for sums in counts @ statistics])


def percentile_interval(value: float, samples: Array) -> Interval:
    low, high = np.percentile(samples, [2.5, 97.5])
    return Interval(value, float(low), float(high))


def bleu_interval(seeds: Sequence[Array]) -> Interval:
    """Mean BLEU over seeds, each the statistics of the same sentences, with its bootstrap interval over sentences."""
    counts = resampled_counts(len(seeds[0]))
    samples = np.mean([bootstrap_bleu(statistics, counts) for statistics in seeds], axis=0)
    return percentile_interval(float(np.mean([bleu_of(s.sum(axis=0)) for s in seeds])), samples)


def compare_bleu(baseline: Sequence[str], hypotheses: Sequence[str], references: Sequence[str]) -> Comparison:
    """Compare a system with a baseline on the same sentences, in the same order.

    The p value is sacreBLEU's paired bootstrap test (Koehn 2004); 1 for a system equal to its baseline, where that
    test, asking for more than no difference at all, would report its smallest p.
    """
    counts = resampled_counts(len(references))
    statistics = [sentence_statistics(tuple(texts), tuple(references)) for texts in (baseline, hypotheses)]
    base, system = (bleu_of(s.sum(axis=0)) for s in statistics)
    base_samples, system_samples = (bootstrap_bleu(s, counts) for s in statistics)
    difference = percentile_interval(system - base, system_samples - base_samples)
    if list(baseline) == list(hypotheses):
        return Comparison(difference, 1.0)
    named = [("baseline", baseline), ("system", hypotheses)]
    _, scores = PairedTest(named, {"BLEU": BLEU(references=[references])}, None, "bs", SAMPLES)()
    result = scores["BLEU"][1]
    assert isinstance(result, Result)
    assert result.p_value is not None
    return Comparison(difference, result.p_value)


def sentence_chrf(hypothesis: str, reference: str) -> float:
    """chrF (0 to 100) of one sentence (Popović 2015)."""
    return float(CHRF().sentence_score(hypothesis, [reference]).score)


def t_interval(values: Sequence[float]) -> Interval:
    """Mean over seeds with its t interval, which is wide on purpose: t is 4.30 with three seeds."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return Interval(mean, math.nan, math.nan)
    half = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    return Interval(mean, mean - half, mean + half)
