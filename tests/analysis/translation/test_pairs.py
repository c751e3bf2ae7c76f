"""Pairs of systems: all of them, on the same sentences, with p values adjusted for their number."""

import json
from pathlib import Path

import pytest

from analysis.statistics.intervals import holm
from analysis.store import Store, System, read_store
from analysis.translation.bleu import TestSet, measure
from analysis.translation.pairs import Pair, pair_table
from tests.support.fakes.runs import folder_of, write_lines, write_run, write_suite

LSTM, BAHDANAU, TRANSFORMER = (System(model, "base") for model in ("lstm", "bahdanau", "transformer"))


def measured(tmp_path: Path) -> tuple[Store, list[TestSet]]:
    store = read_store(tmp_path, "quick")
    return store, measure(store)


def all_pairs(results: list[TestSet]) -> list[Pair]:
    return [pair for result in results for pair in result.pairs]


def test_every_pair_on_every_test_set_is_adjusted_for_their_number(tmp_path: Path) -> None:
    write_suite(tmp_path, sentences=25)
    _, results = measured(tmp_path)
    pairs = all_pairs(results)
    expected = [(LSTM, BAHDANAU), (LSTM, TRANSFORMER), (BAHDANAU, TRANSFORMER)]
    assert [(pair.first, pair.second) for pair in pairs] == expected * 2
    assert [pair.p_holm for pair in pairs] == holm([pair.comparison.p for pair in pairs]).tolist()
    assert any(pair.p_holm > pair.comparison.p for pair in pairs)


def test_the_difference_is_that_of_the_recorded_scores(tmp_path: Path) -> None:
    write_suite(tmp_path, sentences=25, test_sets=("test",))
    _, (result,) = measured(tmp_path)
    for pair in result.pairs:
        expected = result.outcomes[pair.second].mean - result.outcomes[pair.first].mean
        assert pair.comparison.difference.value == pytest.approx(expected)
        assert pair.each == {0: pytest.approx(expected)}


def test_seeds_pair_at_the_first_common_one_and_all_common_ones_are_shown(tmp_path: Path) -> None:
    for model, seeds in (("lstm", (0, 1, 2)), ("transformer", (1, 2)), ("bahdanau", (5,))):
        for seed in seeds:
            write_run(tmp_path, model, seed=seed, sentences=10, test_sets=("test",))
    _, results = measured(tmp_path)
    (pair,) = all_pairs(results)
    assert (pair.first, pair.second, pair.seed) == (LSTM, TRANSFORMER, 1)
    assert list(pair.each) == [1, 2]
    (row,) = pair_table([pair]).rows
    assert row[0] == "Transformer against LSTM"
    assert row[2].endswith("(seed 1)")
    assert "(1)" in row[-1]
    assert "(2)" in row[-1]


def test_one_seed_needs_no_column_of_seeds(tmp_path: Path) -> None:
    write_suite(tmp_path, sentences=10, test_sets=("test",))
    table = pair_table(all_pairs(measured(tmp_path)[1]))
    assert "each seed" not in table.header
    assert all(len(row) == len(table.header) for row in table.rows)
    assert "3 comparisons" in table.caption


def test_other_sentences_become_a_problem_and_never_a_pair(tmp_path: Path) -> None:
    write_suite(tmp_path, sentences=10, test_sets=("test",))
    path = folder_of(tmp_path, "transformer") / "hypotheses" / "test.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[3]["source"] += " too"
    write_lines(path, rows)
    store, results = measured(tmp_path)
    assert [(p.first, p.second) for p in all_pairs(results)] == [(LSTM, BAHDANAU)]
    assert all("transformer" in problem and "cannot be compared" in problem for problem in store.problems)
    assert len(store.problems) == 2
