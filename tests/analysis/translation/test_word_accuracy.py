"""Words by training frequency: counted by hand, against sacreBLEU's unigrams, and with files that are not right."""

import json
import math
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU

from analysis.page.blocks import Block, Paragraph, Table
from analysis.page.look import Look
from analysis.statistics.intervals import resampled_counts
from analysis.store import Store, System, read_store
from analysis.translation.bleu import measure
from analysis.translation.sentences import translations
from analysis.translation.word_accuracy import (
    BINS,
    MATCHED,
    WANTED,
    WRITTEN,
    accuracies,
    build,
    f1_of,
    f1_samples,
    training_counts,
    word_statistics,
)
from experiments.record.languages import words
from tests.support.fakes.counts import COUNTS, write_counts
from tests.support.fakes.runs import corpus, corrupted, folder_of, write_lines, write_run, write_suite

LSTM = System("lstm", "base")


def frame(*pairs: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(pairs, columns=["hypothesis", "reference"])


def counted(*pairs: tuple[str, str], counts: dict[str, int]) -> np.ndarray:
    statistics = word_statistics(frame(*pairs), counts)
    assert statistics is not None
    return statistics


@pytest.mark.parametrize(
    ("times", "place"),
    [(0, 0), (1, 1), (2, 2), (4, 2), (5, 3), (9, 3), (10, 4), (99, 4), (100, 5), (999, 5), (1000, 6), (10**6, 6)],
)
def test_a_word_belongs_to_the_bin_of_its_count(times: int, place: int) -> None:
    assert BINS == ["0", "1", "2–4", "5–9", "10–99", "100–999", "1000+"]
    statistics = counted(("Hund", "Hund"), counts={"Hund": times})
    assert np.argwhere(statistics).tolist() == [[0, place, column] for column in (MATCHED, WRITTEN, WANTED)]


def test_matches_are_clipped_and_case_and_punctuation_count() -> None:
    counts = {"der": 2000, "Der": 50, "Hund": 3, ".": 5000}
    (sentence,) = counted(("der der der Hund .", "Der Hund der."), counts=counts)
    assert sentence[6].tolist() == [2, 4, 2]  # der and the full stop; three der written, one wanted
    assert sentence[4].tolist() == [0, 0, 1]  # Der
    assert sentence[2].tolist() == [1, 1, 1]  # Hund
    assert f1_of(sentence[6]) == pytest.approx(200 / 3)


@settings(max_examples=60)
@given(st.lists(st.tuples(*[st.text("ab .,'&", max_size=20)] * 2), min_size=1, max_size=5))
def test_over_all_bins_the_words_are_the_unigrams_of_bleu(pairs: list[tuple[str, str]]) -> None:
    counts = {word: len(word) for pair in pairs for text in pair for word in words(text, "13a")}
    matched, written, wanted = counted(*pairs, counts=counts).sum(axis=(0, 1))
    score = BLEU().corpus_score([h for h, _ in pairs], [[r for _, r in pairs]])
    assert (matched, written, wanted) == (score.counts[0], score.totals[0], score.ref_len)


def test_a_word_without_a_count_is_not_taken_for_unseen() -> None:
    assert word_statistics(frame(("Katze", "Hund")), {"Hund": 3}) is None


def noisy(rate: float, seed: int, sentences: int = 60) -> np.ndarray:
    references = corpus(sentences)
    rng = random.Random(seed)
    return counted(*((corrupted(r, rate, rng), r) for r in references), counts=COUNTS)


def test_a_sample_is_a_corpus_of_the_drawn_sentences() -> None:
    statistics = noisy(0.3, 1)
    drawn = np.repeat(np.arange(60), resampled_counts(60)[7].astype(int))
    assert f1_samples(statistics)[7] == pytest.approx(f1_of(statistics[drawn].sum(axis=0)))


@pytest.mark.parametrize("right", [True, False])
def test_all_right_or_all_wrong_is_not_told_as_certain(right: bool) -> None:
    pairs = [("Hund", "Hund" if right else "Mann")] * 30
    found = accuracies([counted(*pairs, counts={"Hund": 3, "Mann": 3})])[2]
    assert found.interval.value == 100 * right
    assert math.isnan(found.interval.low)


def test_seeds_are_averaged_and_kept() -> None:
    each = [noisy(0.3, seed) for seed in (1, 2)]
    both = accuracies(each)
    alone = [accuracies([statistics]) for statistics in each]
    for b, found in enumerate(both):
        assert list(found.seeds) == [one[b].interval.value for one in alone]
        assert found.interval.value == pytest.approx(np.mean(found.seeds))


def test_few_sentences_give_no_interval_and_no_words_no_value() -> None:
    counts = {"oft": 5000, "selten": 1}
    pairs = [("oft", "oft")] * 30 + [("oft", "selten")] * 8 + [("selten", "selten")]
    rare, often = (accuracies([counted(*pairs, counts=counts)])[b] for b in (1, 6))
    assert rare.interval.value == pytest.approx(100 * 2 / 10)
    assert math.isnan(rare.interval.low)
    assert often.interval.low < often.interval.value == pytest.approx(100 * 60 / 68)
    enough = accuracies([counted(*pairs, ("oft", "selten"), counts=counts)])[1]
    assert not math.isnan(enough.interval.low)
    assert math.isnan(accuracies([counted(*pairs, counts=counts)])[0].interval.value)


def blocks(root: Path) -> tuple[Store, list[Block]]:
    store = read_store(root, "quick")
    results = measure(store)
    kept = {result.name: translations(store, result) for result in results}
    return store, build(store, Look(run.system for run in store.runs), "multi30k", kept)


def test_without_counts_the_command_that_makes_them_is_named(tmp_path: Path) -> None:
    write_run(tmp_path, "lstm", sentences=10, test_sets=("test",))
    store, (only,) = blocks(tmp_path)
    assert isinstance(only, Paragraph)
    assert "make inspect SUITE=quick" in only.text
    assert store.problems == []


def test_a_run_with_uncounted_words_is_left_out_by_name(tmp_path: Path) -> None:
    write_suite(tmp_path, sentences=12, test_sets=("test",))
    path = folder_of(tmp_path, "bahdanau") / "hypotheses" / "test.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[0]["hypothesis"] = "Katze"
    write_lines(path, rows)
    write_counts(tmp_path, "lstm")
    _, found = blocks(tmp_path)
    told = next(block.text for block in found if isinstance(block, Paragraph) and "Left out" in block.text)
    assert "LSTM + attention seed 0" in told
    assert "make inspect SUITE=quick" in told
    (f1,) = (block for block in found if isinstance(block, Table))
    assert [row[0] for row in f1.rows] == BINS
    assert list(f1.header[2:]) == ["LSTM", "Transformer"]


def test_if_no_run_is_counted_there_is_no_empty_figure(tmp_path: Path) -> None:
    write_run(tmp_path, "lstm", sentences=10, test_sets=("test",))
    write_counts(tmp_path, "lstm", {"Katze": 1})
    _, found = blocks(tmp_path)
    assert all(isinstance(block, Paragraph) for block in found)


def test_counts_of_several_runs_are_put_together(tmp_path: Path) -> None:
    write_suite(tmp_path, sentences=5, test_sets=("test",))
    write_counts(tmp_path, "lstm", {"der": 7, "Hund": 2})
    write_counts(tmp_path, "transformer", {"der": 7, "Katze": 0})
    assert training_counts(read_store(tmp_path, "quick"), "multi30k") == {"der": 7, "Hund": 2, "Katze": 0}
    assert training_counts(read_store(tmp_path, "quick"), "another task") == {}


def test_counts_that_contradict_each_other_are_a_problem(tmp_path: Path) -> None:
    write_counts(tmp_path, "lstm", {"der": 7})
    write_counts(tmp_path, "transformer", {"der": 8, "Hund": 1})
    store = read_store(tmp_path, "quick")
    assert training_counts(store, "multi30k") == {"der": 7}
    (problem,) = store.problems
    assert "'der' 8 times" in problem
    assert "counts 7" in problem
    assert "run its target again" in problem
