"""What the scaling is for: random scores by head size taken once, entropies of attention by layer, both renderings."""

import math
from pathlib import Path

import pytest

from analysis.long_range.evidence import random_scores
from analysis.long_range.softmax_scaling import scaling, smaller
from analysis.page.blocks import Block, Figures, Heading, Paragraph, Table
from analysis.page.curves import Point
from analysis.statistics.intervals import Interval
from analysis.store import read_store
from tests.support.fakes.long_range import axis_rows, entropy_rows, score_rows, write_long_range

FIRST, SECOND = "cross layer 1", "cross layer 2"


def blocks_of(path: Path) -> list[Block]:
    return scaling(read_store(path, "quick"))


def points(*values: float) -> list[Point]:
    return [Point(4 * 2**i, Interval(value, value, value), {0: value}, 64) for i, value in enumerate(values)]


def test_random_scores_are_drawn_by_head_size_however_many_runs_recorded_them(tmp_path: Path) -> None:
    for task, seed in (("copy", 0), ("copy", 1), ("recall", 0)):
        write_long_range(tmp_path, task, "transformer", score_rows(), seed=seed)
    heading, figures, question = blocks_of(tmp_path)
    assert heading == Heading("What the scaling is for")
    assert isinstance(figures, Figures)
    entropy, gradient = figures.figures
    assert (entropy.name, gradient.name) == ("score_entropy", "score_gradient")
    assert "softmax, unscaled: 3.5 at 4, 2.5 at 16, 1 at 64, 0.5 at 256" in entropy.description
    assert f"even attention, log 64: {math.log(64):.3g} at 4" in entropy.description
    assert ">even attention: log 64<" in entropy.svg
    assert "softmax, scaled: 0.2 at 4" in gradient.description
    assert "even" not in gradient.description
    assert "chance" not in entropy.description
    for words in (
        "Without scaling the entropy falls from 3.5 at d = 4 to 0.5 at d = 256; with scaling it lies between 4 and 4.",
        "norm of the gradient rises from 0.25 at d = 4 to 0.5 at d = 16, then falls to 0.1 at d = 256",
        "The norm is smaller without scaling than with it at d = 256 only.",
    ):
        assert words in figures.caption
    assert isinstance(question, Paragraph)
    curve = random_scores(read_store(tmp_path, "quick"), "score_entropy")["unscaled"]
    assert [(point.x, point.value, point.n) for point in curve][:2] == [(4, 3.5, 64), (16, 2.5, 64)]


@pytest.mark.parametrize(
    ("unscaled", "text"),
    [
        ((1.0, 2.5, 0.5), ["The norm is smaller without scaling than with it at d = 4 and 16 only."]),
        ((2.0, 3.0, 4.0), ["The norm is smaller without scaling than with it at none of these d."]),  # equal is not
        ((), []),
    ],
)
def test_head_sizes_with_a_smaller_gradient_are_named(unscaled: tuple[float, ...], text: list[str]) -> None:
    assert smaller({"scaled": points(2.0, 2.0, 2.0), "unscaled": points(*unscaled)}) == text


@pytest.mark.parametrize("lost", ["score_entropy", "score_gradient", "head size, scaled", "head size, unscaled"])
def test_half_of_the_random_scores_is_drawn_alone(tmp_path: Path, lost: str) -> None:
    rows = [r for r in score_rows() if lost not in (r["metric"], r["x_name"])]
    write_long_range(tmp_path, "copy", "transformer", rows)
    figures = blocks_of(tmp_path)[1]
    assert isinstance(figures, Figures)
    assert len(figures.figures) == (1 if lost.startswith("score") else 2)
    assert ("ithout scaling the" in figures.caption) == (lost != "head size, unscaled")
    assert ("with scaling it lies" in figures.caption.lower()) == (lost != "head size, scaled")


def test_entropies_of_variants_stand_by_layer_before_and_after_training(tmp_path: Path) -> None:
    for seed, trained in ((0, 0.5), (1, 1.0)):
        rows = entropy_rows({FIRST: 3.0, SECOND: 3.5}, {FIRST: trained, SECOND: 2.0})
        write_long_range(tmp_path, "recall", "transformer", rows, variant="unscaled-d64", seed=seed)
    write_long_range(tmp_path, "recall", "transformer", entropy_rows({FIRST: 3.25}, {}))
    write_long_range(tmp_path, "recall", "transformer", entropy_rows({FIRST: 9.0}, {FIRST: 9.0}), variant="heads1")
    heading, table = blocks_of(tmp_path)
    assert heading == Heading("What the scaling is for")
    assert isinstance(table, Table)
    assert table.caption.startswith("Recall after a gap, with scaling and without. Mean entropy of attention")
    assert table.header == ["model", "layer", "at initialisation", "trained"]
    assert table.rows == [
        ["Transformer", FIRST, "3.25 (3.25 to 3.25)", "–"],
        ["Transformer, unscaled-d64", FIRST, "3.00 (3.00 to 3.00)", "0.75 (0.50 to 1.00)"],
        ["Transformer, unscaled-d64", SECOND, "3.50 (3.50 to 3.50)", "2.00 (2.00 to 2.00)"],
    ]


def test_base_models_of_all_other_tasks_share_one_table(tmp_path: Path) -> None:
    layers = entropy_rows({FIRST: 3.0, SECOND: 3.5}, {FIRST: 1.0, SECOND: 2.0})
    for task in ("copy", "recall"):
        write_long_range(tmp_path, task, "transformer", layers)
        write_long_range(tmp_path, task, "transformer", layers, variant="learned")
        write_long_range(tmp_path, task, "bahdanau", entropy_rows({"additive": 2.5}, {"additive": 0.25}))
        write_long_range(tmp_path, task, "lstm", axis_rows({4: 1.0}, "length"))
    write_long_range(tmp_path, "recall", "transformer", layers, variant="scaled-d64")
    own, heading, table = blocks_of(tmp_path)[1:]
    assert isinstance(own, Table)
    assert [line[0] for line in own.rows] == ["Transformer"] * 2 + ["Transformer, scaled-d64"] * 2
    assert heading == Heading("Entropy of attention in the base models")
    assert isinstance(table, Table)
    both = [f"3.00 ({FIRST}), 3.50 ({SECOND})", f"1.00 ({FIRST}), 2.00 ({SECOND})"]
    assert table.rows == [
        ["LSTM + attention", "Copy", "2.50 (additive)", "0.25 (additive)"],
        ["Transformer", "Copy", *both],
        ["LSTM + attention", "Recall after a gap", "2.50 (additive)", "0.25 (additive)"],
    ]
