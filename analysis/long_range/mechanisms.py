"""What carries the memory: gradients, a probe of the encoder, attention on the answer, word order, scaled scores."""

from collections.abc import Sequence
from dataclasses import replace

from analysis.long_range.evidence import (
    EXPERIMENT,
    Point,
    axes,
    by_seed,
    numeric,
    of_system,
    rows_of,
    systems_of,
    tasks_of,
)
from analysis.long_range.softmax_scaling import scaling
from analysis.long_range.tables import at_points
from analysis.long_range.wording import heading, quantity, title
from analysis.page.blocks import Block, Figures, Heading, Paragraph, Section, Table
from analysis.page.figures import Figure, by_x
from analysis.page.labels import NONE, Look, label
from analysis.statistics.intervals import spread
from analysis.store import Store, System

Curves = dict[System, list[Point]]


def build(store: Store, look: Look) -> list[Section]:
    blocks: list[Block] = []
    for task in tasks_of(store):
        found = [*gradients(store, look, task), *probe(store, look, task), *attention(store, look, task)]
        if found:
            blocks += [Heading(title(task)), *found]
    rest = [*shuffling(store), *scaling(store)]
    if not blocks and not rest:
        present = any(run.experiment == EXPERIMENT for run in store.runs)
        blocks = [Paragraph("No finished run measured gradients, probed a state or recorded attention on the answer.")]
        return [Section("memory", "What carries the memory", blocks)] if present else []
    return [Section("memory", "What carries the memory", [*blocks, *rest])]


def gradients(store: Store, look: Look, task: str) -> list[Block]:
    """Gradient norm by distance, relative to the nearest token of the same run, before and after training."""
    figures: list[Figure] = []
    cells: dict[System, dict[str, str]] = {}
    for axis in axes(store, task, "gradient_reach"):
        curves = {system: relative(points) for system, points in axis.curves.items() if system.variant == "base"}
        curves = {system: points for system, points in curves.items() if points}
        if not curves:
            continue
        when = axis.name.partition(", ")[2]
        figures.append(
            by_x(
                axis.figure,
                f"Gradient reach, {when}",
                look,
                curves,
                {},
                "distance to the end of the source (tokens)",
                "gradient norm, relative",
                share=False,
                log_y=True,
            )
        )
        for system, points in curves.items():
            cells.setdefault(system, {})[when] = f"{points[-1].value:.2g} at {points[-1].x:g}"
    if not figures:
        return []
    moments = list(dict.fromkeys(when for row in cells.values() for when in row))
    table = [[label(system), *(row.get(when, NONE) for when in moments)] for system, row in cells.items()]
    text = (
        "How strongly the loss depends on a source token, by its distance to the end of the source, relative to the "
        "nearest token; mean over seeds, bands from the lowest to the highest seed. A line that falls is a memory that "
        "cannot be learned from: the loss does not reach the early tokens. A flat line is a direct connection."
    )
    return [
        Figures(text, figures),
        Table("Gradient norm at the farthest distance, relative to the nearest.", ["model", *moments], table),
    ]


def relative(points: Sequence[Point]) -> list[Point]:
    """Each point divided by the nearest of the same seed; a norm of zero cannot be drawn and is left out."""
    first = points[0].seeds
    found = []
    for point in points:
        ratios = {seed: value / first[seed] for seed, value in point.seeds.items() if first.get(seed) and value}
        if ratios:
            found.append(Point(point.x, spread(list(ratios.values())), ratios, point.n))
    return found


def probe(store: Store, look: Look, task: str) -> list[Block]:
    """How much of the first noun a linear probe reads off the encoder's state, by words read since."""
    figures = []
    n = 0
    for axis in axes(store, task, "probe_accuracy"):
        only = axis.only([system for system in axis.curves if system.variant == "base"])
        if only.curves:
            chance = numeric(rows_of(store, task, "probe_chance"))
            means = chance[chance["x_name"] == axis.name].groupby("x")["value"].mean()
            lines = {"the most frequent noun": list(zip(map(float, means.index), map(float, means), strict=True))}
            when = axis.name.partition(", ")[2]
            lines = lines if len(means) else {}
            n = max(point.n for point in only.points)
            figures.append(
                by_x(axis.figure, f"Probe, {when}", look, only.curves, lines, "words read", "probe accuracy")
            )
    if not figures:
        return []
    text = (
        "Share of held-out sentences whose first noun a linear probe reads off the encoder's state, by the words read "
        f"since; n = {n}, bands are 95 % intervals. A falling line is forgetting in the state itself, whatever the "
        "decoder makes of it; before training it shows what the architecture keeps by default."
    )
    return [Figures(text, figures)]


def attention(store: Store, look: Look, task: str) -> list[Block]:
    """Mean attention of the best head to the source position that holds the answer."""
    measured = []
    for axis in axes(store, task, "attention_on_answer"):
        curves: Curves = {}
        for system, points in axis.curves.items():
            if system.variant == "base":
                curves[system] = [Point(p.x, spread(list(p.seeds.values())), p.seeds, p.n, p.trained) for p in points]
        if curves:
            measured.append(replace(axis, curves=curves))
    figures = [
        by_x(
            axis.figure,
            f"Attention on the answer by {quantity(axis.vary)}",
            look,
            axis.curves,
            {},
            heading(axis.name),
            "attention on the answer",
        )
        for axis in measured
        if not axis.single
    ]
    single = [axis for axis in measured if axis.single]
    text = (
        "Mean attention of the best head to the source position that holds the answer; bands from the lowest to the "
        "highest seed. 1 means that the model looks at the right place and nowhere else. A Transformer can be right "
        "with less, since earlier layers may have moved the answer."
    )
    blocks: list[Block] = [Figures(text, figures)] if figures else []
    return [*blocks, at_points(single)] if single else blocks


def shuffling(store: Store) -> list[Block]:
    """The largest change of an output probability when source tokens are shuffled."""
    rows = []
    for task in tasks_of(store):
        measured = rows_of(store, task, "permutation_difference")
        for system in systems_of(store, task):
            seeds = by_seed(of_system(measured, system))
            if seeds:
                each = ", ".join(f"{value:.2g} ({seed})" for seed, value in seeds.items())
                rows.append([label(system), title(task), f"{spread(list(seeds.values())).value:.2g}", each])
    if not rows:
        return []
    caption = (
        "Largest change of an output probability when the source tokens are shuffled: near 0, word order is invisible "
        "to the encoder. In brackets the seed."
    )
    return [
        Heading("Shuffled sources"),
        Table(caption, ["model", "task", "mean over seeds", "each seed"], rows, left=2),
    ]
