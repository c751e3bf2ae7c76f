"""The README's tables say what was measured, and no more."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from analysis.page import readme
from tests.support.readme import ROOT

COMMITTED = ROOT / readme.RESULTS


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the README alone; its measurements are the test's."""
    (tmp_path / "README.md").write_text((ROOT / "README.md").read_text())
    (tmp_path / readme.RESULTS).mkdir(parents=True)
    shutil.copy(COMMITTED / "provenance.json", tmp_path / readme.RESULTS)
    shutil.copytree(COMMITTED.parent / "gpu", tmp_path / readme.RESULTS.parent / "gpu")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(place: Path, measurements: pd.DataFrame) -> dict[str, list[str]]:
    """The README's tables after `make readme`: row to cells, of all three."""
    measurements.to_csv(place / readme.RESULTS / "measurements.csv", index=False)
    readme.main()
    marked = readme.MARKED.search((place / "README.md").read_text())
    assert marked is not None
    rows = [line.strip("|").split("|") for line in marked[0].splitlines() if line.startswith("| ")]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}


def committed() -> pd.DataFrame:
    return pd.read_csv(COMMITTED / "measurements.csv", dtype={"x": str})


def test_the_committed_tables_are_those_of_the_committed_results() -> None:
    marked = readme.MARKED.search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert marked is not None
    assert marked[0] == readme.tables(COMMITTED), "results/full has changed: make readme"


def test_cells_are_means_over_seeds_with_a_mark_where_one_was_under_trained(place: Path) -> None:
    before = (place / "README.md").read_text()
    known = committed()
    copy = (known.task == "copy") & (known.model == "lstm") & (known.variant == "base")
    at = copy & (known.metric == "token_accuracy") & (known.x_name == "length")
    known.loc[at & (known.x == "32"), "value"] = [0.1, 0.2, 0.6]
    known.loc[at & (known.x == "64"), "value"] = 0.05
    known.loc[copy & (known.metric == "control_accuracy") & (known.seed == 1), "value"] = 0.98
    cell = written(place, known)["Copy 16 / 32 / *64* symbols"][2]
    assert cell.split(" / ")[1:] == ["0.30", "*0.05* †"]
    outside = [readme.MARKED.sub("", text) for text in (before, (place / "README.md").read_text())]
    assert outside[0] == outside[1]


def test_other_processes_and_variants_change_no_speed_and_a_missing_model_is_a_dash(place: Path) -> None:
    known = committed()
    again = known[known.experiment == "speed"].assign(seed=1, value=9.0)
    variant = known[known.experiment == "speed"].assign(variant="bf16", value=9.0)
    known = pd.concat([variant, known, again])
    name = "Target tokens/s on Multi30k, bare step"
    unchanged = written(place, known)
    known = known[(known.task != "text-multi30k-en-de") | (known.model != "lstm")]
    assert written(place, known)[name] == ["–", *unchanged[name][1:]]
    assert "9" not in unchanged[name]


def test_stacks_are_columns_of_one_model(place: Path) -> None:
    known = committed()
    pairs = known.task == "associative-recall"
    known.loc[pairs & (known.model == "transformer") & (known.variant == "decoder-only"), "value"] = 0.75
    cells = written(place, known)
    both, _, alone, _ = cells["Look up one of 8 / *12* pairs"]
    assert alone == "0.75 / *0.75* †"
    assert "0.75" not in both
    both, _, _, encoder_only = cells["BLEU on test2016"]
    assert both == cells["test2016"][2]
    assert encoder_only == "–"


def test_who_needed_ten_times_the_budget_is_shown_with_it(place: Path) -> None:
    known = committed()
    longer = (known.task == "parity") & (known.model == "transformer") & (known.variant == "tenfold")
    known.loc[longer & (known.metric == "token_accuracy"), "value"] = 0.75
    assert written(place, known)["Parity of 20 / *200* bits"][-1] == "0.75 / *0.75* ‡"
    known.loc[longer & (known.metric == "control_accuracy"), "value"] = 0.98
    cell = written(place, known)["Parity of 20 / *200* bits"][-1]
    assert "0.75" not in cell
    assert cell.endswith("†")


def test_a_row_without_any_measurement_is_an_error(place: Path) -> None:
    known = committed()
    with pytest.raises(ValueError, match="no token_accuracy of parity by length"):
        written(place, known[known.task != "parity"])


def test_a_gpu_has_a_table_of_its_own_with_a_dash_for_what_was_not_measured(place: Path) -> None:
    name, path = "Step at length 16 / 64 / 256 / 1024 / 2048", place / "results" / "gpu" / "measurements.csv"
    before = written(place, committed())[name]
    known = pd.read_csv(path, dtype={"x": str})
    known = known[(known.model != "lstm") | (known.x != "64")]
    known.loc[known.model == "lstm", "value"] = 0.02
    known.to_csv(path, index=False)
    lstm, *others = written(place, committed())[name]
    assert others == before[1:]
    assert lstm == "20.0 / – / 20.0 / 20.0 / 20.0"
    assert "on one NVIDIA H200" in (place / "README.md").read_text()
