"""The sections on long range: numbers where a reader expects them, extrapolation and under-training said, no crash."""

import re
from pathlib import Path

import pytest

from analysis.long_range import tables
from analysis.long_range.axes import axes, controls, systems_of
from analysis.long_range.prose import under_trained
from analysis.long_range.section import build, caption, draw, group_of, one_answer
from analysis.long_range.wording import title
from analysis.page.blocks import Figures, Heading, Paragraph, Section, Table
from analysis.page.look import Look, VariantLook
from analysis.store import Store, System, read_store
from tests.support.fakes import long_range as fake
from tests.support.fakes.long_range import PAIRS, axis_rows, folder_of, write_long_range
from tests.support.fakes.runs import row


def store_of(path: Path) -> Store:
    return read_store(path, "quick")


def sections_of(store: Store) -> dict[str, Section]:
    sections = build(store, Look(run.system for run in store.runs))
    return {section.identifier.removeprefix("task-"): section for section in sections}


def tables_of(section: Section) -> list[Table]:
    return [block for block in section.blocks if isinstance(block, Table)]


def table_of(section: Section, words: str) -> dict[str, list[str]]:
    """The cells of each row by its name, of the first table whose caption begins so."""
    table = next(table for table in tables_of(section) if table.caption.startswith(words))
    return {"header": list(table.header[1:])} | {cells[0]: list(cells[1:]) for cells in table.rows}


def text_of(section: Section) -> str:
    return " ".join(block.text for block in section.blocks if isinstance(block, Paragraph))


def headings_of(section: Section) -> list[str]:
    return [block.text for block in section.blocks if isinstance(block, Heading)]


def figures_of(section: Section) -> list[str]:
    return [figure.name for block in section.blocks if isinstance(block, Figures) for figure in block.figures]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    path = tmp_path_factory.mktemp("several")
    for seed in (0, 1):
        fake.write_task(path, "copy", seed=seed)
        fake.write_ablations(path, seed=seed)
        fake.write_published(path, seed=seed)
    fake.write_task(path, "recall")
    fake.write_parity(path)
    return store_of(path)


@pytest.fixture(scope="module")
def sections(store: Store) -> dict[str, Section]:
    return sections_of(store)


def test_a_section_goes_from_question_to_controls(sections: dict[str, Section]) -> None:
    section = sections["recall"]
    assert (section.identifier, section.title) == ("task-recall", "Recall")
    cost = "Was it trained enough, and at what cost?"
    assert headings_of(section) == ["By gap (4 symbols)", "What was compared", cost, "Learning curves"]
    curves = [f"curve-recall-val-{name}" for name in ("token_accuracy", "control_accuracy")]
    assert (
        figures_of(section) == [f"{name}-recall-gap-symbols-4" for name in ("token_accuracy", "exact_match")] + curves
    )


def test_values_have_intervals_and_extrapolation_is_marked(sections: dict[str, Section]) -> None:
    table = table_of(sections["copy"], "Accuracy by length")
    header = [name.replace("\N{NO-BREAK SPACE}", " ") for name in table["header"]]
    assert header == ["4", "8", "16", "32", "64 (extrapolation)", "longest length with ≥ 0.9"]
    assert re.fullmatch(r"0\.300 \(0\.2\d\d to 0\.3\d\d\)", table["LSTM"][4])
    assert table["LSTM"][5] == "24"  # half-way from 0.94 at 16 to 0.86 at 32
    assert table["Transformer"][5] == "> 64"
    assert table["chance: guessing"][0] == "0.125"
    assert list(table)[-2:] == ["Transformer", "chance: guessing"]  # variants are in tables of their own
    captions = [table.caption for table in tables_of(sections["copy"])]
    assert any("n = 400 test examples per value and seed; 2 seeds" in text for text in captions)


def test_seeds_are_distinguished_where_there_are_several(tmp_path: Path) -> None:
    for seed, value in ((0, 0.8), (1, 0.9)):
        write_long_range(tmp_path, "copy", "lstm", axis_rows({4: value}, "length"), seed=seed)
    table = tables.over_seeds(axes(store_of(tmp_path), "copy")[0])
    assert table is not None
    assert table.rows[0][1] == "0.800 to 0.900; t 0.215 to 1.485"  # 0.85 ± 12.706 × 0.05
    folder_of(tmp_path, "copy", "lstm", seed=1).joinpath("result.json").unlink()
    assert tables.over_seeds(axes(store_of(tmp_path), "copy")[0]) is None


def test_the_control_table_names_what_is_under_trained(store: Store) -> None:
    table = tables.control_table(store, "copy", systems_of(store, "copy"), controls(store, "copy"))
    cells = {line[0]: line[1:] for line in table.rows}
    assert cells["plain RNN"][0] == "under-trained (control below 0.99, seed 0, 1)"
    assert cells["plain RNN"][4] == "never (0), never (1)"
    assert cells["LSTM"][0] == "mastered"
    costs = ["250,000", "240,000", "1,500", "1 min 01 s"]
    assert cells["LSTM"][3:] == ["1.000 (0), 1.000 (1)", "600 (0), 600 (1)", *costs]
    assert 0 in table.flagged
    assert list(cells).index("LSTM") not in table.flagged


def test_models_that_were_not_trained_enough_are_named(store: Store) -> None:
    weak = under_trained(systems_of(store, "copy"), controls(store, "copy"))
    assert weak.startswith("Under-trained, below 0.99 even on the control: plain RNN (control 0.800); ")
    assert under_trained([System("lstm", "base")], controls(store, "copy")) == ""


def test_a_count_has_a_most(tmp_path: Path) -> None:
    write_long_range(tmp_path, "recall", "lstm", axis_rows({2: 0.8, 4: 0.5}, "symbols, gap 16"))
    (section,) = sections_of(store_of(tmp_path)).values()
    header = table_of(section, "Accuracy by number of symbols (gap 16)")["header"]
    assert header[-1].replace("\N{NO-BREAK SPACE}", " ") == "most symbols with ≥ 0.9"


def test_what_was_not_recorded_is_said(tmp_path: Path) -> None:
    missing = [row("token_accuracy", 0.5, "share", 64, "length", x) for x in (4, 8)]
    write_long_range(tmp_path, "copy", "lstm", missing, control=None)
    (folder_of(tmp_path, "copy", "lstm") / "metrics.jsonl").write_text("")
    write_long_range(tmp_path, "recall", "lstm", [])
    found = sections_of(store_of(tmp_path))
    for words in ("No control was", "No finished run recorded its"):
        assert words in text_of(found["copy"])
    assert "not decided: no control recorded" in table_of(found["copy"], "Control: ")["LSTM"]
    assert "recorded no accuracy" in str(found["recall"].blocks)


def test_ablations_are_apart_from_the_main_figure(sections: dict[str, Section]) -> None:
    section = sections["copy"]
    assert [heading for heading in headings_of(section) if heading.startswith("Ablations")] == [
        "Ablations: forget-gate bias (LSTM)",
        "Ablations: hidden size (LSTM)",
        "Ablations: position encodings (Transformer)",
        "Ablations: number of heads (Transformer)",
        "Ablations: scaling by head size (Transformer)",
    ]
    hidden = next(t for t in tables_of(section) if t.rows[0][0] == "LSTM" and t.rows[1][0] == "LSTM, hidden64")
    assert [cells[0] for cells in hidden.rows] == ["LSTM", "LSTM, hidden64", "LSTM, hidden128", "chance: guessing"]
    assert list(table_of(section, "Settings of each model"))[-1] == "Transformer, unscaled-d64"


def test_variants_of_one_figure_are_distinguished() -> None:
    systems = [System("transformer", v) for v in ("base", "none", "learned", "rotary", "alibi", "sinusoidal")]
    look = VariantLook(systems)
    assert len({look.colour(s) for s in systems}) == len({look.marker(s) for s in systems}) == len(systems)
    assert look.colour(systems[0]) == Look(systems).colour(systems[0])


def test_variants_without_a_run_of_their_kind_fall_into_groups_too() -> None:
    groups = [group_of(variant) for variant in ("no-residual-layers6", "depth2", "chrono", "strange")]
    assert groups == ["residual connections by depth"] * 2 + ["forget-gate bias", "other variants"]


def test_figures_mark_extrapolation_and_chance(store: Store) -> None:
    axis = axes(store, "copy")[0].bases
    figure = draw(axis, Look(axis.curves), axis.figure)
    assert "0.3 at 64 (extrapolation)" in figure.description
    assert "chance, guessing: 0.125 at 4" in figure.description
    for text in ("trained range", "chance: guessing", "plain RNN", "GRU", "LSTM + attention"):
        assert f">{text}<" in figure.svg
    assert "Hollow: beyond (64)" in caption([axis])


def test_adding_shows_squared_errors_against_the_mean_on_a_logarithmic_axis(tmp_path: Path) -> None:
    fake.write_adding(tmp_path)
    (found,) = sections_of(store_of(tmp_path)).values()
    table = table_of(found, "Squared error by length, mean over seeds (lowest to highest seed)")
    assert table["plain RNN"] == ["0.0020 (0.0020 to 0.0020)", "0.1600 (0.1600 to 0.1600)"]
    assert table["chance: the mean"] == ["0.1667", "0.1667"]
    figures = {f.name: f for block in found.blocks if isinstance(block, Figures) for f in block.figures}
    errors = figures["squared_error-adding-length"]
    assert "chance, the mean: 0.167 at 8" in errors.description
    assert all(f">{mark}<" in errors.svg for mark in ("0.002", "0.01", "0.1"))
    assert figures["token_accuracy-adding-length"].title == "Share within 0.04 of the sum by length"


def test_squared_errors_of_zero_are_drawn_on_an_even_axis(tmp_path: Path) -> None:
    rows = [row("squared_error", value, "squared sum", 64, "length", x) for x, value in ((4, 0.0), (8, 0.1))]
    write_long_range(tmp_path, "adding", "lstm", rows)
    (axis,) = axes(store_of(tmp_path), "adding", "squared_error")
    assert ">0.08<" in draw(axis, Look(axis.curves), axis.figure).svg


def test_an_exact_match_that_repeats_the_accuracy_is_not_shown(tmp_path: Path, sections: dict[str, Section]) -> None:
    section = sections["parity"]
    assert figures_of(section)[:2] == ["token_accuracy-parity-length", "curve-parity-val-token_accuracy"]
    assert not any("Exact match" in table.caption for table in tables_of(section))
    assert "Exact match equals accuracy everywhere, so it is not shown." in text_of(section)
    only = {
        metric: [r for r in axis_rows({4: 0.5}, "length") if r["metric"] == metric]
        for metric in ("token_accuracy", "exact_match")
    }
    write_long_range(tmp_path, "reverse", "lstm", only["token_accuracy"])
    write_long_range(tmp_path, "copy", "lstm", axis_rows({4: 1.0, 8: 0.5}, "length"))
    write_long_range(tmp_path, "parity", "lstm", axis_rows({4: 1.0, 8: 0.0}, "length"))
    store = store_of(tmp_path)
    assert [one_answer(store, task) for task in ("parity", "copy", "reverse", "never run")] == [True, *[False] * 3]
    write_long_range(tmp_path, "parity", "mamba", only["exact_match"])  # nothing to compare it with
    assert not one_answer(store_of(tmp_path), "parity")


def test_pairs_of_translations_need_no_control(tmp_path: Path) -> None:
    fake.write_pairs(tmp_path)
    store = store_of(tmp_path)
    (found,) = sections_of(store).values()
    assert found.title == title(PAIRS) == "Agreement in translation (multi30k-en-de)"
    assert table_of(found, "Share of 1,000 pairs")["LSTM"][0].startswith("0.950 (0.9")
    assert store.problems == []
    assert "control" not in text_of(found) + str(headings_of(found))
