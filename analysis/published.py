"""Published figures as data: every row with its source and with its metric as published."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from analysis.compare.csv_tables import csv_lines, numeric
from experiments.record.text import brief

FILE = "published.csv"


class Published(NamedTuple):
    """One published figure. `metric` is a metric of measurements.csv only where the definitions are the same.

    `system` is what the source calls the model, `published_metric` what it says of the metric; `year` is empty for
    repositories that are still edited, `where` is the table or the file. A column that the compared system needs to be
    matched with a report (experiment, task, model, variant, x_name, x) has the words of measurements.csv.
    """

    experiment: str
    task: str
    model: str
    variant: str
    metric: str
    x_name: str
    x: str
    value: float
    unit: str
    system: str
    published_metric: str
    source: str
    year: str
    where: str
    link: str
    note: str

    @property
    def cited(self) -> str:
        """Source and year, then table or file."""
        return f"{' '.join(filter(None, (self.source, self.year)))}, {self.where}"


@cache
def published() -> Sequence[Published]:
    """All published figures, in the order of the file."""
    return read_published(Path(str(files("analysis") / FILE)))


def read_published(path: Path) -> Sequence[Published]:
    """The figures of a file.

    Raises:
        ValueError: it is not a CSV table, has other columns, or a value is not a number.
    """
    columns, lines = csv_lines(path)
    if set(columns) != set(Published._fields):
        raise ValueError(
            f"{path} has the columns {brief(', '.join(columns))}; it needs {', '.join(Published._fields)}."
        )
    return [Published(**cells | {"value": numeric(path, line, "value", cells["value"])}) for cells, line in lines]  # type: ignore[arg-type]
