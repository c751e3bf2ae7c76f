"""The metrics of all experiments. A new one is a row of metrics.csv."""

import csv
from functools import cache
from pathlib import Path
from typing import NamedTuple

MASTERED = 0.99  # control accuracy below which a model is under-trained: nothing follows from its failures


class Metric(NamedTuple):
    """A row of metrics.csv; `better` is higher, lower, or empty where neither is."""

    metric: str
    unit: str
    better: str
    meaning: str


@cache
def metrics() -> dict[str, Metric]:
    """Every metric by its name; medians over timed blocks have quartiles of the same name with _q25 and _q75."""
    with Path(__file__).with_name("metrics.csv").open(encoding="utf-8", newline="") as file:
        return {row["metric"]: Metric(**row) for row in csv.DictReader(file)}
