"""The best value is marked where the intervals allow it and nowhere else."""

import math
from pathlib import Path

import pytest

from analysis import scoreboard
from analysis.page.blocks import Best, SectionLink, Table
from analysis.scoreboard import Question, Score
from analysis.speed.runs import measured
from analysis.statistics.intervals import Interval
from analysis.store import System, read_store
from analysis.translation.bleu import measure
from tests.support.fakes.long_range import axis_rows, write_long_range, write_task
from tests.support.fakes.runs import write_run, write_suite

A, B, C = (System(model, "base") for model in ("lstm", "bahdanau", "transformer"))


def asked(*intervals: tuple[float, float, float], higher: bool = True, weak: int | None = None) -> System | None:
    pairs = zip((A, B, C), intervals, strict=False)
    scores = {s: Score("", Interval(*each), n == weak) for n, (s, each) in enumerate(pairs)}
    return Question("", scores, "bleu" if higher else "step_seconds", "results").best


@pytest.mark.parametrize(
    ("intervals", "higher", "best"),
    [
        (((1, 0.5, 1.5), (3, 2.5, 3.5), (2, 1.6, 2.4)), True, B),
        (((1, 0.5, 1.5), (3, 2.5, 3.5), (2, 1.6, 2.4)), False, A),
        (((1, 0.5, 1.7), (3, 2.5, 3.5), (2, 1.6, 2.4)), False, None),  # A's interval reaches into C's
        (((1, 0.9, 1.1), (3, 2.3, 3.5), (2, 1.6, 2.4)), True, None),
        (((1, 1, 1), (1, 1, 1)), True, None),  # a tie
        (((1, math.nan, math.nan), (3, 2.5, 3.5)), True, None),
        (((3, 2.9, 3.1),), True, None),  # nobody to compare with
    ],
)
def test_best_is_whose_interval_lies_apart(
    intervals: tuple[tuple[float, float, float], ...], higher: bool, best: System | None
) -> None:
    assert asked(*intervals, higher=higher) == best


def test_nobody_beats_a_model_that_was_not_trained_enough() -> None:
    assert asked((0.5, 0.4, 0.6), (1, 0.99, 1)) == B
    assert asked((0.5, 0.4, 0.6), (1, 0.99, 1), weak=0) is None


def test_more_training_may_win_but_is_not_marked() -> None:
    scores = {A: Score("", Interval(0.5, 0.4, 0.6)), B: Score("", Interval(1, 0.99, 1), tenfold=True)}
    assert Question("", scores, "bleu", "results").best is None
    assert Question("", {A: scores[B]._replace(tenfold=False), B: scores[A]}, "bleu", "results").best == A


@pytest.mark.parametrize(("control", "shown"), [(1.0, "0.900 tenfold"), (0.98, "0.600 under-trained")])
def test_who_needed_ten_times_the_budget_is_shown_with_it(control: float, shown: str, tmp_path: Path) -> None:
    write_long_range(tmp_path, "parity", "lstm", axis_rows({8: 0.7}, "length"))
    for variant, value, own in (("base", 0.6, 0.5), ("tenfold", 0.9, control)):
        rows = axis_rows({8: value}, "length")
        write_long_range(tmp_path, "parity", "transformer", rows, variant=variant, control=own)
    section = scoreboard.build(read_store(tmp_path, "quick"), [], [])
    assert section is not None
    (table,) = [block for block in section.blocks if isinstance(block, Table)]
    assert [list(row[1:]) for row in table.rows] == [[shown, "0.700"]]


def test_every_kind_of_question_has_its_row_and_links_to_its_section(tmp_path: Path) -> None:
    for model, error in (("lstm", 0.9), ("bahdanau", 0.5), ("transformer", 0.02)):
        write_run(tmp_path, model, sentences=40, test_sets=("test",), error=error)
    write_task(tmp_path, "copy")
    store = read_store(tmp_path, "quick")
    section = scoreboard.build(store, measure(store), [measured(store)])
    assert section is not None
    table = next(block for block in section.blocks if isinstance(block, Table))
    questions = {row[0]: row for row in table.rows}
    assert "BLEU on multi30k, test" in questions
    copies = [row for text, row in questions.items() if text.startswith("Copy at length")]
    assert len(copies) == 2
    assert {row[0].section for row in table.rows if isinstance(row[0], SectionLink)} == {"results", "task-copy"}
    assert table.header[1:4] == ["Transformer", "LSTM + attention", "LSTM"]
    assert all(sum(isinstance(cell, Best) for cell in row) <= 1 for row in table.rows)
    translation = questions["BLEU on multi30k, test"]
    marked = [name for name, cell in zip(table.header, translation, strict=True) if isinstance(cell, Best)]
    assert marked == ["Transformer"]


def test_a_question_to_one_model_alone_is_no_row_where_others_compare_several(tmp_path: Path) -> None:
    write_long_range(tmp_path, "reverse", "transformer", axis_rows({8: 0.7}, "length"))

    def rows() -> list[str]:
        section = scoreboard.build(read_store(tmp_path, "quick"), [], [])
        assert section is not None
        (table,) = [block for block in section.blocks if isinstance(block, Table)]
        return [row[0] for row in table.rows]

    assert rows() == ["Reverse at length 8"]
    for model in ("lstm", "transformer"):
        write_long_range(tmp_path, "copy", model, axis_rows({8: 0.7}, "length"))
    assert rows() == ["Copy at length 8"]


def test_without_results_there_is_no_scoreboard(tmp_path: Path) -> None:
    write_suite(tmp_path, sentences=5, test_sets=("test",))
    store = read_store(tmp_path, "quick")
    assert scoreboard.build(store, [], [measured(store)]) is None
