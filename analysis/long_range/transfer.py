"""Transfer: a task learned from few examples by models that have read stories before, and by models that have not."""

import math
from dataclasses import replace

from analysis.claims.verdict import TRANSFORMER, Claim, Finding, Needs, NotRun, Rule
from analysis.long_range import networks
from analysis.long_range.axes import EXPERIMENT, Axis, axes, few, systems_of
from analysis.long_range.rules import AHEAD, OVER_CHANCE, ROOM_ABOVE, change, room_above, together
from analysis.long_range.tables import grid
from analysis.page.blocks import Block, Figures, Heading, Paragraph, Section, Table
from analysis.page.curves import Point, by_x
from analysis.page.labels import decimal, label, ordered, slug, whole
from analysis.page.look import VariantLook
from analysis.page.run_sources import behind
from analysis.store import Store, System

NAME = "Masked words from few examples"
SCRATCH = System(TRANSFORMER.model, "decoder-only")
PRETRAINED = System(TRANSFORMER.model, "decoder-only-pretrained")
FIGURE = slug(NAME)
X = "training examples"
READING = (
    "Intervals of accuracies cover the choice of test examples and are widened until they hold every seed. Seeds have "
    "different training examples."
)
QUESTION = (
    "A colour or number left out of a story, learned from few examples that repeat. The pretrained models have read "
    "endless other stories before, in which no word was left out; the others begin with random weights. Both have the "
    "same network, as many updates and as many trials of the learning rate. Accuracy is over gaps at all distances "
    "from their clue. Does reading teach what the task needs?"
)


def accuracy(store: Store) -> Axis:
    """Accuracy over all distances, and that of chance, by the number of training examples."""
    curves: dict[System, list[Point]] = {}
    levels: dict[str, list[tuple[float, float]]] = {}
    for task, examples in few(store).items():
        for axis in axes(store, task)[:1]:
            for system, points in axis.curves.items():
                curves.setdefault(system, []).append(replace(together(points), x=examples))
            for name, line in axis.chance.items():
                levels.setdefault(name, []).append((examples, sum(y for _, y in line) / len(line)))
    return Axis(NAME, X, "token_accuracy", {system: curves[system] for system in ordered(curves)}, levels)


def all_claims(store: Store) -> list[Claim]:
    """A claim for each number of examples."""
    text, source = "Pre-training transfers: having read stories saves examples", "Radford et al. 2018, section 5"
    found = few(store) or {"": 0}
    return [
        Claim(
            f"{text} (Transformer, {whole(examples)} masked words)" if task else text,
            source,
            Needs(EXPERIMENT, task, "token_accuracy"),
            transfers(store, examples),
            FIGURE,
        )
        for task, examples in found.items()
    ]


def transfers(store: Store, examples: int) -> Rule:
    def measure() -> Finding:
        axis = accuracy(store)
        here = {s: [point for point in axis.curve(s) if point.x == examples] for s in (PRETRAINED, SCRATCH)}
        if not all(here.values()):
            raise NotRun(f"{' and '.join(map(label, here))} with as many examples")
        (read,), (scratch,) = here.values()
        # Of the chances the lowest: who beats a blind guess has learned something, and its gain can be measured.
        guess = min((y for line in axis.chance.values() for x, y in line if x == examples), default=math.nan)
        reason = f"{label(PRETRAINED)}: {decimal(read.value, 3)}; {label(SCRATCH)}: {decimal(scratch.value, 3)}"
        return Finding(reason, change(read, scratch), power=[room_above(read, scratch), read.value - guess])

    effect = "accuracy of the Transformer that has read stories minus that of the one that has not, as one stack"
    power = [
        ROOM_ABOVE,
        OVER_CHANCE._replace(what="the accuracy of the one that has read stories minus that of a guess"),
    ]
    return Rule(effect, AHEAD, measure, power, note="Nobody has to master the task: few examples are too few for that")


def sections(store: Store) -> list[Section]:
    """One section for all numbers of examples; none where no task was learned from few."""
    axis = accuracy(store)
    if not axis.curves:
        return []
    look, last = VariantLook(list(axis.curves)), max(few(store), key=few(store).__getitem__)
    figure = by_x(FIGURE, NAME, look, axis.curves, axis.chance, X, "accuracy")
    caption = "Lines are means over seeds, bands 95 % intervals over the test examples, dots single seeds."
    blocks: list[Block] = [Paragraph(QUESTION), Figures(caption, [figure]), by_examples(axis)]
    settings = networks.table(store, last, systems_of(store, last))
    blocks += [Heading("What was compared"), settings] if settings else []
    runs = [source for task in few(store) for source in behind(store, EXPERIMENT, task)]
    return [Section(FIGURE, NAME, blocks, runs)]


def by_examples(axis: Axis) -> Table:
    return Table(f"Accuracy by {X}: means over seeds.", ["model", *map(whole, axis.xs)], grid(axis))
