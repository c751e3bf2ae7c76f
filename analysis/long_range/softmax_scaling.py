"""What dividing scores by √d is for: entropy and gradient of a softmax by head size, entropy of trained attention."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from analysis.long_range.evidence import by_seed, random_scores, rows_of, systems_of, tasks_of
from analysis.long_range.section import group_of
from analysis.long_range.wording import title
from analysis.page.blocks import Block, Figures, Heading, Paragraph, Table
from analysis.page.canvas import Figure
from analysis.page.curves import Levels, Point, by_x
from analysis.page.labels import NONE, decimal, label, listing, with_span
from analysis.page.look import VariantLook
from analysis.statistics.intervals import spread
from analysis.store import Store, System

GROUP = "scaling by head size"
MOMENTS = ("at initialisation", "trained")
HALVES = ("scaled", "unscaled")
ENTROPY = (
    "Mean entropy of attention to the source in nats: 0 where one token has all the weight, log S where it is even "
    "over the S tokens of a source"
)
Entropies = Mapping[str, Mapping[str, Mapping[int, float]]]  # by layer, by moment, by seed


def scaling(store: Store) -> list[Block]:
    blocks = [*by_head_size(store), *trained_apart(store)]
    blocks = [Heading("What the scaling is for"), *blocks] if blocks else []
    rest = base_models(store)
    return [*blocks, Heading("Entropy of attention in the base models"), rest] if rest else blocks


def by_head_size(store: Store) -> list[Block]:
    """Entropy and gradient norm of a softmax over random scores, scaled against unscaled."""
    entropy, gradient = random_scores(store, "score_entropy"), random_scores(store, "score_gradient")
    figures, sentences = [], []
    if entropy:
        keys = next(iter(entropy.values()))[0].n
        xs = sorted({point.x for curve in entropy.values() for point in curve})
        even = {f"log {keys}": [(x, math.log(keys)) for x in xs]}
        figures.append(drawn("score_entropy", "Entropy of random attention", entropy, even, "entropy (nats)"))
        sentences.append(in_words("entropy", entropy))
    if gradient:
        figures.append(drawn("score_gradient", "Gradient of its softmax", gradient, {}, "norm of the Jacobian"))
        sentences += [in_words("norm of the gradient", gradient), *smaller(gradient)]
    if not figures:
        return []
    text = (
        "A softmax over the scores of random queries and keys of unit variance, by head size d, means over queries; "
        "nothing here is learned. Without the division by √d scores have variance d, so that as d grows one key gets "
        f"all the weight. {' '.join(sentences)} The gradient of the weights by the scores is small for even weights as "
        "well as for a single one, so with falling entropy its norm first rises, then falls."
    )
    question = (
        "Whether this matters for what is learned is another question, since training can shrink queries and keys "
        "instead: see the ablations of the scaling by head size and their claims on accuracy."
    )
    return [Figures(text, figures), Paragraph(question)]


def drawn(metric: str, title: str, curves: Mapping[str, Sequence[Point]], levels: Levels, y_label: str) -> Figure:
    systems = {System("softmax", which): curves[which] for which in HALVES if which in curves}
    look = VariantLook(systems)
    return by_x(metric, title, look, systems, levels, "head size d", y_label, share=False, level="even attention")


def in_words(what: str, curves: Mapping[str, Sequence[Point]]) -> str:
    """The course of the unscaled, the range of the scaled."""
    parts = [f"without scaling the {what} {course(curves['unscaled'])}"] if "unscaled" in curves else []
    values = [point.value for point in curves.get("scaled", [])]
    parts += [f"with scaling it lies between {min(values):.3g} and {max(values):.3g}"] if values else []
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def smaller(curves: Mapping[str, Sequence[Point]]) -> list[str]:
    """At which head sizes the unscaled lies below the scaled, if both were measured."""
    scaled, unscaled = ({point.x: point.value for point in curves.get(half, [])} for half in HALVES)
    common = [x for x in unscaled if x in scaled]
    found = [f"{x:g}" for x in common if unscaled[x] < scaled[x]]
    at = f"d = {listing(found)} only" if found else "none of these d"
    return [f"The norm is smaller without scaling than with it at {at}."] if common else []


def course(points: Sequence[Point]) -> str:
    """rises from 0.25 at d = 4 to 0.5 at d = 16, then falls to 0.1 at d = 256"""
    inner = zip(points, points[1:], points[2:], strict=False)
    turns = [b for a, b, c in inner if (b.value - a.value) * (c.value - b.value) < 0]
    ends = [points[0], *turns, points[-1]]
    moves = [f"{'falls' if b.value < a.value else 'rises'} to {said(b)}" for a, b in pairwise(ends)]
    moves[0] = moves[0].replace(" to ", f" from {said(points[0])} to ", 1)
    return ", then ".join(moves)


def said(point: Point) -> str:
    return f"{point.value:.3g} at d = {point.x:g}"


def trained_apart(store: Store) -> list[Block]:
    """For each task with scaling variants a table of their attention's entropy by layer."""
    return [table for task in tasks_of(store) for table in [of_variants(store, task)] if table]


def scaled_and_not(store: Store, task: str) -> list[System]:
    """The Transformer and its scaling variants, empty without such variants."""
    transformers = [system for system in systems_of(store, task) if system.model == "transformer"]
    variants = [system for system in transformers if group_of(system.variant) == GROUP]
    return [*(system for system in transformers if system.variant == "base"), *variants] if variants else []


def of_variants(store: Store, task: str) -> Table | None:
    rows = []
    for system in scaled_and_not(store, task):
        for layer, moments in entropies(store, task, system).items():
            seeds = [moments.get(moment, {}) for moment in MOMENTS]
            rows.append([label(system), layer, *(with_span(spread(s.values()), 2) if s else NONE for s in seeds)])
    caption = f"{title(task)}, with scaling and without. {ENTROPY}; mean over seeds (lowest to highest)."
    return Table(caption, ["model", "layer", *MOMENTS], rows, left=2) if rows else None


def base_models(store: Store) -> Table | None:
    """One row for each base model of a task whose entropies no table of variants shows."""
    rows = []
    for task in tasks_of(store):
        elsewhere = scaled_and_not(store, task)
        for system in systems_of(store, task):
            layers = entropies(store, task, system)
            if system.variant == "base" and system not in elsewhere and layers:
                rows.append([label(system), title(task), *(each_layer(layers, moment) for moment in MOMENTS)])
    caption = f"{ENTROPY}; means over seeds, the layer in brackets."
    return Table(caption, ["model", "task", *MOMENTS], rows, left=2) if rows else None


def each_layer(layers: Entropies, moment: str) -> str:
    means = {layer: spread(of[moment].values()).value for layer, of in layers.items() if moment in of}
    return ", ".join(f"{decimal(mean, 2)} ({layer})" for layer, mean in means.items()) or NONE


def entropies(store: Store, task: str, system: System) -> Entropies:
    """Layers in the order of the network."""
    rows = rows_of(store, task, "attention_entropy", system)
    found: dict[str, dict[str, dict[int, float]]] = {}
    for layer, here in rows.groupby("x", sort=False):
        moments = {moment: by_seed(here[here["x_name"] == f"layer, {moment}"]) for moment in MOMENTS}
        found[str(layer)] = {moment: seeds for moment, seeds in moments.items() if seeds}
    return found
