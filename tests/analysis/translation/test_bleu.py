"""The results section: p values with their adjusted ones, all pairs, and nothing where there is nothing."""

from pathlib import Path

from analysis.page.blocks import Table
from analysis.page.labels import probability
from analysis.page.look import Look
from analysis.store import Store, read_store
from analysis.translation.bleu import build, measure
from tests.support.fakes.runs import write_suite


def tables(store: Store) -> list[Table]:
    look = Look(run.system for run in store.runs)
    return [block for block in build(store, look, measure(store)).blocks if isinstance(block, Table)]


def test_raw_and_adjusted_p_stand_beside_each_other(tmp_path: Path) -> None:
    write_suite(tmp_path, sentences=25)
    store = read_store(tmp_path, "quick")
    pairs = next(table for table in tables(store) if table.header[0] == "pair")
    of_pairs = [pair for result in measure(store) for pair in result.pairs]
    assert list(pairs.header[-2:]) == ["p", "p (Holm)"]
    for row, pair in zip(pairs.rows, of_pairs, strict=True):
        assert list(row[-2:]) == [probability(pair.comparison.p), probability(pair.p_holm)]
    assert len(pairs.rows) == 2 * 3
    assert "Holm" in pairs.caption
