"""Published figures beside ours, where task and metric are the same; in words, where they are not."""

from collections.abc import Sequence
from itertools import groupby

from analysis.compare.sides import axis_text
from analysis.page.blocks import Block, Heading, Paragraph, Section, Table
from analysis.page.labels import NONE, decimal, label, listing, ordered, span
from analysis.published import Published, published
from analysis.statistics.intervals import t_interval
from analysis.store import Store, System

OURS = "this report"
METRICS = {
    "bleu": "sacreBLEU (13a, mixed case)",
    "bleu_tokenised": "tokenised BLEU (lower-cased, punctuation-normalised, Moses-tokenised, no smoothing)",
}

Scores = dict[System, list[float]]
Place = tuple[str, str, str, str, str]  # experiment, task, metric, x_name, x


def build(store: Store) -> list[Section]:
    """One section, or none if nothing published has the task and the metric of a finished run."""
    measured = scores(store)
    matched = [row for row in published() if place_of(row) in measured]
    if not matched:
        return []
    blocks: list[Block] = [
        Paragraph(
            "A published figure stands here only if task, test set and metric are the same as ours. Model size, "
            "budget and decoding are not, so the distance says how far our recipe is from theirs, not which model is "
            "better. Intervals are t intervals over our seeds; published figures come without one. "
            "Their links stand in analysis/published.csv."
        )
    ]
    for place, rows in groupby(sorted(matched, key=place_of), key=place_of):
        blocks.append(beside(place, list(rows), measured[place]))
    blocks += apart(store, matched, measured)
    return [Section("published", "Beside published figures", blocks)]


def scores(store: Store) -> dict[Place, Scores]:
    """Values of every seed by place and system."""
    table: dict[Place, Scores] = {}
    wanted = {row.metric for row in published()}
    rows = store.measurements[store.measurements["metric"].isin(wanted)]
    columns = (rows[name] for name in ("experiment", "task", "metric", "x_name", "x", "model", "variant", "value"))
    for experiment, task, metric, x_name, x, model, variant, value in zip(*columns, strict=True):
        place = (experiment, task, metric, x_name or "", axis_text(x))
        table.setdefault(place, {}).setdefault(System(model, variant), []).append(float(value))
    return table


def place_of(row: Published) -> Place:
    return row.experiment, row.task, row.metric, row.x_name, row.x


def beside(place: Place, rows: Sequence[Published], ours: Scores) -> Table:
    """Ours first, then published figures from low to high."""
    _, task, metric, _, x = place
    cells = []
    for system in ordered(ours):
        interval = t_interval(ours[system])
        seeds = f"{len(ours[system])} seeds" if len(ours[system]) > 1 else "one seed"
        cells.append([label(system), f"{OURS}, {seeds}", decimal(interval.value, 2), span(interval, 2), ""])
    for row in sorted(rows, key=lambda row: row.value):
        cells.append([row.system, row.cited, decimal(row.value, 2), NONE, row.note])
    header = ["model", "source", short(metric), "95 % interval", "note"]
    caption = f"{task}, {x}: {METRICS.get(metric, metric)}."
    unmatched = [label(system) for system in ordered(ours) if system.model not in {row.model for row in rows}]
    if unmatched:
        caption += f" No published figure at hand is of the kind of {listing(unmatched)}."
    return Table(caption, header, cells, left=2, wrap=True)


def apart(store: Store, matched: Sequence[Published], measured: dict[Place, Scores]) -> list[Block]:
    """Published figures on the same data that must not stand in one column with ours, and why."""
    metrics: dict[tuple[str, str], set[str]] = {}
    columns = (store.measurements[name] for name in ("experiment", "task", "metric"))
    for experiment, task, metric in zip(*columns, strict=True):
        metrics.setdefault((experiment, task), set()).add(metric)
    corpora = {corpus(*ours) for ours in metrics}
    near = [row for row in published() if row not in matched and corpus(row.experiment, row.task) in corpora]
    unmatched: dict[tuple[str, str], list[str]] = {}
    for place in measured:
        if place not in map(place_of, matched):
            unmatched.setdefault((place[2], place[1]), []).append(place[4])
    blocks: list[Block] = [Heading("What is not comparable")] if near or unmatched else []
    if unmatched:
        words = [f"{short(metric)} on {task} ({listing(xs)})" for (metric, task), xs in unmatched.items()]
        blocks.append(Paragraph(f"Nothing published with the same metric is at hand for {listing(words)}."))
    if near:
        header = ["model", "task", "source", "published", "its metric", "why not beside ours"]
        rows = []
        for row in near:
            measure = ", ".join(filter(None, (row.published_metric, f"{row.x_name.replace('_', ' ')} {row.x}".strip())))
            why = because(row, metrics)
            rows.append(
                [row.system, row.task, row.cited, f"{row.value:g}", measure, "; ".join(filter(None, (why, row.note)))]
            )
        caption = "Figures on the same data or task by another measure: neither to be subtracted from ours nor divided."
        blocks.append(Table(caption, header, rows, left=6, wrap=True))
    return blocks


def because(row: Published, metrics: dict[tuple[str, str], set[str]]) -> str:
    if (row.experiment, row.task) not in metrics:
        return "another direction of translation"
    if row.metric not in metrics[row.experiment, row.task]:
        return "another metric"
    return "another test set"


def corpus(experiment: str, task: str) -> tuple[str, str]:
    """A translation task without its direction."""
    return experiment, task.rsplit("-", 2)[0] if experiment == "bleu" else task


def short(metric: str) -> str:
    return METRICS.get(metric, metric).partition(" (")[0]
