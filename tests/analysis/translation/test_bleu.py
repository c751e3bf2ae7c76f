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
    first = measure(store)[0]
    quality, *others = tables(store)
    assert list(quality.header[-2:]) == ["p", "p (Holm)"]
    for row, outcome in zip(quality.rows, first.outcomes.values(), strict=True):
        p = outcome.comparison.p if outcome.comparison else float("nan")
        assert list(row[-2:]) == [probability(p), probability(outcome.p_holm)]
    pairs = next(table for table in others if table.header[0] == "pair")
    assert len(pairs.rows) == 2 * 3
    assert "Holm" in pairs.caption
