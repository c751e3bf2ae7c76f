"""The section on what differs: every pair, nothing hidden and nothing for nothing."""

import json
from pathlib import Path

from analysis.page.blocks import Figures, Heading, Paragraph, Section, Table
from analysis.page.look import Look
from analysis.store import Store, read_store
from analysis.translation.bleu import measure
from analysis.translation.sentences import build
from tests.support.fakes.counts import write_counts
from tests.support.fakes.runs import folder_of, write_lines, write_run, write_suite


def section(root: Path) -> tuple[Store, Section]:
    store = read_store(root, "quick")
    (found,) = build(store, Look(run.system for run in store.runs), measure(store))
    return store, found


def tables(found: Section) -> list[Table]:
    return [block for block in found.blocks if isinstance(block, Table)]


def wins(found: Section) -> Table:
    return next(table for table in tables(found) if "better" in table.header)


def rows_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_three_models_have_three_parts_and_every_pair(tmp_path: Path) -> None:
    write_suite(tmp_path, sentences=20)
    write_counts(tmp_path, "lstm")
    store, found = section(tmp_path)
    assert [block.text.split(",")[0] for block in found.blocks if isinstance(block, Heading)] == [
        "Word accuracy by training frequency",
        "Sentence by sentence",
        "Faults",
    ]
    names = [figure.name for block in found.blocks if isinstance(block, Figures) for figure in block.figures]
    assert len(names) == len(set(names)) == 2
    assert len(wins(found).rows) == 3 * 2
    assert all(len(row) == len(table.header) for table in tables(found) for row in table.rows)
    assert store.problems == []


def test_better_equal_and_worse_are_counted_from_the_first_named(tmp_path: Path) -> None:
    for model in ("lstm", "transformer"):
        write_run(tmp_path, model, sentences=10, test_sets=("test",), error=0)
    path = folder_of(tmp_path, "lstm") / "hypotheses" / "test.jsonl"
    rows = rows_of(path)
    for i in (0, 1, 2):
        rows[i]["hypothesis"] = ""
    write_lines(path, rows)
    _, found = section(tmp_path)
    (row,) = wins(found).rows
    cells = dict(zip(wins(found).header, row, strict=True))
    assert cells["pair"] == "Transformer against LSTM"
    shares = [cells[name].split(" ")[0] for name in ("better", "equal", "worse", "same text")]
    assert shares == ["30.0", "70.0", "0.0", "70.0"]
    assert cells["mean difference"].startswith("+30.0 (")


def test_one_model_is_shown_without_pairs(tmp_path: Path) -> None:
    write_run(tmp_path, "lstm", sentences=10, test_sets=("test",))
    _, found = section(tmp_path)
    assert any("Nothing to compare" in block.text for block in found.blocks if isinstance(block, Paragraph))


def test_runs_on_other_sentences_are_left_out_and_named(tmp_path: Path) -> None:
    write_run(tmp_path, "lstm", sentences=10, test_sets=("test",))
    write_run(tmp_path, "transformer", sentences=11, test_sets=("test",))
    store, found = section(tmp_path)
    shares = next(table for table in tables(found) if "loops" in table.header)
    assert [row[0] for row in shares.rows] == ["LSTM"]
    assert any("transformer" in p and "cannot be compared" in p for p in store.problems)


def test_a_run_without_hypotheses_is_left_out_and_named(tmp_path: Path) -> None:
    write_suite(tmp_path, sentences=10, test_sets=("test",))
    (folder_of(tmp_path, "bahdanau") / "hypotheses" / "test.jsonl").unlink()
    store, found = section(tmp_path)
    assert [row[0] for row in wins(found).rows] == ["Transformer against LSTM"]
    assert "bahdanau" in store.problems[0]
    assert "test.jsonl is not there" in store.problems[0]


def test_without_any_hypotheses_there_is_no_section(tmp_path: Path) -> None:
    write_run(tmp_path, "lstm", sentences=10, test_sets=("test",))
    (folder_of(tmp_path, "lstm") / "hypotheses" / "test.jsonl").unlink()
    store = read_store(tmp_path, "quick")
    assert build(store, Look(run.system for run in store.runs), measure(store)) == []
