import csv
from pathlib import Path

import pytest

from experiments.record.metrics import metrics

RESULTS = Path(__file__).parents[3] / "results"


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*/measurements.csv")), ids=lambda path: path.parent.name)
def test_every_metric_of_the_reference_results_is_in_the_table_with_its_unit(path: Path) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        measured = {(row["metric"].partition(":")[0], row["unit"]) for row in csv.DictReader(file)}
    assert measured
    for name, unit in measured:
        assert metrics()[name.removesuffix("_q25").removesuffix("_q75")].unit == unit
