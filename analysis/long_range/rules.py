"""The decision rules of the claims about memory: each makes a judge that looks at the evidence."""

import math
import re
from collections.abc import Callable

from analysis.claims.evidence import (
    ABOVE,
    ATTENTION,
    BELOW,
    CONTRADICTED,
    LSTM,
    MARGIN,
    NOT_DECIDED,
    SUPPORTED,
    TRANSFORMER,
    Condition,
    Evidence,
    NotRun,
    Verdict,
    above,
    below,
    change,
    decided,
    loss,
    within,
)
from analysis.long_range.axes import HELD, Axis, Point, by_seed, of_system, rows_of, tasks_of
from analysis.long_range.axis_words import at
from analysis.page.labels import decimal, label, listing, whole
from analysis.statistics.intervals import Interval, difference, spread
from analysis.store import System

Judge = Callable[[Evidence], Verdict]
ROUNDING, VISIBLE = 0.001, 0.01  # changes of a probability
FADED, KEPT = 0.01, 0.1  # gradient norm relative to that of the last source token
FAR_BACK = 32  # tokens; over a few of them no gradient has had the distance to fade
COPIED = 0.5  # exact match above which a model is said to copy
SATURATED, EVEN = 0.5, 0.9  # entropy without scaling relative to that with it
HEAD_SIZE = 64  # Vaswani et al. 2017
FAR = 1.5  # times the longest trained length


def not_run(what: str) -> Judge:
    def judge(evidence: Evidence) -> Verdict:
        raise NotRun(what)

    return judge


def said(axis: Axis, system: System, *points: Point) -> str:
    values = [f"{decimal(point.value, 3)} {at(axis.vary, point.x)}" for point in points]
    return f"{label(system)}: {', '.join(values)}"


def loses_with_gap(system: System) -> Judge:
    return over_gap(system, above)


def keeps_over_gap(system: System) -> Judge:
    return over_gap(system, below)


def over_gap(system: System, decide: Callable[[Interval, float, str], Verdict]) -> Judge:
    """What a system loses from the smallest to the largest gap of training, put to `decide`."""

    def judge(evidence: Evidence) -> Verdict:
        axis = evidence.axis("recall", "gap")
        near, far = evidence.ends(axis, system)
        evidence.require_mastered("recall", system)
        return decide(loss(near, far), MARGIN, said(axis, system, near, far))

    return judge


def loses_beyond(system: System) -> Judge:
    def judge(evidence: Evidence) -> Verdict:
        axis = evidence.axis("recall", "gap")
        last, beyond = evidence.farthest(axis, system)
        evidence.require_mastered("recall", system)
        return above(loss(last, beyond), MARGIN, said(axis, system, last, beyond))

    return judge


def gradient_fades(system: System) -> Judge:
    def judge(evidence: Evidence) -> Verdict:
        rows = of_system(rows_of(evidence.store, "recall", "gradient_reach"), system)
        rows = rows[rows["x_name"] == "distance, at initialisation"]
        if not len(rows):
            raise NotRun(f"no gradient reach of the {label(system)} on recall")
        nearest, farthest = min(rows["x"]), max(rows["x"])
        near, far = by_seed(rows[rows["x"] == nearest]), by_seed(rows[rows["x"] == farthest])
        effect = spread([far[seed] / near[seed] for seed in far])
        reason = f"gradient at distance {farthest:g} relative to distance {nearest:g}: {effect.value:.2g}"
        if farthest < FAR_BACK:
            short = f"{reason}; not measured as far as {FAR_BACK} tokens"
            return Verdict(NOT_DECIDED, short, effect, needed=f"Sources of at least {FAR_BACK} tokens.")
        return decided(reason, effect, Condition("the relative gradient", effect, BELOW, FADED, KEPT))

    return judge


def one_vector(task: str) -> Judge:
    def judge(evidence: Evidence) -> Verdict:
        axis = evidence.axis(task)
        lstm, attention = evidence.ends(axis, LSTM), evidence.ends(axis, ATTENTION)
        evidence.require_mastered(task, LSTM, ATTENTION)
        reason = f"{said(axis, LSTM, *lstm)}; {said(axis, ATTENTION, *attention)}"
        effect = difference(loss(*lstm), loss(*attention))
        verdict = above(effect, MARGIN, reason)
        if verdict.outcome == SUPPORTED:
            return evidence.if_settled(verdict, task, LSTM, effect.low - MARGIN)
        return verdict

    return judge


def attention_fixes(task: str) -> Judge:
    def judge(evidence: Evidence) -> Verdict:
        axis = evidence.axis(task)
        lstm, fixed = evidence.trained(axis, LSTM)[-1], evidence.trained(axis, ATTENTION)[-1]
        evidence.require_mastered(task, LSTM, ATTENTION)
        reason = f"{said(axis, LSTM, lstm)}; {said(axis, ATTENTION, fixed)}"
        broken = over_seeds(lstm)
        if not broken.high < HELD:
            whole_reason = f"nothing to fix, the LSTM is not surely below {HELD} there: {reason}"
            return Verdict(NOT_DECIDED, whole_reason, needed=f"A setting where the LSTM alone lies below {HELD}.")
        verdict = above(over_seeds(fixed), HELD, reason)
        if verdict.outcome == CONTRADICTED:
            return evidence.if_settled(verdict, task, ATTENTION, HELD - over_seeds(fixed).high)
        return verdict

    return judge


def over_seeds(point: Point) -> Interval:
    """The interval of an accuracy, widened until it holds every seed."""
    return Interval(
        point.value, min(point.interval.low, *point.seeds.values()), max(point.interval.high, *point.seeds.values())
    )


def shuffling(evidence: Evidence) -> Verdict:
    changes: dict[str, list[float]] = {"none": [], "base": []}
    for task in tasks_of(evidence.store):  # a pair for each task: to some, such as parity, order does not matter at all
        rows = rows_of(evidence.store, task, "permutation_difference")
        found = {variant: by_seed(of_system(rows, System("transformer", variant))).values() for variant in changes}
        if all(found.values()):
            for variant, values in found.items():
                changes[variant] += values
    without, with_positions = changes["none"], changes["base"]
    if not without or not with_positions:
        which = listing([f"with variant {name}" for name, values in changes.items() if not values])
        raise NotRun(f"no source was shuffled for a Transformer {which}")
    effect = spread(without)
    reason = f"largest change without positions {max(without):.2g}, with positions at least {min(with_positions):.2g}"
    return decided(
        reason,
        effect,
        Condition("the change without positions", effect, BELOW, ROUNDING, VISIBLE),
        Condition("the change with positions", spread(with_positions), ABOVE, VISIBLE, math.nan),
    )


def saturation(evidence: Evidence) -> Verdict:
    """A single value without an interval: it depends on no training and no test example."""
    scaled, unscaled = evidence.random_scores("score_entropy", HEAD_SIZE)
    ratio = unscaled / scaled
    reason = f"{decimal(unscaled, 2)} nats without scaling against {decimal(scaled, 2)} with it at d = {HEAD_SIZE}"
    condition = Condition("the ratio", Interval(ratio, ratio, ratio), BELOW, SATURATED, EVEN)
    return decided(reason, Interval(ratio, math.nan, math.nan), condition)


def part_matters(task: str, without: System, strict: bool) -> Judge:
    """With a part against without it; `strict` if both must have mastered the control."""

    def judge(evidence: Evidence) -> Verdict:
        axis = evidence.axis(task)
        systems = evidence.variants(task, without.model)
        complete = next((s for s in counterparts(without) if s in systems), TRANSFORMER)
        evidence.require_mastered(task, *([complete, without] if strict else [complete]))
        having, lacking = (evidence.trained(axis, system)[-1] for system in (complete, without))
        reason = f"{said(axis, complete, having)}; {said(axis, without, lacking)}"
        return above(change(having, lacking), MARGIN, reason)

    return judge


def counterparts(without: System) -> list[System]:
    """Names under which the same Transformer with the part may have been run: scaled-d64 or d64 for unscaled-d64."""
    with_part = re.sub(r"^(un|no-)", "", without.variant)
    bare = re.sub(r"^(scaled|residual)-", "", with_part)
    return [System(without.model, variant) for variant in (with_part, bare) if variant != without.variant]


def parity_beyond(evidence: Evidence) -> Verdict:
    axis = evidence.axis("parity")
    pair = [evidence.farthest(axis, system)[1] for system in (LSTM, TRANSFORMER)]
    evidence.require_mastered("parity", LSTM, TRANSFORMER)
    reason = f"{said(axis, LSTM, pair[0])}; {said(axis, TRANSFORMER, pair[1])}"
    ahead = change(*pair)
    return decided(
        reason,
        ahead,
        Condition("the difference", ahead, ABOVE, MARGIN),
        Condition("the accuracy of the LSTM", over_seeds(pair[0]), ABOVE, HELD),
    )


def nobody_copies_far(evidence: Evidence) -> Verdict:
    axis = evidence.axis("copy", metric="exact_match")
    systems = [system for system in axis.curves if system.variant == "base"]
    mastered = [system for system in systems if evidence.can("copy", system)]
    if not mastered:
        evidence.require_mastered("copy", *systems)
    far = {system: evidence.farthest(axis, system, times=FAR)[1] for system in mastered}
    best = max(far, key=lambda system: far[system].value)
    verdict = below(over_seeds(far[best]), COPIED, f"best of {len(far)} models: {said(axis, best, far[best])}")
    if verdict.outcome == SUPPORTED:
        evidence.require_mastered("copy", *systems)
    return verdict


def close_on_agreement(evidence: Evidence) -> Verdict:
    axis = evidence.axis("agreement", "distance")
    transformer, lstm = (evidence.trained(axis, system)[-1] for system in (TRANSFORMER, LSTM))
    evidence.require_mastered("agreement", TRANSFORMER, LSTM)
    reason = f"{said(axis, TRANSFORMER, transformer)}; {said(axis, LSTM, lstm)}"
    return within(change(transformer, lstm), MARGIN, reason)


def close_in_translation(task: str) -> Judge:
    def judge(evidence: Evidence) -> Verdict:
        over_all = evidence.overall(task)
        missing = [label(system) for system in (TRANSFORMER, ATTENTION) if system not in over_all]
        if missing:
            raise NotRun(f"{listing(missing)} on {task}")
        transformer, attention = over_all[TRANSFORMER], over_all[ATTENTION]
        reason = "; ".join(f"{label(s)}: {decimal(over_all[s].value, 3)}" for s in (TRANSFORMER, ATTENTION))
        return within(change(transformer, attention), MARGIN, f"{reason}; {whole(transformer.n)} pairs")

    return judge
