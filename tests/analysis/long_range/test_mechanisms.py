"""What carries the memory: relative gradients, probes, attention on the answer, shuffled sources, scaled scores."""

import math
from pathlib import Path

import pytest

from analysis.long_range.axes import random_scores
from analysis.long_range.mechanisms import build, relative, scaling
from analysis.page.blocks import Figures, Heading, Section, Table
from analysis.page.canvas import Figure
from analysis.page.curves import Point
from analysis.page.look import Look
from analysis.statistics.intervals import Interval
from analysis.store import read_store
from tests.support.fakes.long_range import (
    AXES,
    FLAT,
    attention_rows,
    axis_rows,
    gradient_rows,
    probe_rows,
    score_rows,
    write_ablations,
    write_long_range,
)
from tests.support.fakes.runs import row


def sections_of(path: Path) -> list[Section]:
    store = read_store(path, "quick")
    return build(store, Look(run.system for run in store.runs))


def figures_of(section: Section) -> list[Figure]:
    return [figure for block in section.blocks if isinstance(block, Figures) for figure in block.figures]


def test_gradients_are_relative_to_the_last_token_of_the_same_run(tmp_path: Path) -> None:
    for seed, decay in ((0, 0.5), (1, 0.25)):
        write_long_range(tmp_path, "recall", "lstm", gradient_rows(decay), seed=seed)
    (section,) = sections_of(tmp_path)
    figures = figures_of(section)
    assert [figure.title for figure in figures] == ["Gradient reach, at initialisation", "Gradient reach, trained"]
    assert "LSTM: 1 at 1, 0.375 at 2, 0.156 at 4" in figures[0].description  # means of 0.5 and 0.25, 0.25 and 0.0625


def test_a_gradient_of_zero_is_left_out() -> None:
    def point(x: float, *norms: float) -> Point:
        return Point(x, Interval(0, 0, 0), dict(enumerate(norms)), 8)

    found = relative([point(1, 2.0, 0.0), point(2, 1.0, 1.0), point(4, 0.0, 3.0)])
    assert [(p.x, p.seeds) for p in found] == [(1, {0: 1.0}), (2, {0: 0.5})]


def test_probes_show_their_chance_where_it_was_recorded(tmp_path: Path) -> None:
    rows = probe_rows()
    for recorded, shown in ((rows, True), ([r for r in rows if r["metric"] == "probe_accuracy"], False)):
        write_long_range(tmp_path, "agreement", "lstm", recorded)
        (figure,) = figures_of(sections_of(tmp_path)[0])
        assert "LSTM: 0.9 at 1, 0.6 at 4, 0.3 at 16" in figure.description
        assert ("chance, the most frequent noun: 0.1 at 1" in figure.description) == shown


def test_attention_is_shown_of_models_that_have_it(tmp_path: Path) -> None:
    name = AXES["recall"]
    for model in ("gru", "bahdanau"):
        rows = attention_rows(name, FLAT) if model == "bahdanau" else []
        write_long_range(tmp_path, "recall", model, axis_rows(FLAT, name) + rows)
    (section,) = sections_of(tmp_path)
    attention = figures_of(section)[-1]
    assert attention.title == "Attention on the answer by gap"
    assert "LSTM + attention: 0.8 at 4" in attention.description
    assert "GRU" not in attention.description


def test_shuffled_sources_are_tabled_with_every_variant(tmp_path: Path) -> None:
    write_ablations(tmp_path)
    (section,) = sections_of(tmp_path)
    assert section.blocks[0] == Heading("Shuffled sources")
    table = section.blocks[1]
    assert isinstance(table, Table)
    assert ["Transformer, none", "Copy", "1e-16", "1e-16 (0)"] in [list(line) for line in table.rows]


@pytest.mark.parametrize("finished", [True, False])
def test_nothing_measured_is_said(tmp_path: Path, finished: bool) -> None:
    """A gradient of zero alone is nothing to draw."""
    rows = [row("gradient_reach", 0.0, "norm", 8, "distance, trained", 1)]
    folder = write_long_range(tmp_path, "copy", "lstm", rows)
    if not finished:
        (folder / "result.json").unlink()
    (section,) = sections_of(tmp_path)
    assert "No finished run measured gradients" in str(section.blocks)


def test_random_scores_are_drawn_by_head_size_however_many_runs_recorded_them(tmp_path: Path) -> None:
    for task, seed in (("copy", 0), ("copy", 1), ("recall", 0)):
        write_long_range(tmp_path, task, "transformer", score_rows(), seed=seed)
    store = read_store(tmp_path, "quick")
    heading, figures = scaling(store)
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
    curve = random_scores(store, "score_entropy")["unscaled"]
    assert [(point.x, point.value, point.n) for point in curve][:2] == [(4, 3.5, 64), (16, 2.5, 64)]


@pytest.mark.parametrize("lost", ["score_entropy", "score_gradient", "head size, scaled", "head size, unscaled"])
def test_half_of_the_random_scores_is_drawn_alone(tmp_path: Path, lost: str) -> None:
    rows = [r for r in score_rows() if lost not in (r["metric"], r["x_name"])]
    write_long_range(tmp_path, "copy", "transformer", rows)
    figures = figures_of(sections_of(tmp_path)[0])
    assert [figure.name for figure in figures] == [name for name in ("score_entropy", "score_gradient") if name != lost]
    for half in ("scaled", "unscaled"):
        assert all((f"softmax, {half}: " in figure.description) == (lost != f"head size, {half}") for figure in figures)
