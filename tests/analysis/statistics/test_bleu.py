"""Intervals and tests against their oracles: sacreBLEU, tables of the t distribution, and cases with a known answer."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.significance import PairedTest, Result

from analysis.statistics.bleu import (
    TRIALS,
    bleu_interval,
    bleu_of,
    bleu_of_each,
    bootstrap_bleu,
    compare_bleu,
    sentence_chrfs,
    sentence_statistics,
)
from analysis.statistics.intervals import SAMPLES, resampled_counts
from tests.support.fakes.runs import corpus, corrupted

REFERENCES = corpus(80)


def system(rate: float, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [corrupted(reference, rate, rng) for reference in REFERENCES]


BAD, GOOD = system(0.5, 1), system(0.2, 2)


def corpus_bleu(hypotheses: list[str], references: list[str]) -> float:
    return BLEU().corpus_score(hypotheses, [references]).score


sentences = st.lists(
    st.tuples(*[st.text("abcd .,é", max_size=30)] * 2).filter(lambda pair: pair[1].strip()), min_size=1, max_size=6
)


@settings(max_examples=60)
@given(sentences)
def test_summed_statistics_give_the_corpus_bleu_of_sacrebleu(pairs: list[tuple[str, str]]) -> None:
    hypotheses, references = (list(part) for part in zip(*pairs, strict=True))
    sums = sentence_statistics(tuple(hypotheses), tuple(references)).sum(axis=0)
    assert bleu_of(sums) == pytest.approx(corpus_bleu(hypotheses, references))


def test_two_systems_are_compared_by_the_tokeniser_asked_for() -> None:
    def of(texts: list[str]) -> float:
        return BLEU(tokenize="char").corpus_score(texts, [REFERENCES]).score

    difference = compare_bleu(BAD, GOOD, REFERENCES, "char").difference
    assert difference.value == pytest.approx(of(GOOD) - of(BAD))


def test_a_bootstrap_sample_is_a_corpus_of_the_drawn_sentences() -> None:
    counts = resampled_counts(len(REFERENCES), samples=3)
    assert counts.sum(axis=1).tolist() == [len(REFERENCES)] * 3
    drawn = np.repeat(np.arange(len(REFERENCES)), counts[1].astype(int))
    expected = corpus_bleu([BAD[i] for i in drawn], [REFERENCES[i] for i in drawn])
    statistics = sentence_statistics(tuple(BAD), tuple(REFERENCES))
    assert bootstrap_bleu(statistics, counts)[1] == pytest.approx(expected)


@settings(max_examples=200)
@given(st.lists(st.tuples(*[st.integers(0, 30)] * 6), min_size=1, max_size=5))
def test_many_scores_at_once_are_those_of_sacrebleu(rows: list[tuple[int, ...]]) -> None:
    sums = []
    for length, reference, *matches in rows:
        totals = [max(length - n, 0) for n in range(4)]
        sums.append([length, reference, *(min(m, t) for m, t in zip(matches, totals, strict=True)), *totals])
    array = np.array(sums, dtype=float)
    assert bleu_of_each(array) == pytest.approx([bleu_of(row) for row in array])


def paired_test(systems: list[list[str]], kind: str, trials: int) -> Result:
    named = [(str(i), hypotheses) for i, hypotheses in enumerate(systems)]
    _, scores = PairedTest(named, {"BLEU": BLEU(references=[REFERENCES])}, None, kind, trials)()
    return scores["BLEU"][1]


def test_samples_are_those_of_sacrebleus_paired_bootstrap() -> None:
    statistics = sentence_statistics(tuple(GOOD), tuple(REFERENCES))
    samples = bootstrap_bleu(statistics, resampled_counts(len(REFERENCES)))
    assert samples.mean() == pytest.approx(paired_test([BAD, GOOD], "bs", SAMPLES).mean, abs=1e-6)


@pytest.mark.parametrize("other", [BAD, system(0.2, 3), system(0.25, 4), system(0.3, 5)])
def test_p_is_that_of_sacrebleus_paired_randomisation(other: list[str]) -> None:
    expected = paired_test([GOOD, other], "ar", TRIALS).p_value
    assert compare_bleu(GOOD, other, REFERENCES).p == pytest.approx(expected, abs=2.5 / TRIALS)


def test_with_nothing_to_find_p_is_small_as_seldom_as_it_says() -> None:
    ps = [compare_bleu(system(0.3, 2 * i), system(0.3, 2 * i + 1), REFERENCES).p for i in range(40)]
    assert sum(p < 0.5 for p in ps) in range(10, 31)
    assert sum(p < 0.05 for p in ps) <= 6


def test_better_system_is_found_better_and_itself_is_not() -> None:
    clear, back = (compare_bleu(*pair, REFERENCES) for pair in ((BAD, GOOD), (GOOD, BAD)))
    assert (*back.difference, back.p) == pytest.approx((*(-clear.difference[i] for i in (0, 2, 1)), clear.p))
    assert clear.difference.value == pytest.approx(corpus_bleu(GOOD, REFERENCES) - corpus_bleu(BAD, REFERENCES))
    assert 0 < clear.difference.low < clear.difference.value < clear.difference.high
    assert clear.p < 0.01
    nothing = compare_bleu(GOOD, GOOD, REFERENCES)
    assert nothing.difference == (0, 0, 0)
    assert nothing.p == 1  # sacreBLEU's own test says 0.0001
    alike = compare_bleu(GOOD, system(0.2, 3), REFERENCES)
    assert alike.difference.low < 0 < alike.difference.high
    assert alike.p > 0.05


def test_interval_shrinks_with_more_sentences_and_covers_the_score() -> None:
    statistics = sentence_statistics(tuple(BAD), tuple(REFERENCES))
    few, many = bleu_interval([statistics[:20]]), bleu_interval([np.tile(statistics, (5, 1))])
    assert many.low < many.value < many.high
    assert many.high - many.low < (few.high - few.low) / 2


def test_interval_of_several_seeds_is_about_their_mean() -> None:
    seeds = [sentence_statistics(tuple(system(0.3, seed)), tuple(REFERENCES)) for seed in (4, 5)]
    both = bleu_interval(seeds)
    each = [bleu_interval([s]) for s in seeds]
    assert both.value == pytest.approx(np.mean([i.value for i in each]))
    assert min(i.low for i in each) < both.low < both.value < both.high < max(i.high for i in each)


def test_sentence_chrf_is_that_of_sacrebleu() -> None:
    expected = [CHRF().sentence_score(h, [r]).score for h, r in zip(BAD, REFERENCES, strict=True)]
    assert sentence_chrfs(tuple(BAD), tuple(REFERENCES)).tolist() == expected
