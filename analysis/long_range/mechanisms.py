"""What carries the memory: gradients, a probe of the encoder, attention on the answer, word order, scaled scores."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from analysis.long_range.axes import (
    EXPERIMENT,
    Axis,
    axes,
    by_seed,
    means_by_x,
    random_scores,
    rows_of,
    systems_of,
    tasks_of,
)
from analysis.long_range.wording import heading, quantity, title
from analysis.page.blocks import Block, Figures, Heading, Paragraph, Section, Table
from analysis.page.canvas import Figure
from analysis.page.curves import Levels, Point, by_x
from analysis.page.labels import label
from analysis.page.look import Look, VariantLook
from analysis.page.run_sources import behind
from analysis.statistics.intervals import spread
from analysis.store import Store, System


def build(store: Store, look: Look) -> list[Section]:
    blocks: list[Block] = []
    for task in tasks_of(store):
        found = [*gradients(store, look, task), *probe(store, look, task), *attention(store, look, task)]
        blocks += [Heading(title(task)), *found] if found else []
    blocks += [*shuffling(store), *scaling(store)]
    if not blocks and store.ran(EXPERIMENT):
        blocks = [Paragraph("No finished run measured gradients, probed a state or recorded attention on the answer.")]
    return [Section("memory", "What carries the memory", blocks, behind(store, EXPERIMENT))] if blocks else []


def base_axes(store: Store, task: str, metric: str) -> list[Axis]:
    return [axis.bases for axis in axes(store, task, metric) if axis.bases.curves]


def gradients(store: Store, look: Look, task: str) -> list[Block]:
    """Gradient norm by distance, relative to the nearest token of the same run, before and after training."""
    figures: list[Figure] = []
    for axis in base_axes(store, task, "gradient_reach"):
        curves = {system: found for system, points in axis.curves.items() if (found := relative(points))}
        if not curves:
            continue
        when = axis.name.partition(", ")[2]
        x_label, y_label = "distance to the end of the source (tokens)", "gradient norm, relative"
        heading = f"Gradient reach, {when}"
        figures.append(by_x(axis.figure, heading, look, curves, {}, x_label, y_label, share=False, log_y=True))
    if not figures:
        return []
    text = (
        "Dependence of the loss on a source token, by its distance to the end of the source, relative to the nearest "
        "token; mean over seeds, bands from the lowest to the highest seed. Where a line falls, less of the loss "
        "reaches early tokens, which a model may still recall. Before training a direct connection gives a flat line."
    )
    return [Figures(text, figures)]


def relative(points: Sequence[Point]) -> list[Point]:
    """Each point divided by the nearest of the same seed; a norm of zero cannot be drawn and is left out."""
    first = points[0].seeds
    found = []
    for point in points:
        ratios = {seed: value / first[seed] for seed, value in point.seeds.items() if first.get(seed) and value}
        if ratios:
            found.append(Point(point.x, spread(ratios.values()), ratios, point.n))
    return found


def probe(store: Store, look: Look, task: str) -> list[Block]:
    """Accuracy of a linear probe for the first noun on the encoder's state, by words read since."""
    measured = base_axes(store, task, "probe_accuracy")
    if not measured:
        return []
    figures = []
    for axis in measured:
        chance = means_by_x(rows_of(store, task, "probe_chance", x_name=axis.name))
        heading = f"Probe, {axis.name.partition(', ')[2]}"
        levels = {"the most frequent noun": chance} if chance else {}
        figures.append(by_x(axis.figure, heading, look, axis.curves, levels, "words read", "probe accuracy"))
    text = (
        "Share of held-out sentences whose first noun a linear probe finds in the encoder's state, by the words read "
        f"since; n = {max(point.n for point in measured[-1].points)}, bands are 95 % intervals. A falling "
        "line means that the state holds less of it in a form that can be read linearly; before training it shows what "
        "the architecture keeps by default."
    )
    return [Figures(text, figures)]


def attention(store: Store, look: Look, task: str) -> list[Block]:
    """Mean attention of the best head to the source position that holds the answer."""
    figures = []
    for axis in base_axes(store, task, "attention_on_answer"):
        curves = {
            system: [replace(point, interval=spread(point.seeds.values())) for point in points]
            for system, points in axis.curves.items()
        }
        by, what = quantity(axis.vary), "attention on the answer"
        figures.append(by_x(axis.figure, f"{what.capitalize()} by {by}", look, curves, {}, heading(axis.name), what))
    text = (
        "Mean attention of the best head to the source position that holds the answer; bands from the lowest to the "
        "highest seed. 1 means that the model looks at the right place and nowhere else. A Transformer can be right "
        "with less, since earlier layers may have moved the answer."
    )
    return [Figures(text, figures)] if figures else []


def shuffling(store: Store) -> list[Block]:
    """The largest change of an output probability when source tokens are shuffled."""
    rows = []
    for task in tasks_of(store):
        for system in systems_of(store, task):
            seeds = by_seed(rows_of(store, task, "permutation_difference", system))
            if seeds:
                each = ", ".join(f"{value:.2g} ({seed})" for seed, value in seeds.items())
                rows.append([label(system), title(task), f"{spread(seeds.values()).value:.2g}", each])
    if not rows:
        return []
    caption = (
        "Largest change of an output probability when the source tokens are shuffled: near 0, word order is invisible "
        "to the encoder. The seed is in brackets."
    )
    table = Table(caption, ["model", "task", "mean over seeds", "each seed"], rows, left=2)
    return [Heading("Shuffled sources"), table]


def scaling(store: Store) -> list[Block]:
    """Entropy and gradient norm of a softmax over random scores by head size, scaled against unscaled."""
    entropy, gradient = random_scores(store, "score_entropy"), random_scores(store, "score_gradient")
    figures = []
    if entropy:
        keys = next(iter(entropy.values()))[0].n
        xs = sorted({point.x for curve in entropy.values() for point in curve})
        even = {f"log {keys}": [(x, math.log(keys)) for x in xs]}
        figures.append(by_head_size("score_entropy", "Entropy of random attention", entropy, even, "entropy (nats)"))
    if gradient:
        what = "norm of the Jacobian"
        figures.append(by_head_size("score_gradient", "Gradient of its softmax", gradient, {}, what))
    if not figures:
        return []
    text = (
        "A softmax over the scores of random queries and keys of unit variance, by head size d, means over queries; "
        "nothing here is learned. Without the division by √d scores have variance d, so that as d grows one key gets "
        "all the weight. The gradient of the weights by the scores is small for even weights as well as for a single "
        "one, so with falling entropy its norm first rises, then falls. Whether this matters for what is learned is "
        "another question, since training can shrink queries and keys instead: see the ablations of the scaling by "
        "head size."
    )
    return [Heading("What the scaling is for"), Figures(text, figures)]


def by_head_size(
    metric: str, title: str, curves: Mapping[str, Sequence[Point]], levels: Levels, y_label: str
) -> Figure:
    systems = {System("softmax", which): curves[which] for which in ("scaled", "unscaled") if which in curves}
    look = VariantLook(systems)
    return by_x(metric, title, look, systems, levels, "head size d", y_label, share=False, level="even attention")
