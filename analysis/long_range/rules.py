"""The rules of the claims about long range: what each measures, its lines, and what it needs to show either outcome."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from analysis.claims.verdict import (
    ABOVE,
    AT_LEAST,
    ATTENTION,
    BELOW,
    CONTRADICTED,
    INTERVAL,
    LSTM,
    RNN,
    SUPPORTED,
    TRANSFORMER,
    Finding,
    Learning,
    Line,
    NotRun,
    Power,
    Rule,
    StillLearning,
    above,
    below,
    within,
)
from analysis.long_range.axes import EXPERIMENT, HELD, Axis, by_seed, rows_of
from analysis.long_range.evidence import Evidence
from analysis.long_range.tables import name_of
from analysis.long_range.wording import at, quantity
from analysis.page.curves import Point
from analysis.page.labels import decimal, label, listing, whole
from analysis.statistics.intervals import Interval, any_two_seeds, difference, pooled, spread, wilson
from analysis.store import System
from experiments.record.metrics import MASTERED

MARGIN = 0.05  # a difference in accuracy that matters
FADED, KEPT = 0.01, 0.1  # gradient norm relative to that of the last source token
COPIED = Line(INTERVAL, BELOW, 0.5)  # exact match above which a model is said to copy
MOMENTS = INITIAL, _ = ("distance, at initialisation", "distance, trained")  # the axes of gradients

ROOM = Power("the accuracy of the weaker model at the smallest value", AT_LEAST, HELD)
RANGE = Power("the largest trained value over the smallest", AT_LEAST, 4)
SPARED = Power("the accuracy of the LSTM + attention at the largest", AT_LEAST, HELD)  # else something else is too hard
SEPARATES = Power("the most that any model loses there", ABOVE, MARGIN)
FAR_BACK = Power("the distance measured", AT_LEAST, 32, "tokens")  # over a few tokens no gradient has faded
BROKEN = Power("the exact match of the LSTM in the same form", BELOW, HELD)
FAR = Power("the largest value over the largest trained one", AT_LEAST, 1.5)
INSIDE = Power("exact match of the best model at the largest trained length", ABOVE, COPIED.at)
LEAD = Power("the lead of a perfect model over the weaker one, at the lower end of its interval,", ABOVE, MARGIN)
ROOM_ABOVE = LEAD._replace(what="the lead of a perfect model over the one to beat, at the lower end of its interval,")
OVER_CHANCE = Power("the accuracy of the better model minus chance", ABOVE, MARGIN)
AHEAD = above(MARGIN)
VALIDATED = Learning(EXPERIMENT, "val/token_accuracy", 3)
JUDGED = f"A model below {MASTERED} on its control is judged only if it failed with ten times the budget too"


def said(axis: Axis, points: Mapping[System, Sequence[Point]]) -> str:
    """LSTM: 1.000 at length 4, 0.860 at length 32; LSTM + attention: …"""
    return "; ".join(
        f"{label(system)}: {', '.join(f'{decimal(point.value, 3)} {at(axis.vary, point.x)}' for point in each)}"
        for system, each in points.items()
    )


def change(first: Point, second: Point) -> Interval:
    """first − second with an interval over test examples, widened until it holds the difference of any two seeds."""
    return any_two_seeds(difference(first.interval, second.interval), first.seeds, second.seeds)


def loss(first: Point, second: Point) -> Interval:
    """What one system loses from one x to another; seeds are compared with themselves."""
    value, low, high = difference(first.interval, second.interval)
    same = [first.seeds[seed] - second.seeds[seed] for seed in first.seeds if seed in second.seeds]
    return Interval(value, min([low, *same]), max([high, *same]))


def widening(first: Point, last: Point) -> float:
    return last.x / max(first.x, 1)


def over_seeds(point: Point) -> Interval:
    """The interval of an accuracy, widened until it holds every seed."""
    value, low, high = point.interval
    return Interval(value, min(low, *point.seeds.values()), max(high, *point.seeds.values()))


def fades_with_gap(evidence: Evidence) -> Rule:
    def measure() -> Finding:
        axis = evidence.axis("recall", "gap")
        first, last = axis.ends(RNN)
        evidence.require_mastered("recall", RNN)
        return Finding(said(axis, {RNN: (first, last)}), loss(first, last), power=[first.value, widening(first, last)])

    effect = "accuracy at the smallest gap minus accuracy at the largest gap of training"
    return Rule(effect, AHEAD, measure, [ROOM, RANGE], note=JUDGED)


def gap_is_irrelevant(evidence: Evidence, system: System, *rivals: System) -> Rule:
    """What a system loses with the gap; it means something only where it or one of the rivals loses."""

    def measure() -> Finding:
        axis = evidence.axis("recall", "gap")
        ends = {system: axis.ends(system)}
        evidence.require_mastered("recall", system)
        others = [s for s in rivals if s in axis.curves and evidence.mastered("recall", s)]
        ends |= {rival: axis.ends(rival) for rival in others}
        most = max(loss(*pair).value for pair in ends.values())
        return Finding(said(axis, ends), loss(*ends[system]), power=[most])

    effect = "accuracy at the smallest gap minus accuracy at the largest gap of training"
    names = listing([label(each) for each in dict.fromkeys([system, *rivals])])
    power = SEPARATES._replace(what=f"the most that {names} lose there")
    return Rule(effect, below(MARGIN), measure, [power], note=JUDGED)


def gradient_fades(evidence: Evidence, system: System) -> Rule:
    def measure() -> Finding:
        found = {when: rows_of(evidence.store, "recall", "gradient_reach", system, x_name=when) for when in MOMENTS}
        rows = found[INITIAL]
        if not len(rows):
            raise NotRun(f"no gradient reach of the {label(system)} on recall")
        nearest, farthest = min(rows["x"]), max(rows["x"])
        relative = {
            when: spread([far[seed] / near[seed] for seed in far])
            for when, each in found.items()
            for near, far in [[by_seed(each[each["x"] == x]) for x in (nearest, farthest)]]
            if far
        }
        said = [f"{relative[when].value:.2g} {when.partition(', ')[2]}" for when in relative]
        reason = f"gradient at distance {farthest:g} relative to distance {nearest:g}: {', '.join(said)}"
        return Finding(reason, relative[INITIAL], power=[farthest])

    effect = "gradient norm at the farthest source token relative to the last one, before training, over all seeds"
    note = "Initialisation alone fixes it: a model may learn to keep what it forgets at first"
    return Rule(effect, [Line("the relative gradient", BELOW, FADED, KEPT)], measure, [FAR_BACK], note=note)


def one_vector(evidence: Evidence, task: str) -> Rule:
    def measure() -> Finding:
        axis = evidence.axis(task)
        lstm, attention = axis.ends(LSTM), axis.ends(ATTENTION)
        evidence.require_mastered(task, LSTM, ATTENTION)
        everyone = [loss(*axis.ends(s)).value for s in axis.bases.curves if evidence.mastered(task, s)]
        power = [min(lstm[0].value, attention[0].value), widening(*lstm), max(everyone), attention[1].value]
        losses = [
            {seed: first.seeds[seed] - last.seeds[seed] for seed in last.seeds} for first, last in (lstm, attention)
        ]
        more = any_two_seeds(difference(loss(*lstm), loss(*attention)), *losses)
        return Finding(said(axis, {LSTM: lstm, ATTENTION: attention}), more, power=power)

    effect = (
        "what the LSTM loses from the smallest to the largest trained value minus what the LSTM + attention loses, in "
        "accuracy"
    )
    learning = StillLearning(evidence.store, task, VALIDATED, {SUPPORTED: LSTM})
    return Rule(effect, AHEAD, measure, [ROOM, RANGE, SEPARATES, SPARED], learning, JUDGED)


def attention_fixes(evidence: Evidence, task: str) -> Rule:
    """Judged by exact match: where nineteen tokens of twenty are right, few long answers are."""

    def measure() -> Finding:
        axis, tokens = evidence.axis(task, metric="exact_match"), evidence.axis(task)
        evidence.require_mastered(task, LSTM, ATTENTION)
        forms = {s: System(LSTM.model, s.variant) for s in axis.curves if s.model == ATTENTION.model}
        able = [s for s, alone in forms.items() if evidence.judged(task, s) and evidence.judged(task, alone)]
        best = max(able or [ATTENTION], key=lambda system: axis.trained(system)[-1].value)
        alone, fixed, right = axis.trained(forms[best])[-1], axis.trained(best)[-1], tokens.trained(best)[-1]
        shown = {forms[best]: (alone,), best: (fixed,)}
        reason = f"{said(axis, shown)} ({decimal(right.value, 3)} of its tokens)"
        ends = [end for _, curve in learning.curves(ATTENTION) for end in curve["value"].tail(1)]
        missing = min(1 - right.value, 1 - max(ends, default=0.0))  # validation has easier settings too
        return Finding(reason, over_seeds(fixed), power=[over_seeds(alone).high], missing=missing)

    effect = "exact match of the best LSTM with attention, encoder-decoder or one stack, at the largest trained value"
    lacking = {} if evidence.unable(task, ATTENTION) else {CONTRADICTED: ATTENTION}
    learning = StillLearning(evidence.store, task, VALIDATED, lacking)
    return Rule(effect, above(HELD), measure, [BROKEN], learning if lacking else None, JUDGED)


def compared(
    evidence: Evidence,
    task: str,
    vary: str,
    systems: tuple[System, ...],
    lines: Sequence[Line],
    power: Sequence[Power],
    *,
    metric: str = "token_accuracy",
    beyond: bool = False,
) -> Rule:
    """The first system's accuracy minus the second's at the largest trained value, or at the largest beyond training.

    Whether two are alike is judged where they differ most. A task without a name was not run with both. Where one fails
    its control, both are judged by their runs of ten times the budget.
    """
    alike = tuple(lines) == within(MARGIN)
    systems = evidence.trained_enough(task, *systems) if task else systems

    def measure() -> Finding:
        if not task:
            raise NotRun(label(systems[0]))
        axis = evidence.axis(task, vary, metric)
        ends = {system: axis.farthest(system) if beyond else axis.trained(system)[-1:] for system in systems}
        if alike:
            met = evidence.met_in_training(task, axis)
            ends = dict(zip(systems, ([point] for point in most_apart(axis, systems, met)), strict=True))
        evidence.require_mastered(task, *systems)
        first, second = (points[-1] for points in ends.values())
        powers = {
            LEAD: lead(first, second),
            ROOM_ABOVE: room_above(first, second),
            OVER_CHANCE: over_chance(axis, first, second),
            FAR: first.x / axis.trained(systems[0])[-1].x,
        }
        shown = ends if beyond else {s: (*points, *unseen(axis, s)) for s, points in ends.items()}
        return Finding(said(axis, shown), change(first, second), power=[powers[each] for each in power])

    where = "the largest value beyond training" if beyond else "the largest trained value"
    where = "the trained value where they differ most" if alike else where
    first, second = map(label, systems)
    return Rule(
        f"{name_of(metric, '')} of the {first} minus that of the {second} at {where}",
        lines,
        measure,
        power,
        note=JUDGED,
    )


def parity_beyond(evidence: Evidence, transformer: System) -> Rule:
    (enough,) = evidence.trained_enough("parity", transformer)
    ahead = compared(evidence, "parity", "", (LSTM, enough), AHEAD, [FAR], beyond=True)

    def measure() -> Finding:
        found = ahead.measure()
        lstm = over_seeds(evidence.axis("parity").farthest(LSTM)[1])
        return found._replace(intervals=[found.effect, lstm])

    lines = [Line("the difference", ABOVE, MARGIN), Line("the accuracy of the LSTM", ABOVE, HELD)]
    return replace(ahead, lines=lines, measure=measure)


def nobody_copies_far(evidence: Evidence) -> Rule:
    def measure() -> Finding:
        axis, tokens = evidence.axis("copy", metric="exact_match"), evidence.axis("copy")
        bases = list(axis.bases.curves)
        if not bases:
            raise NotRun("no base model on copy")
        mastered = [system for system in axis.curves if evidence.mastered("copy", system)]
        if not mastered:
            evidence.require_mastered("copy", *bases)
        ends = {system: axis.farthest(system) for system in mastered}
        best = max(ends, key=lambda system: ends[system][1].value)
        value, low, _ = over_seeds(ends[best][1])
        effect = Interval(value, low, max(over_seeds(beyond).high for _, beyond in ends.values()))
        if COPIED.met(effect):
            evidence.require_mastered("copy", *bases)
        right = max(tokens.farthest(system)[1].value for system in mastered)
        reason = (
            f"best of {len(ends)} models: {evidence.named('copy', best)}, {decimal(effect.value, 3)} "
            f"{at(axis.vary, ends[best][1].x)}; at most {decimal(right, 3)} of the tokens are right"
        )
        far = min(beyond.x / last.x for last, beyond in ends.values())
        return Finding(reason, effect, power=[far, max(last.value for last, _ in ends.values())])

    effect = "exact match of the best model at the largest length; its upper end is the highest of any model's seeds"
    note = f"{JUDGED}. One model that has mastered the control is enough to contradict it"
    return Rule(effect, [COPIED], measure, [FAR, INSIDE], note=note)


def close_in_translation(evidence: Evidence, task: str) -> Rule:
    """`task` is empty where no translations were scored."""

    def measure() -> Finding:
        if not task:
            raise NotRun("no contrastive scoring of translations")
        axis = evidence.axis(task, "distance", "contrastive_accuracy")
        far = {s: [p for p in axis.curve(s) if p.x > 0] for s in (TRANSFORMER, ATTENTION)}
        if not all(far.values()):
            raise NotRun(f"no pair of {task} with words in between")
        transformer, attention = (together(points) for points in far.values())
        reason = "; ".join(f"{label(s)}: {decimal(together(far[s]).value, 3)}" for s in far)
        values = (transformer.value, attention.value)
        chance = sum(p.n * axis.chance_at(p.x) for p in far[TRANSFORMER]) / transformer.n
        power = [lead(transformer, attention), max(values) - chance]
        return Finding(f"{reason}; {whole(transformer.n)} pairs", change(transformer, attention), power=power)

    effect = (
        "accuracy of the Transformer minus that of the LSTM + attention over all pairs with words between subject and "
        "verb"
    )
    return Rule(effect, within(MARGIN), measure, [LEAD, OVER_CHANCE], note="Translation has no control")


def unseen(axis: Axis, system: System) -> Sequence[Point]:
    """The largest value beyond training, if there is one."""
    return [point for point in axis.curve(system)[-1:] if point.trained is False]


def most_apart(axis: Axis, systems: tuple[System, ...], met: Collection[float]) -> tuple[Point, Point]:
    """The points of two systems at the value `met` in training where they differ most; of equal ones at the weakest."""
    first, second = systems
    other = {point.x: point for point in axis.trained(second) if point.x in met}
    pairs = [(point, other[point.x]) for point in axis.trained(first) if point.x in other]
    if not pairs:
        raise NotRun(f"{label(first)} and {label(second)} at the same {quantity(axis.vary)}")
    return max(pairs, key=lambda pair: (abs(pair[0].value - pair[1].value), -pair[0].value))


def over_chance(axis: Axis, *points: Point) -> float:
    """By how much the best of several points at one x exceeds chance."""
    return max(point.value for point in points) - axis.chance_at(points[0].x)


def lead(*points: Point) -> float:
    """The least by which a model without a fault would lead the weaker of these."""
    weaker = min(points, key=lambda point: point.value)
    return difference(wilson(1, weaker.n), weaker.interval).low


def room_above(first: Point, second: Point) -> float:
    """The least by which a perfect model would lead the second; over the first, where that surely is behind it."""
    return lead(first if change(first, second).high < 0 else second)


def together(points: Sequence[Point]) -> Point:
    """The share of all examples of several points."""
    n = sum(point.n for point in points)
    seeds = {seed: sum(p.n * p.seeds[seed] for p in points) / n for seed in points[0].seeds}
    return Point(0, pooled(seeds.values(), [], n), seeds, n)
