"""Every number leads to the runs behind it, and they to what made them."""

from pathlib import Path

from analysis.page.blocks import Table
from analysis.page.run_sources import behind, of_cell
from analysis.provenance import runs_section
from analysis.store import read_store
from tests.support.fakes.long_range import write_task
from tests.support.fakes.runs import write_run


def test_numbers_of_runs_are_those_of_the_list_of_runs(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_run(tmp_path, "transformer", seed=seed, sentences=5, test_sets=("test",))
    write_task(tmp_path, "copy")
    store = read_store(tmp_path, "quick")
    listed = next(block for block in runs_section(store).blocks if isinstance(block, Table))
    names = {row[0]: row for row in listed.rows}
    assert len(names) == len(store.runs)
    sources = behind(store, "bleu")
    assert [source.seed for source in sources] == [0, 1]
    for source in sources:
        assert names[source.number][1] == "bleu, multi30k, Transformer"
        assert names[source.number][2] == str(source.seed)
        assert "config 01234567; commit 1f2e3d4c; make bleu SUITE=quick MODELS=transformer" in source.origin
    assert len(behind(store, "long-range", "copy")) == len(store.finished("long-range"))
    assert behind(store, "long-range", "recall") == []


def test_a_models_name_tells_its_runs_and_other_words_nothing(tmp_path: Path) -> None:
    write_run(tmp_path, "lstm", sentences=5, test_sets=("test",))
    write_run(tmp_path, "transformer", sentences=5, test_sets=("test",))
    (tmp_path / "quick/bleu/multi30k/lstm/base/seed0/result.json").unlink()
    sources = behind(read_store(tmp_path, "quick"), "bleu")
    assert of_cell("Transformer", sources).startswith("R2: ")
    assert of_cell("LSTM", sources) == of_cell("38.6", sources) == ""  # the LSTM did not finish
