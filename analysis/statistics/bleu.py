"""BLEU and chrF over sentences: what each adds to a corpus, bootstrap intervals, paired comparison of two systems."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from sacrebleu.metrics import BLEU, CHRF

from analysis.statistics.intervals import SEED, Array, Interval, percentile_interval, resampled_counts
from experiments.record.languages import USUAL

TRIALS = 10_000  # sacreBLEU's own default for randomisation
ORDER = 4  # BLEU counts n-grams up to this length
TINY = 1e-9  # BLEU; differences closer than this are equal but for the order of additions


class PairedTest(NamedTuple):
    """BLEU of a system minus BLEU of the baseline; `p` is two-sided, from paired approximate randomisation."""

    difference: Interval
    p: float


@lru_cache(maxsize=256)  # every table and figure about the same translations asks for these, and counting is slow
def sentence_statistics(hypotheses: tuple[str, ...], references: tuple[str, ...], tokeniser: str = USUAL) -> Array:
    """What BLEU sums over sentences: (N, 10) two lengths (hypothesis, reference), four n-gram matches, four totals."""
    metric = BLEU(effective_order=True, tokenize=tokeniser)
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


def bleu_of_each(sums: Array) -> Array:
    """(K,): `bleu_of` each row of the summed statistics (K, 10); thousands of rows cost what one costs there."""
    matches, totals = sums[:, 2 : 2 + ORDER], sums[:, 2 + ORDER :]
    smoothed = np.where(matches > 0, matches, 0.5 ** np.cumsum(matches == 0, axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):  # a hypothesis without n-grams of some order scores 0 below
        brevity = np.minimum(0, 1 - sums[:, 1] / sums[:, 0])
        scores = 100 * np.exp(brevity + np.log(smoothed / totals).mean(axis=1))
    return np.where(matches.any(axis=1) & totals.all(axis=1), scores, 0)


def bootstrap_bleu(statistics: Array, counts: Array) -> Array:
    """(samples,): BLEU of each bootstrap sample."""
    return bleu_of_each(counts @ statistics)


def bleu_interval(seeds: Sequence[Array]) -> Interval:
    """Mean BLEU over seeds, each the statistics of the same sentences, with its bootstrap interval over sentences."""
    counts = resampled_counts(len(seeds[0]))
    samples = np.mean([bootstrap_bleu(statistics, counts) for statistics in seeds], axis=0)
    return percentile_interval(float(np.mean([bleu_of(s.sum(axis=0)) for s in seeds])), samples)


def compare_bleu(
    baseline: Sequence[str], hypotheses: Sequence[str], references: Sequence[str], tokeniser: str = USUAL
) -> PairedTest:
    """Compare a system with a baseline on the same sentences, in the same order.

    The interval is that of the paired bootstrap (Koehn 2004): both sides are scored on the same samples.
    """
    both = (tuple(baseline), tuple(hypotheses))
    base, system = (sentence_statistics(texts, tuple(references), tokeniser) for texts in both)
    counts = resampled_counts(len(references))
    samples = bootstrap_bleu(system, counts) - bootstrap_bleu(base, counts)
    difference = bleu_of(system.sum(axis=0)) - bleu_of(base.sum(axis=0))
    return PairedTest(percentile_interval(difference, samples), randomisation_p(base, system))


def randomisation_p(base: Array, system: Array) -> float:
    """Two-sided p of the BLEU difference by paired approximate randomisation (Riezler and Maxwell 2005).

    Each trial swaps the two hypotheses of every sentence with probability 1/2; p is the share of trials that differ as
    much as the systems do. Trials are those of sacreBLEU, which counts only larger differences: by that, a system would
    differ significantly from itself. The paired bootstrap's p there is one-sided in effect, so it is not used.
    """
    swapped = np.random.default_rng(SEED).integers(2, size=(TRIALS, len(base)), dtype=bool)
    moved = np.concatenate([part @ (system - base) for part in np.array_split(swapped, 20)])  # a part is 4 MB as float
    trials = bleu_of_each(system.sum(axis=0) - moved) - bleu_of_each(base.sum(axis=0) + moved)
    observed = abs(bleu_of(system.sum(axis=0)) - bleu_of(base.sum(axis=0)))
    as_large = int(np.sum(np.abs(trials) >= observed - TINY))
    return (as_large + 1) / (TRIALS + 1)


@lru_cache(maxsize=256)  # each system is one side of several pairs
def sentence_chrfs(hypotheses: tuple[str, ...], references: tuple[str, ...]) -> Array:
    """(N,): chrF of each sentence."""
    metric = CHRF()
    scores = [metric.sentence_score(h, [r]).score for h, r in zip(hypotheses, references, strict=True)]
    return np.array(scores, dtype=np.float64)
