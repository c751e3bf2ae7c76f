"""The rules of the claims about long range: what each measures, its lines, and what it needs to show either outcome."""

import math
import re
from collections.abc import Mapping

from analysis.claims.verdict import (
    ABOVE,
    AT_LEAST,
    ATTENTION,
    BELOW,
    CONTRADICTED,
    INTERVAL,
    LSTM,
    SUPPORTED,
    TRANSFORMER,
    Finding,
    Learning,
    Line,
    NotRun,
    Power,
    Rule,
    StillLearning,
    within,
)
from analysis.long_range.evidence import (
    EXPERIMENT,
    HELD,
    Axis,
    Evidence,
    Point,
    by_seed,
    over_all,
    random_scores,
    rows_of,
    systems_of,
    tasks_of,
)
from analysis.long_range.wording import at
from analysis.page.labels import decimal, label, listing, whole
from analysis.statistics.intervals import Interval, any_two_seeds, difference, spread
from analysis.store import System
from experiments.record.metrics import MASTERED

MARGIN = 0.05  # a difference in accuracy that matters
ROUNDING, VISIBLE = 0.001, 0.01  # changes of a probability
FADED, KEPT = 0.01, 0.1  # gradient norm relative to that of the last source token
COPIED = Line(INTERVAL, BELOW, 0.5)  # exact match above which a model is said to copy
SATURATED, EVEN = 0.5, 0.9  # entropy without scaling relative to that with it
HEAD_SIZE = 64  # Vaswani et al. 2017
SHUFFLED = "permutation_difference"
INITIAL = "distance, at initialisation"  # the axis of gradients before training

CONTROL = Power("the control accuracy of every model compared", AT_LEAST, MASTERED)
FAR_BACK = Power("the distance measured", AT_LEAST, 32, "tokens")  # over a few tokens no gradient has faded
BROKEN = Power("the accuracy of the LSTM there", BELOW, HELD)
FAR = Power("the largest length over the largest trained length", AT_LEAST, 1.5)
VALIDATED = Learning(EXPERIMENT, "val/token_accuracy", 3)


def said(axis: Axis, points: Mapping[System, tuple[Point, ...]]) -> str:
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


def over_seeds(point: Point) -> Interval:
    """The interval of an accuracy, widened until it holds every seed."""
    value, low, high = point.interval
    return Interval(value, min(low, *point.seeds.values()), max(high, *point.seeds.values()))


def over_gap(evidence: Evidence, system: System, side: str, *, beyond: bool = False) -> Rule:
    """What a system loses from the smallest to the largest gap of training, or from there to the largest `beyond`."""

    def measure() -> Finding:
        axis = evidence.axis("recall", "gap")
        ends = axis.farthest(system) if beyond else axis.ends(system)
        evidence.require_mastered("recall", system)
        return Finding(said(axis, {system: ends}), loss(*ends))

    inside = "accuracy at the smallest gap minus accuracy at the largest gap of training"
    effect = "accuracy at the largest gap of training minus accuracy at the largest gap beyond it" if beyond else inside
    return Rule(effect, [Line(INTERVAL, side, MARGIN)], measure, [CONTROL])


def gradient_fades(evidence: Evidence, system: System) -> Rule:
    def measure() -> Finding:
        rows = rows_of(evidence.store, "recall", "gradient_reach", system, x_name=INITIAL)
        if not len(rows):
            raise NotRun(f"no gradient reach of the {label(system)} on recall")
        nearest, farthest = min(rows["x"]), max(rows["x"])
        near, far = by_seed(rows[rows["x"] == nearest]), by_seed(rows[rows["x"] == farthest])
        effect = spread([far[seed] / near[seed] for seed in far])
        reason = f"gradient at distance {farthest:g} relative to distance {nearest:g}: {effect.value:.2g}"
        FAR_BACK.require(farthest, reason, effect)
        return Finding(reason, effect)

    effect = "gradient norm at the farthest source token relative to the last one, before training, over all seeds"
    return Rule(effect, [Line("the relative gradient", BELOW, FADED, KEPT)], measure, [FAR_BACK])


def one_vector(evidence: Evidence, task: str) -> Rule:
    def measure() -> Finding:
        axis = evidence.axis(task)
        lstm, attention = axis.ends(LSTM), axis.ends(ATTENTION)
        evidence.require_mastered(task, LSTM, ATTENTION)
        return Finding(said(axis, {LSTM: lstm, ATTENTION: attention}), difference(loss(*lstm), loss(*attention)))

    effect = (
        "what the LSTM loses from the smallest to the largest trained value minus what the LSTM + attention loses, in "
        "accuracy"
    )
    learning = StillLearning(evidence.store, task, VALIDATED, {SUPPORTED: LSTM})
    return Rule(effect, [Line(INTERVAL, ABOVE, MARGIN)], measure, [CONTROL], learning)


def attention_fixes(evidence: Evidence, task: str) -> Rule:
    def measure() -> Finding:
        axis = evidence.axis(task)
        lstm, fixed = axis.trained(LSTM)[-1], axis.trained(ATTENTION)[-1]
        evidence.require_mastered(task, LSTM, ATTENTION)
        reason = said(axis, {LSTM: (lstm,), ATTENTION: (fixed,)})
        BROKEN.require(over_seeds(lstm).high, reason)
        return Finding(reason, over_seeds(fixed))

    effect = "accuracy of the LSTM + attention at the largest trained value"
    learning = StillLearning(evidence.store, task, VALIDATED, {CONTRADICTED: ATTENTION})
    return Rule(effect, [Line(INTERVAL, ABOVE, HELD)], measure, [CONTROL, BROKEN], learning)


def shuffling(evidence: Evidence) -> Rule:
    def measure() -> Finding:
        changes: dict[str, list[float]] = {"none": [], "base": []}
        for task in tasks_of(evidence.store):  # pairs only: to some tasks, such as parity, order does not matter at all
            rows = {v: rows_of(evidence.store, task, SHUFFLED, System("transformer", v)) for v in changes}
            if all(map(len, rows.values())):
                for variant, found in rows.items():
                    changes[variant] += by_seed(found).values()
        missing = [f"with variant {name}" for name, values in changes.items() if not values]
        if missing:
            raise NotRun(f"no source was shuffled for a Transformer {listing(missing)}")
        without, kept = spread(changes["none"]), spread(changes["base"])
        reason = f"largest change without positions {without.high:.2g}, with positions at least {kept.low:.2g}"
        return Finding(reason, without, [without, kept])

    effect = (
        "largest change of an output probability when the source is shuffled, without position encodings, over all "
        "seeds of all tasks run with and without them"
    )
    lines = [
        Line("the change without positions", BELOW, ROUNDING, VISIBLE),
        Line("the change with positions", ABOVE, VISIBLE, math.nan),
    ]
    return Rule(effect, lines, measure)


def saturation(evidence: Evidence) -> Rule:
    """A single value without an interval: it depends on no training and no test example."""

    def measure() -> Finding:
        curves = random_scores(evidence.store, "score_entropy")
        at_size = {which: point.value for which, curve in curves.items() for point in curve if point.x == HEAD_SIZE}
        if len(at_size) < 2:
            raise NotRun(f"no score entropy with and without scaling at head size {HEAD_SIZE}")
        scaled, unscaled = at_size["scaled"], at_size["unscaled"]
        ratio = unscaled / scaled
        reason = f"{decimal(unscaled, 2)} nats without scaling against {decimal(scaled, 2)} with it at d = {HEAD_SIZE}"
        return Finding(reason, Interval(ratio, math.nan, math.nan), [Interval(ratio, ratio, ratio)])

    effect = (
        f"entropy of a softmax over scores of random queries and keys at head size {HEAD_SIZE} without scaling, over "
        "that with it"
    )
    note = "Nothing is learned here; the gradient shown next to it is not judged"
    return Rule(effect, [Line("the ratio", BELOW, SATURATED, EVEN)], measure, note=note)


def part_matters(evidence: Evidence, task: str, without: System | None, group: str, *, both: bool) -> Rule:
    """With a part against without it; `both` if both must have mastered the control. `without` is None if not run."""

    def measure() -> Finding:
        if without is None:
            raise NotRun(f"no Transformer without it (ablation of {group})")
        axis, systems = evidence.axis(task), systems_of(evidence.store, task)
        complete = next((system for system in counterparts(without) if system in systems), TRANSFORMER)
        evidence.require_mastered(task, *([complete, without] if both else [complete]))
        having, lacking = axis.trained(complete)[-1], axis.trained(without)[-1]
        return Finding(said(axis, {complete: (having,), without: (lacking,)}), change(having, lacking))

    effect = "accuracy with it minus accuracy without it at the largest trained value"
    power = CONTROL if both else CONTROL._replace(what="the control accuracy with it")
    note = "" if both else "Failing the control without it is what the claim says"
    return Rule(effect, [Line(INTERVAL, ABOVE, MARGIN)], measure, [power], note=note)


def counterparts(without: System) -> list[System]:
    """Names under which the same Transformer with the part may have been run: scaled-d64 or d64 for unscaled-d64."""
    with_part = re.sub(r"^(un|no-)", "", without.variant)
    bare = re.sub(r"^(scaled|residual)-", "", with_part)
    return [System(without.model, variant) for variant in (with_part, bare) if variant != without.variant]


def parity_beyond(evidence: Evidence) -> Rule:
    def measure() -> Finding:
        axis = evidence.axis("parity")
        lstm, transformer = (axis.farthest(system)[1] for system in (LSTM, TRANSFORMER))
        evidence.require_mastered("parity", LSTM, TRANSFORMER)
        ahead = change(lstm, transformer)
        reason = said(axis, {LSTM: (lstm,), TRANSFORMER: (transformer,)})
        return Finding(reason, ahead, [ahead, over_seeds(lstm)])

    effect = "the LSTM's accuracy minus the Transformer's at the largest length beyond training"
    lines = [Line("the difference", ABOVE, MARGIN), Line("the accuracy of the LSTM", ABOVE, HELD)]
    return Rule(effect, lines, measure, [CONTROL])


def nobody_copies_far(evidence: Evidence) -> Rule:
    def measure() -> Finding:
        axis = evidence.axis("copy", metric="exact_match")
        systems = list(axis.bases.curves)
        if not systems:
            raise NotRun("no base model on copy")
        mastered = [system for system in systems if evidence.mastered("copy", system)]
        if not mastered:
            evidence.require_mastered("copy", *systems)
        far = {system: axis.farthest(system, times=FAR.at)[1] for system in mastered}
        best = max(far, key=lambda system: far[system].value)
        effect = over_seeds(far[best])
        if COPIED.met(effect):
            evidence.require_mastered("copy", *systems)
        return Finding(f"best of {len(far)} models: {said(axis, {best: (far[best],)})}", effect)

    effect = "exact match of the best model at the largest length"
    note = "One model that has mastered the control is enough to contradict it"
    return Rule(effect, [COPIED], measure, [FAR, CONTROL], note=note)


def close_on_agreement(evidence: Evidence) -> Rule:
    def measure() -> Finding:
        axis = evidence.axis("agreement", "distance")
        transformer, lstm = (axis.trained(system)[-1] for system in (TRANSFORMER, LSTM))
        evidence.require_mastered("agreement", TRANSFORMER, LSTM)
        return Finding(said(axis, {TRANSFORMER: (transformer,), LSTM: (lstm,)}), change(transformer, lstm))

    effect = "accuracy of the Transformer minus that of the LSTM at the largest trained distance"
    return Rule(effect, within(MARGIN), measure, [CONTROL])


def close_in_translation(evidence: Evidence, task: str) -> Rule:
    """`task` is empty where no translations were scored."""

    def measure() -> Finding:
        if not task:
            raise NotRun("no contrastive scoring of translations")
        found = over_all(evidence.store, task)
        missing = [label(system) for system in (TRANSFORMER, ATTENTION) if system not in found]
        if missing:
            raise NotRun(f"{listing(missing)} on {task}")
        transformer, attention = found[TRANSFORMER], found[ATTENTION]
        reason = "; ".join(f"{label(s)}: {decimal(found[s].value, 3)}" for s in (TRANSFORMER, ATTENTION))
        return Finding(f"{reason}; {whole(transformer.n)} pairs", change(transformer, attention))

    effect = "accuracy of the Transformer minus that of the LSTM + attention over all pairs"
    return Rule(effect, within(MARGIN), measure, note="Translation has no control")
