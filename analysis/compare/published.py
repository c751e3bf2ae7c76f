"""Published figures with their sources, next to ours where task and metric are the same.

In published.csv `metric` is one of measurements.csv only where the definitions are the same, `published_metric` the
source's description of it, `system` its name of the model, `where` the table or file; `year` is empty for repositories
that are still edited. The other columns are named as in measurements.csv.
"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from io import StringIO
from itertools import groupby
from typing import Any

import pandas as pd

from analysis.page.blocks import Block, Paragraph, Section, Table
from analysis.page.labels import NONE, decimal, label, listing, ordered, span
from analysis.page.prose import PROSE
from analysis.statistics.intervals import t_interval
from analysis.store import Store, System, axis_text

METRICS = {
    "bleu": "sacreBLEU (13a, mixed case)",
    "bleu_tokenised": "tokenised BLEU (lower-cased, punctuation-normalised, Moses-tokenised, no smoothing)",
}

Benchmark = tuple[str, str, str, str, str]  # experiment, task, metric, x_name, x
Scores = dict[System, list[float]]


@cache
def published() -> Sequence[Any]:
    """All published figures, in the order of published.csv."""
    file = files("analysis.compare") / "published.csv"
    table = pd.read_csv(
        StringIO(file.read_text(encoding="utf-8")), dtype={"x": str, "year": str}, keep_default_na=False
    )
    return [*table.itertuples(index=False, name="Published")]


def build(store: Store) -> list[Section]:
    """One section, or none if no published figure has the task and the metric of a finished run."""
    measured = scores(store)
    matched = [row for row in published() if benchmark_of(row) in measured]
    if not matched:
        return []
    blocks: list[Block] = [Paragraph(PROSE["published figures"])]
    for place, rows in groupby(sorted(matched, key=benchmark_of), key=benchmark_of):
        blocks.append(next_to_ours(place, list(rows), measured[place]))
    return [Section("published", "Compared with published figures", blocks)]


def scores(store: Store) -> dict[Benchmark, Scores]:
    """Values of every seed by place and system."""
    table: dict[Benchmark, Scores] = {}
    wanted = {row.metric for row in published()}
    rows = store.measurements[store.measurements["metric"].isin(wanted)]
    columns = (rows[name] for name in ("experiment", "task", "metric", "x_name", "x", "model", "variant", "value"))
    for experiment, task, metric, x_name, x, model, variant, value in zip(*columns, strict=True):
        place = (experiment, task, metric, x_name or "", axis_text(x))
        table.setdefault(place, {}).setdefault(System(model, variant), []).append(float(value))
    return table


def benchmark_of(row: Any) -> Benchmark:
    return row.experiment, row.task, row.metric, row.x_name, row.x


def next_to_ours(place: Benchmark, rows: Sequence[Any], ours: Scores) -> Table:
    """Ours first, then published figures from low to high."""
    _, task, metric, _, x = place
    cells = []
    for system in ordered(ours):
        interval = t_interval(ours[system])
        seeds = f"{len(ours[system])} seeds" if len(ours[system]) > 1 else "one seed"
        cells.append([label(system), f"this report, {seeds}", decimal(interval.value, 2), span(interval, 2), ""])
    for row in sorted(rows, key=lambda row: row.value):
        cited = f"{' '.join(filter(None, (row.source, row.year)))}, {row.where}"
        cells.append([row.system, cited, decimal(row.value, 2), NONE, row.note])
    header = ["model", "source", short(metric), "95 % interval", "note"]
    caption = f"{task}, {x}: {METRICS.get(metric, metric)}."
    models = dict.fromkeys(system.model for system in ordered(ours))
    unmatched = [label(System(model, "base")) for model in models if model not in {row.model for row in rows}]
    if unmatched:
        caption += f" Nothing published with this metric is listed for {listing(unmatched)}."
    return Table(caption, header, cells, left=2, wrap=True)


def short(metric: str) -> str:
    return METRICS.get(metric, metric).partition(" (")[0]
