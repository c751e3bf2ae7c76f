"""What it takes to decide a claim: evidence from the run store, rules with fixed margins, verdicts."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

from analysis.long_range.axes import (
    EXPERIMENT,
    MASTERED,
    Axis,
    Control,
    Point,
    axes,
    by_seed,
    controls,
    main_axis,
    of_system,
    random_scores,
    rows_of,
    systems_of,
)
from analysis.long_range.axis_words import quantity
from analysis.page.labels import decimal, label, listing
from analysis.speed.quality import TRANSLATION, Quality, qualities
from analysis.speed.runs import Speed, measured
from analysis.statistics.intervals import Interval, difference, pooled
from analysis.store import Store, System

SUPPORTED, CONTRADICTED, NOT_DECIDED = "supported", "contradicted", "not decided"
ABOVE, BELOW = "above", "below"
MARGIN = 0.05  # a difference in accuracy that matters
LSTM, ATTENTION, TRANSFORMER, RNN = (System(m, "base") for m in ("lstm", "bahdanau", "transformer", "rnn"))


class Condition(NamedTuple):
    """What a rule asks of a quantity: that its whole interval lies above, or below, a line.

    The claim is contradicted if the interval lies on the other side of `opposite`, which is the same line unless said
    otherwise; NaN where no value contradicts it.
    """

    what: str
    interval: Interval
    side: str
    line: float
    opposite: float | None = None

    @property
    def other_side(self) -> str:
        return BELOW if self.side == ABOVE else ABOVE

    @property
    def breaking(self) -> float:
        return self.line if self.opposite is None else self.opposite

    @property
    def met(self) -> bool:
        return self.interval.low > self.line if self.side == ABOVE else self.interval.high < self.line

    @property
    def broken(self) -> bool:
        return self.interval.high < self.breaking if self.side == ABOVE else self.interval.low > self.breaking

    @property
    def left_open(self) -> str:
        """Why it is neither met nor broken."""
        if math.isnan(self.interval.low):
            return f"{self.what} is unknown"
        if self.breaking == self.line:
            return f"{self.what} crosses {plain(self.line)}"
        nor = "" if math.isnan(self.breaking) else f" and not {self.other_side} {plain(self.breaking)}"
        return f"{self.what} is not {self.side} {plain(self.line)}{nor}"


@dataclass(frozen=True)
class Verdict:
    """The outcome, why in words, and the quantity that the rule looked at, where it could be computed.

    `conditions` are what the rule asked; where it could not ask, `needed` says what would decide the claim, and
    `tested` is False if that is because nothing was measured.
    """

    outcome: str
    reason: str
    effect: Interval | None = None
    conditions: Sequence[Condition] = ()
    needed: str = ""
    tested: bool = True


class Undecided(Exception):
    """There is no evidence on which a rule could decide: what is wrong, and what would decide the claim."""

    def __init__(self, reason: str, needed: str) -> None:
        super().__init__(reason)
        self.needed = needed


class NotRun(Undecided):
    """Nothing was measured that a rule could look at."""

    def __init__(self, what: str) -> None:
        super().__init__(f"not run: {what}", "Runs of what is missing; then the rule decides.")


class Learning(NamedTuple):
    """A quantity validated during training, by which one sees whether a model was still learning."""

    experiment: str
    metric: str
    digits: int


ACCURACY = Learning(EXPERIMENT, "val/token_accuracy", 3)
BLEU = Learning(TRANSLATION, "val/bleu", 1)


class Evidence:
    """What the finished runs measured, asked for by task, system and axis; raises Undecided where there is nothing."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.axes = cache(lambda task, metric: axes(store, task, metric))
        self.controls: Callable[[str], dict[System, Control]] = cache(lambda task: controls(store, task))

    @cached_property
    def speed(self) -> Speed:
        return measured(self.store)

    @cached_property
    def qualities(self) -> list[Quality]:
        return qualities(self.store, self.speed)

    def axis(self, task: str, vary: str = "", metric: str = "token_accuracy") -> Axis:
        """The axis of a task that varies `vary`; without such a name, or where none has it, its main one."""
        found: Sequence[Axis] = self.axes(task, metric)
        if not found:
            raise NotRun(f"no {metric.replace('_', ' ')} on {task}")
        return main_axis(found, vary)

    def curve(self, axis: Axis, system: System) -> Sequence[Point]:
        if system not in axis.curves:
            raise NotRun(f"{label(system)} on {axis.task}")
        return axis.curves[system]

    def trained(self, axis: Axis, system: System) -> Sequence[Point]:
        points = [point for point in self.curve(axis, system) if point.trained]
        if not points:
            reason = f"the trained range of {label(system)} on {axis.task} was not recorded"
            raise Undecided(reason, "Runs that record it.")
        return points

    def ends(self, axis: Axis, system: System) -> tuple[Point, Point]:
        """The smallest and the largest x of training."""
        points = self.trained(axis, system)
        if len(points) < 2:
            several = f"more than one trained {quantity(axis.vary)}, all else equal"
            raise NotRun(f"{label(system)} on {axis.task} at {several}")
        return points[0], points[-1]

    def farthest(self, axis: Axis, system: System, times: float = 1) -> tuple[Point, Point]:
        """The largest x of training and the largest beyond it, which must be more than `times` as large."""
        last = self.trained(axis, system)[-1]
        beyond = self.curve(axis, system)[-1]
        if beyond.trained is not False or beyond.x < times * last.x or beyond.x <= last.x:
            wanted = "beyond" if times == 1 else f"at {times:g} times"
            edge = f"the trained {quantity(axis.vary)} {last.x:g}"
            raise NotRun(f"{label(system)} on {axis.task} {wanted} {edge}")
        return last, beyond

    def overall(self, task: str) -> dict[System, Point]:
        """Contrastive accuracy over all pairs of a task, by system."""
        rows = rows_of(self.store, task, "contrastive_accuracy")
        rows = rows[rows["x_name"] == "all"]
        found = {}
        for system in systems_of(self.store, task):
            mine = of_system(rows, system)
            if len(mine):
                seeds, n = by_seed(mine), int(mine["n"].min())
                found[system] = Point(0, pooled(list(seeds.values()), [], n), seeds, n)
        return found

    def random_scores(self, metric: str, width: float) -> tuple[float, float]:
        """A measure of a softmax over random scores at one head size, with and without scaling."""
        curves = random_scores(self.store, metric)
        values = {which: {point.x: point.value for point in curve} for which, curve in curves.items()}
        scaled, unscaled = (values.get(which, {}).get(width) for which in ("scaled", "unscaled"))
        if scaled is None or unscaled is None:
            raise NotRun(f"no {metric.replace('_', ' ')} with and without scaling at head size {width:g}")
        return scaled, unscaled

    def require_mastered(self, task: str, *systems: System) -> None:
        """A model below 0.99 at the easiest setting was not trained enough for its failures to mean anything."""
        known = self.controls(task)
        without = [label(system) for system in systems if system not in known]
        if without:
            raise Undecided(f"no control recorded for {listing(without)} on {task}", "Runs that record a control.")
        weak = [system for system in systems if not self.can(task, system)]
        if weak:
            each = [f"{label(system)} (control {decimal(min(known[system].seeds.values()), 3)})" for system in weak]
            raise Undecided(
                f"under-trained on {task}: {listing(each)}, below {MASTERED} at the easiest setting",
                f"Training until every seed of {listing(list(map(label, weak)))} reaches {MASTERED} at the easiest "
                "setting.",
            )

    def if_settled(
        self, verdict: Verdict, task: str, system: System, missing: float, learning: Learning = ACCURACY
    ) -> Verdict:
        """The verdict, left open where the system that lacks something was still learning: it may yet gain it.

        If training went on as long again at the pace of its last fifth, the validated quantity would rise by five times
        what it gained there: the failure counts only if that is less than what is `missing`.
        """
        rising = self.gains(task, system, missing / 5, learning)
        if not rising:
            return verdict
        amount = decimal(missing, learning.digits)
        return Verdict(
            NOT_DECIDED,
            f"{verdict.reason}; still learning on {task} when the budget ended: {label(system)} ({listing(rising)})",
            verdict.effect,
            needed=f"A longer budget: {label(system)} is {amount} short of another verdict and may yet gain that.",
        )

    def gains(self, task: str, system: System, most: float, learning: Learning) -> list[str]:
        """In words, each seed whose validated quantity gained more than `most` in the last fifth of training."""
        found = []
        for run in self.store.finished(learning.experiment):
            if (run.task, run.system) == (task, system):
                history = self.store.history(run)
                curve = history[history["metric"] == learning.metric].sort_values("step")
                earlier = curve[curve["step"] <= 0.8 * curve["step"].max()]
                if len(earlier) and curve["value"].iloc[-1] - earlier["value"].iloc[-1] > most:
                    first, last = (decimal(part["value"].iloc[-1], learning.digits) for part in (earlier, curve))
                    found.append(f"seed {run.seed}: {first} to {last} on validation in the last fifth of its steps")
        return found

    def can(self, task: str, system: System) -> bool:
        known = self.controls(task)
        return system in known and known[system].mastered

    def variants(self, task: str, model: str) -> list[System]:
        return [system for system in systems_of(self.store, task) if system.model == model]


def change(first: Point, second: Point) -> Interval:
    """first − second with an interval over test examples, widened until it holds the difference of any two seeds."""
    return any_two_seeds(difference(first.interval, second.interval), first.seeds, second.seeds)


def any_two_seeds(apart: Interval, first: Mapping[int, float], second: Mapping[int, float]) -> Interval:
    """The interval of a difference, widened until it holds that of any seed of the one and any of the other."""
    pairs = [a - b for a in first.values() for b in second.values()]
    return Interval(apart.value, min(apart.low, *pairs), max(apart.high, *pairs))


def loss(first: Point, second: Point) -> Interval:
    """What one system loses from one x to another; seeds are compared with themselves."""
    apart = difference(first.interval, second.interval)
    same = [first.seeds[seed] - second.seeds[seed] for seed in first.seeds if seed in second.seeds]
    return Interval(apart.value, min([apart.low, *same]), max([apart.high, *same]))


def plain(line: float) -> str:
    return f"{line:g}".replace("-", "−")


def decided(reason: str, effect: Interval, *conditions: Condition) -> Verdict:
    """Supported if all conditions are met, contradicted if one is broken."""
    if all(condition.met for condition in conditions):
        return Verdict(SUPPORTED, reason, effect, conditions)
    if any(condition.broken for condition in conditions):
        return Verdict(CONTRADICTED, reason, effect, conditions)
    still_open = [condition.left_open for condition in conditions if not condition.met]
    return Verdict(NOT_DECIDED, "; ".join([reason, *still_open]), effect, conditions)


def above(effect: Interval, margin: float, reason: str) -> Verdict:
    """Supported if the whole interval lies above the margin, contradicted if it lies below."""
    return decided(reason, effect, Condition("the interval", effect, ABOVE, margin))


def below(effect: Interval, margin: float, reason: str) -> Verdict:
    """Supported if the whole interval lies below the margin, contradicted if it lies above."""
    return decided(reason, effect, Condition("the interval", effect, BELOW, margin))


def within(effect: Interval, margin: float, reason: str) -> Verdict:
    """Supported if the whole interval lies within ±margin, contradicted if it lies outside."""
    sides = ((BELOW, margin), (ABOVE, -margin))
    return decided(reason, effect, *(Condition("the interval", effect, side, line) for side, line in sides))


@dataclass(frozen=True)
class Claim:
    """A claim, where it is told, the rule, and what applies the rule.

    `task`, `vary`, `metric` and `group` name the figure that shows the evidence, or `figure` does; `contrary` marks
    evidence against the popular story.
    """

    text: str
    source: str
    rule: str
    judge: Callable[[Evidence], Verdict]
    task: str
    vary: str = ""
    metric: str = "token_accuracy"
    group: str = ""
    contrary: bool = False
    figure: str = ""
