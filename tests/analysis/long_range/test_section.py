"""The sections on long range: numbers where a reader expects them, extrapolation and under-training said, no crash."""

import re
from pathlib import Path

import pytest

from analysis.long_range import tables
from analysis.long_range.evidence import axes, controls, systems_of
from analysis.long_range.section import build, caption, draw, group_of, summary
from analysis.long_range.sentences import seen, under_trained
from analysis.long_range.wording import question, title
from analysis.page.blocks import Figures, Heading, Paragraph, Section, Table
from analysis.page.labels import Look, VariantLook, together
from analysis.store import Store, System, read_store
from tests.support.fakes.long_range import (
    FALLING,
    FLAT,
    PAIRS,
    axis_rows,
    folder_of,
    write_ablations,
    write_adding,
    write_long_range,
    write_pairs,
    write_parity,
    write_published,
    write_task,
)
from tests.support.fakes.runs import row
from tests.support.verdicts import long_range_verdicts as verdicts


def store_of(path: Path) -> Store:
    return read_store(path, "quick")


def sections_of(store: Store) -> list[Section]:
    return build(store, Look(run.system for run in store.runs), verdicts(store))


def tables_of(section: Section) -> list[Table]:
    return [block for block in section.blocks if isinstance(block, Table)]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Store:
    path = tmp_path_factory.mktemp("copy")
    write_task(path, "copy", seed=0)
    write_task(path, "copy", seed=1)
    return store_of(path)


@pytest.fixture(scope="module")
def section(copy: Store) -> Section:
    return sections_of(copy)[0]


def test_a_section_goes_from_question_to_controls(section: Section) -> None:
    assert (section.identifier, section.title) == ("task-copy", "Copy")
    headings = [block.text for block in section.blocks if isinstance(block, Heading)]
    assert headings == [
        "By length",
        "What was compared",
        "Was it trained enough, and at what cost?",
        "Learning curves",
    ]
    names = [figure.name for block in section.blocks if isinstance(block, Figures) for figure in block.figures]
    assert names == [
        "token_accuracy-copy-length",
        "exact_match-copy-length",
        "curve-copy-val-token_accuracy",
        "curve-copy-val-control_accuracy",
    ]


def test_values_stand_with_intervals_and_extrapolation_is_marked(section: Section) -> None:
    table = tables_of(section)[1]
    header = [name.replace("\N{NO-BREAK SPACE}", " ") for name in table.header]
    assert header[1:] == ["4", "8", "16", "32", "64 (extrapolation)", "longest length with ≥ 0.9"]
    lstm = next(line for line in table.rows if line[0] == "LSTM")
    assert re.fullmatch(r"0\.300 \(0\.2\d\d to 0\.3\d\d\)", lstm[5])
    assert lstm[6] == "24"  # half-way from 0.94 at 16 to 0.86 at 32
    assert next(line for line in table.rows if line[0] == "Transformer")[6] == "> 64"
    assert table.rows[-1][:2] == ["chance: guessing", "0.125"]
    assert "n = 400 test examples a value and seed; 2 seeds" in table.caption


def test_seeds_are_told_apart_where_there_are_several(tmp_path: Path, section: Section) -> None:
    for seed, value in ((0, 0.8), (1, 0.9)):
        write_long_range(tmp_path, "copy", "lstm", axis_rows({4: value}, "length"), seed=seed)
    table = tables.over_seeds(tables.along(axes(store_of(tmp_path), "copy")[0]))
    assert table is not None
    assert table.rows[0][1] == "0.800 to 0.900; t 0.215 to 1.485"  # 0.85 ± 12.706 × 0.05
    folder_of(tmp_path, "copy", "lstm", seed=1).joinpath("result.json").unlink()
    assert tables.over_seeds(tables.along(axes(store_of(tmp_path), "copy")[0])) is None


def test_the_control_table_names_who_is_under_trained(copy: Store) -> None:
    table = tables.control_table(copy, "copy", systems_of(copy, "copy"), controls(copy, "copy"))
    cells = {line[0]: line[1:] for line in table.rows}
    assert cells["plain RNN"][0] == "under-trained (control below 0.99, seed 0, 1)"
    assert cells["plain RNN"][4] == "never (0), never (1)"
    assert cells["LSTM"][0] == "mastered"
    assert cells["LSTM"][3:] == [
        "1.000 (0), 1.000 (1)",
        "600 (0), 600 (1)",
        "250,000",
        "240,000",
        "1,500",
        "1 min 01 s",
    ]
    assert table.flagged == {0}


def test_a_paragraph_says_what_is_seen(copy: Store) -> None:
    text = seen(axes(copy, "copy")[0])
    assert text.startswith("Still at 0.9 or above at the longest length within the range of training (32): LSTM + att")
    assert "at a length of 24 (plain RNN), 24 (GRU) and 24 (LSTM)." in text
    assert "at length 64: plain RNN 0.30 (from 0.86 at 32)" in text
    weak = under_trained(systems_of(copy, "copy"), controls(copy, "copy"))
    assert weak.startswith("Under-trained, below 0.99 even at the easiest setting: plain RNN (control 0.800); ")
    assert under_trained([System("lstm", "base")], controls(copy, "copy")) == ""


def test_what_is_counted_has_a_most_and_what_is_long_a_longest(tmp_path: Path) -> None:
    for model, curve in (("lstm", {2: 0.8, 4: 0.5}), ("gru", {2: 1.0, 4: 0.8}), ("transformer", {2: 1.0, 4: 1.0})):
        write_long_range(tmp_path, "recall", model, axis_rows(curve, "symbols, gap 16"))
    store = store_of(tmp_path)
    (axis,) = axes(store, "recall")
    assert seen(axis) == (
        "Still at 0.9 or above with the most symbols (4): Transformer. Falling below 0.9 at a number of symbols of 3 "
        "(GRU). Below 0.9 at every number of symbols: LSTM."
    )
    shown = str(sections_of(store)[0].blocks)
    assert "By number of symbols (gap 16): still at 0.9" in shown
    assert any(together("most symbols") in table.header[-1] for table in tables_of(sections_of(store)[0]))
    assert "longest symbols" not in shown
    assert "largest symbols" not in shown


def test_what_was_not_recorded_is_said(tmp_path: Path) -> None:
    missing = [row("token_accuracy", 0.5, "share", 64, "length", x) for x in (4, 8)]
    write_long_range(tmp_path, "copy", "lstm", missing, control=None)
    (folder_of(tmp_path, "copy", "lstm") / "metrics.jsonl").write_text("")
    write_long_range(tmp_path, "recall", "lstm", [])
    store = store_of(tmp_path)
    first, second = sections_of(store)
    paragraphs = " ".join(block.text for block in first.blocks if isinstance(block, Paragraph))
    assert "By length: below 0.9 at every length: LSTM." in paragraphs
    assert "No control was recorded for LSTM" in paragraphs
    assert "Which values lie beyond training was not recorded." in paragraphs
    assert "No finished run recorded its accuracy during training." in paragraphs
    assert any("not decided: no control recorded" in line for table in tables_of(first) for line in table.rows)
    assert "recorded no accuracy" in str(second.blocks)


def test_unknown_tasks_and_models_have_their_section(tmp_path: Path) -> None:
    write_long_range(tmp_path, "a-new-task", "mamba", axis_rows(FLAT, "depth, width 3"))
    (found,) = sections_of(store_of(tmp_path))
    assert (found.title, question("a-new-task")) == ("a-new-task", "")
    assert title("associative-recall-16-keys") == "Associative recall, 16 keys"
    assert question("associative-recall-of-words").startswith("The source lists pairs of a key and a value")
    assert "mamba" in str([table.rows for table in tables_of(found)])


def test_ablations_stand_apart_from_the_main_figure(tmp_path: Path) -> None:
    write_long_range(tmp_path, "copy", "transformer", axis_rows(FLAT, "length"))
    write_ablations(tmp_path)
    (found,) = sections_of(store_of(tmp_path))
    headings = [block.text for block in found.blocks if isinstance(block, Heading)]
    assert [h for h in headings if h.startswith("Ablations")] == [
        "Ablations: forget-gate bias (LSTM)",
        "Ablations: hidden size (LSTM)",
        "Ablations: position encodings (Transformer)",
        "Ablations: number of heads (Transformer)",
        "Ablations: scaling by head size (Transformer)",
    ]
    main = next(table for table in tables_of(found) if table.caption.startswith("Accuracy by length"))
    assert [line[0] for line in main.rows] == ["Transformer", "chance: guessing"]
    hidden = next(t for t in tables_of(found) if "LSTM, hidden64" in [line[0] for line in t.rows])
    assert [line[0] for line in hidden.rows][:2] == ["LSTM, hidden64", "LSTM, hidden128"]


def test_variants_of_one_figure_are_told_apart() -> None:
    systems = [System("transformer", v) for v in ("base", "none", "learned", "rotary", "alibi", "sinusoidal")]
    look = VariantLook(systems)
    assert len({look.colour(s) for s in systems}) == len({look.marker(s) for s in systems}) == len(systems)
    assert look.colour(systems[0]) == Look(systems).colour(systems[0])


@pytest.mark.parametrize(
    ("variant", "group"),
    [
        ("alibi", "position encodings"),
        ("hidden256", "hidden size"),
        ("heads8", "number of heads"),
        ("no-residual-layers6", "residual connections by depth"),
        ("chrono", "forget-gate bias"),
        ("unscaled-d64", "scaling by head size"),
        ("strange", "other variants"),
    ],
)
def test_variants_fall_into_groups(variant: str, group: str) -> None:
    assert group_of(variant) == group


def test_figures_mark_extrapolation_and_chance(copy: Store) -> None:
    axis = axes(copy, "copy")[0]
    figure = draw(axis, Look(axis.curves), axis.figure)
    assert "0.3 at 64 (extrapolation)" in figure.description
    assert "chance, guessing: 0.125 at 4" in figure.description
    for text in ("trained range", "chance: guessing", "plain RNN", "GRU", "LSTM + attention"):
        assert f">{text}<" in figure.svg
    assert "hollow points beyond it are extrapolation (64)" in caption([axis])


def test_adding_shows_squared_errors_against_the_mean(tmp_path: Path) -> None:
    write_adding(tmp_path)
    (axis,) = axes(store_of(tmp_path), "adding", "squared_error")
    table = tables.by_value(axis)
    assert table.rows[0] == ["plain RNN", "0.0020 (0.0020 to 0.0020)", "0.1600 (0.1600 to 0.1600)"]
    assert table.rows[-1] == ["chance: the mean", "0.1667", "0.1667"]
    assert "lowest to highest seed" in table.caption


def test_adding_says_what_counts_as_right_and_draws_errors_on_a_logarithmic_axis(tmp_path: Path) -> None:
    write_adding(tmp_path)
    (found,) = sections_of(store_of(tmp_path))
    text = " ".join(block.text for block in found.blocks if isinstance(block, Paragraph))
    assert "within 0.04 of the sum, as in Hochreiter and Schmidhuber 1997" in text
    assert "Squared error at length 8: plain RNN 0.002, GRU 0.002, " in text  # 64 was not trained on
    assert "always answering the mean gives 0.1667." in text
    figures = {f.name: f for block in found.blocks if isinstance(block, Figures) for f in block.figures}
    errors = figures["squared_error-adding-length"]
    assert "chance, the mean: 0.167 at 8" in errors.description
    assert all(f">{mark}<" in errors.svg for mark in ("0.002", "0.01", "0.1"))
    assert figures["token_accuracy-adding-length"].title == "Share within 0.04 of the sum by length"
    assert any(
        "only the very token of the sum" in block.caption for block in found.blocks if isinstance(block, Figures)
    )


def test_squared_errors_of_zero_are_drawn_on_an_even_axis(tmp_path: Path) -> None:
    rows = [row("squared_error", value, "squared sum", 64, "length", x) for x, value in ((4, 0.0), (8, 0.1))]
    write_long_range(tmp_path, "adding", "lstm", rows)
    (axis,) = axes(store_of(tmp_path), "adding", "squared_error")
    assert ">0.08<" in draw(axis, Look(axis.curves), axis.figure).svg


def test_an_exact_match_that_repeats_the_accuracy_is_not_shown(tmp_path: Path) -> None:
    write_parity(tmp_path)
    (found,) = sections_of(store_of(tmp_path))
    figures = [f.name for block in found.blocks if isinstance(block, Figures) for f in block.figures]
    assert figures[0] == "token_accuracy-parity-length"
    assert not any(name.startswith("exact_match") for name in figures)
    assert not any("Exact match" in table.caption for table in tables_of(found))
    assert Paragraph("The exact match equals the accuracy everywhere, so it is not shown again.") in found.blocks
    rows = axis_rows({8: 1.0, 16: 0.9}, "length")  # one variant in one run with longer answers brings it back
    write_long_range(tmp_path, "parity", "lstm", rows, variant="hidden64")
    (found,) = sections_of(store_of(tmp_path))
    assert any("Exact match" in table.caption for table in tables_of(found))


def test_single_values_share_a_table_and_have_no_figure(tmp_path: Path) -> None:
    write_published(tmp_path)
    write_published(tmp_path, seed=1)
    store = store_of(tmp_path)
    (found,) = sections_of(store)
    names = [f.name for block in found.blocks if isinstance(block, Figures) for f in block.figures]
    assert all(name.startswith("curve-") for name in names)
    accuracy, exact, seeds = (t for t in tables_of(found) if "gap 52" in " ".join(t.header))
    assert accuracy.header == ["model", "4 pairs, gap 52, 512 keys", "8 pairs, gap 104, 512 keys"]
    assert [line[0] for line in accuracy.rows][-1] == "chance: values without their keys"
    assert accuracy.rows[-1][1:] == ["0.250", "0.125"]
    assert accuracy.rows[0][2].startswith("0.400 (0.3")
    assert exact.caption.startswith("Exact match at single settings, mean over seeds (95 % intervals")
    assert seeds.rows[0][2] == "0.400 to 0.400; t 0.400 to 0.400"
    text = [block.text for block in found.blocks if isinstance(block, Paragraph)]
    assert "Arora et al. 2023 (Zoology): 64 tokens with 4 pairs, 128 tokens with 8" in text[0]
    assert "8 pairs, gap 104, 512 keys: at least 0.9 for LSTM + attention (0.96) and Transformer (0.96), " in text[2]
    assert text[2].endswith("below 0.9 for LSTM (0.40).")
    assert "Long range: of " in summary(store, verdicts(store))


def test_variants_measured_at_single_values_have_a_table_too(tmp_path: Path) -> None:
    for variant, value in (("base", 1.0), ("heads1", 0.5)):
        rows = axis_rows({8: value}, "pairs, gap 104, keys 512")
        write_long_range(tmp_path, "associative-recall", "transformer", rows, variant=variant)
    (found,) = sections_of(store_of(tmp_path))
    table = [t for t in tables_of(found) if t.header[1:] == ["8 pairs, gap 104, 512 keys"]][-1]
    assert [line[0] for line in table.rows][:2] == ["Transformer", "Transformer, heads1"]


def test_settings_stand_beside_results_and_captions_of_ablations_name_the_base(tmp_path: Path) -> None:
    write_task(tmp_path, "copy")
    write_ablations(tmp_path)
    (found,) = sections_of(store_of(tmp_path))
    settings = next(table for table in tables_of(found) if table.caption.startswith("Settings of each model"))
    assert [line[0] for line in settings.rows][-1] == "Transformer, unscaled-d64"
    captions = [block.caption for block in found.blocks if isinstance(block, Figures)]
    assert sum("The base: width 64, 4 heads" in text and "rotary positions." in text for text in captions) == 3
    assert sum("The base: LSTM, hidden 104" in text and "forget-gate bias 1." in text for text in captions) == 2


def test_pairs_of_translations_need_no_control(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    (found,) = sections_of(store_of(tmp_path))
    store = store_of(tmp_path)
    assert re.match(r"Long range: of \d+ claims on it 1 supported", summary(store, verdicts(store)))
    assert found.title == title(PAIRS) == "Agreement in translation (multi30k-en-de)"
    over_all = next(table for table in tables_of(found) if "1,000 pairs" in table.caption)
    assert over_all.rows[0][1].startswith("0.950 (0.9")
    assert store_of(tmp_path).problems == []
    assert "control" not in str([block.text for block in found.blocks if isinstance(block, Heading | Paragraph)])


def test_summary_counts_verdicts_and_names_reaches(copy: Store) -> None:
    text = summary(copy, verdicts(copy))
    assert text.startswith(
        "Long range: on copy, accuracy stays at 0.9 or above to length 24 for plain RNN, GRU and LSTM, beyond length "
        "64 for LSTM + attention and Transformer; of "
    )
    assert re.search(r"of \d+ claims on it 2 supported, 1 contradicted and \d+ not decided\.$", text)
    assert text.count(". ") == 0


def test_summary_says_who_never_held_anything(tmp_path: Path) -> None:
    write_long_range(tmp_path, "recall", "lstm", axis_rows({4: 0.5, 8: 0.4}, "symbols"))
    store = store_of(tmp_path)
    assert "on recall after a gap, no model reaches an accuracy of 0.9; of " in summary(store, verdicts(store))
    write_long_range(tmp_path, "recall", "transformer", axis_rows({4: 1.0, 8: 1.0}, "symbols"))
    store = store_of(tmp_path)
    assert "0.9 or above nowhere for LSTM, beyond 8 symbols for Transformer; of " in summary(store, verdicts(store))


def test_no_finished_run_is_said(tmp_path: Path) -> None:
    (write_long_range(tmp_path, "copy", "lstm", axis_rows(FALLING, "length")) / "result.json").unlink()
    store = store_of(tmp_path)
    assert "No long-range run" in str(sections_of(store)[0].blocks)
    assert "No long-range run" in summary(store, verdicts(store))
