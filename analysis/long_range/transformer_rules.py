"""The rules of the claims about the parts of the Transformer: what each is for, and how far its positions reach."""

import re
from typing import NamedTuple

from analysis.claims.verdict import ABOVE, TRANSFORMER, Finding, NotRun, Power, Rule, Undecided, above, below, exact
from analysis.long_range.axes import by_seed, random_scores, rows_of, systems_of, tasks_of
from analysis.long_range.evidence import Evidence
from analysis.long_range.rules import JUDGED, MARGIN, OVER_CHANCE, SEPARATES, change, loss, over_chance, said
from analysis.long_range.wording import at
from analysis.page.labels import decimal, listing
from analysis.statistics.intervals import Interval, spread
from analysis.store import System

HEAD_SIZE = 64  # Vaswani et al. 2017
SHUFFLED = "permutation_difference"
EQUAL = 1e-5  # probabilities that differ by less differ by rounding
APART = Power("the accuracy of the best Transformer of that size there minus that of the worst", ABOVE, MARGIN)


def shuffling(evidence: Evidence) -> Rule:
    """Without positions the encoder treats its source as a set."""

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
        return Finding(reason, without)

    effect = (
        "largest change of an output probability when the source is shuffled, without position encodings, over all "
        "seeds of all tasks run with and without them"
    )
    return Rule(effect, below(EQUAL), measure, fact=True)


def saturation(evidence: Evidence) -> Rule:
    """A single value: it depends on no training and no test example."""

    def measure() -> Finding:
        curves = random_scores(evidence.store, "score_entropy")
        at_size = {which: point.value for which, curve in curves.items() for point in curve if point.x == HEAD_SIZE}
        if len(at_size) < 2:
            raise NotRun(f"no score entropy with and without scaling at head size {HEAD_SIZE}")
        scaled, unscaled = at_size["scaled"], at_size["unscaled"]
        reason = f"{decimal(unscaled, 2)} nats without scaling against {decimal(scaled, 2)} with it at d = {HEAD_SIZE}"
        return Finding(reason, *exact(unscaled / scaled))

    effect = (
        f"entropy of a softmax over scores of random queries and keys at head size {HEAD_SIZE} without scaling, over "
        "that with it"
    )
    note = "Nothing is learned here; the gradient shown next to it is not judged"
    return Rule(effect, below(1), measure, note=note, fact=True)


def part_matters(evidence: Evidence, task: str, without: System | None, group: str) -> Rule:
    """What is learned with a part against what is learned without it; `without` is None if not run."""

    def measure() -> Finding:
        if without is None:
            raise NotRun(f"no Transformer without it (ablation of {group})")
        axis, systems = evidence.axis(task), systems_of(evidence.store, task)
        own_size = size(evidence, task, without)
        of_its_size = [s for s in systems if s.model == without.model and size(evidence, task, s) == own_size]
        wanted = [*counterparts(without), *({TRANSFORMER} & {*of_its_size})]
        complete = next((system for system in wanted if system in systems), None)
        if complete is None:
            raise NotRun(f"no Transformer of the same size with it on {task}")
        evidence.require_mastered(task, complete)
        evidence.require_own_trials(task, complete, without)
        having, lacking = axis.trained(complete)[-1], axis.trained(without)[-1]
        rivals = [s for s in axis.curves if s in of_its_size and evidence.judged(task, s)]
        everyone = [axis.trained(s)[-1].value for s in {*rivals, without}]
        reason = said(axis, {complete: (having,), without: (lacking,)})
        return Finding(reason, change(having, lacking), power=[max(everyone) - min(everyone)])

    effect = "accuracy with it minus accuracy without it at the largest trained value, after the same training"
    note = (
        "The model without it may be under-trained if it was tuned with as many trials of its own: that is the effect"
    )
    return Rule(effect, above(MARGIN), measure, [APART], note=note)


def size(evidence: Evidence, task: str, system: System) -> float | None:
    """Its number of parameters, if recorded: the same at any depth and width that are the same."""
    rows = rows_of(evidence.store, task, "parameters", system)
    return float(rows["value"].iloc[0]) if len(rows) else None


def counterparts(without: System) -> list[System]:
    """Names under which the same Transformer with the part may have been run: scaled-d64 or d64 for unscaled-d64."""
    with_part = re.sub(r"^(un|no-)", "", without.variant)
    bare = re.sub(r"^(scaled|residual)-", "", with_part)
    heads = re.sub(r"^heads1-", "heads4-", without.variant)
    return [System(without.model, variant) for variant in (with_part, bare, heads) if variant != without.variant]


class Beyond(NamedTuple):
    """What the Transformer with an encoding loses beyond training by task, and what `anyone` loses there.

    `failed` are tasks that it may yet learn, `missing` those it was not run on.
    """

    own: dict[str, Interval]
    anyone: list[float]
    reasons: list[str]
    failed: list[str]
    missing: list[str]

    @property
    def worst(self) -> str:
        """The task where it loses most."""
        return max(self.own, key=lambda task: self.own[task].value, default="")


def beyond(evidence: Evidence, encoding: str) -> Beyond:
    """Over all tasks that compare encodings; an under-trained Transformer is replaced by its tenfold run."""
    found = Beyond({}, [], [], [], [])
    for task in tasks_of(evidence.store):
        base, axis = evidence.by_encoding(task).get(encoding), evidence.beyond(task)
        if axis is None or not evidence.by_encoding(task):
            continue
        if base is None or base not in axis.curves:
            found.missing.append(task)
            continue
        (system,) = evidence.trained_enough(task, base)
        ends = {s: axis.farthest(s) for s in axis.curves if evidence.mastered(task, s)}
        if system in ends:
            found.own[task] = loss(*ends[system])
            found.anyone.extend(loss(*pair).value for pair in ends.values())
            longer = "" if system == base else " after ten times the budget"
            found.reasons.append(f"{task}{longer}: {said(axis, {system: ends[system]}).partition(': ')[2]}")
        elif not evidence.unable(task, base):
            found.failed.append(task)
    return found


def fails_beyond(evidence: Evidence, encoding: str) -> Rule:
    """What the Transformer with an encoding loses beyond training on the task where it loses most."""

    def measure() -> Finding:
        found = beyond(evidence, encoding)
        if not found.own:
            raise NotRun(f"no Transformer with {encoding or 'recorded'} positions that learned a task measured beyond")
        most = Interval(*map(max, zip(*found.own.values(), strict=True)))  # no task loses more than this
        if (found.failed or found.missing) and most.low <= MARGIN:
            why = {"under-trained on": found.failed, "not measured beyond training on": found.missing}
            parts = [f"{what} {listing(tasks)}" for what, tasks in why.items() if tasks]
            change = f"Training on {listing(found.failed + found.missing)} until the control is learned."
            raise Undecided(f"{'; '.join(found.reasons)}; {' and '.join(parts)}, where it may lose more", change)
        return Finding("; ".join(found.reasons), most, power=[max(found.anyone)])

    effect = (
        "accuracy at the largest trained value minus accuracy at the largest value beyond it, on the task where it "
        "loses most of all tasks that were learned and measured beyond training"
    )
    note = "Without a loss it is decided only if every task that compares encodings beyond training has this one"
    return Rule(effect, above(MARGIN), measure, [SEPARATES], note=note)


def relative_goes_further(evidence: Evidence, task: str, pair: tuple[System, ...]) -> Rule:
    """`task` and `pair` are empty where none was run with both kinds of positions and beyond training."""

    def measure() -> Finding:
        axis = evidence.beyond(task) if task else None
        if axis is None:
            raise NotRun("no Transformer with relative and with absolute positions beyond training")
        systems = evidence.trained_enough(task, *pair)
        evidence.require_mastered(task, *systems)
        ends = {system: axis.farthest(system) for system in systems}
        relative, absolute = (far for _, far in ends.values())
        power = [max(loss(*each).value for each in ends.values()), over_chance(axis, relative, absolute)]
        reason = "; ".join(
            f"{evidence.named(task, s)}: {decimal(far.value, 3)} {at(axis.vary, far.x)}" for s, (_, far) in ends.items()
        )
        return Finding(reason, change(relative, absolute), power=power)

    effect = "accuracy with relative positions minus accuracy with absolute ones at the largest value beyond training"
    return Rule(effect, above(MARGIN), measure, [SEPARATES, OVER_CHANCE], note=JUDGED)
