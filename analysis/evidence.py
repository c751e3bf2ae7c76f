"""What it takes to decide a claim: evidence from the run store, rules with fixed margins, verdicts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

from analysis.accuracy import (
    MASTERED,
    Axis,
    Control,
    Point,
    axes,
    by_seed,
    controls,
    difference,
    main_axis,
    of_system,
    pooled,
    random_scores,
    rows_of,
    systems_of,
)
from analysis.axis_words import quantity
from analysis.labels import decimal, label, listing
from analysis.quality import Quality, qualities
from analysis.records import Store, System
from analysis.speed_measures import Speed, measured
from analysis.statistics import Interval

SUPPORTED, CONTRADICTED, NOT_DECIDED = "supported", "contradicted", "not decided"
MARGIN = 0.05  # a difference in accuracy that matters
LSTM, ATTENTION, TRANSFORMER, RNN = (System(m, "base") for m in ("lstm", "bahdanau", "transformer", "rnn"))


@dataclass(frozen=True)
class Verdict:
    """The outcome, why in words, and the quantity that the rule looked at, where it could be computed."""

    outcome: str
    reason: str
    effect: Interval | None = None


class Undecided(Exception):
    """There is no evidence on which a rule could decide; the message says what is missing."""


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
            raise Undecided(f"not run: no {metric.replace('_', ' ')} on {task}")
        return main_axis(found, vary)

    def curve(self, axis: Axis, system: System) -> Sequence[Point]:
        if system not in axis.curves:
            raise Undecided(f"not run: {label(system)} on {axis.task}")
        return axis.curves[system]

    def trained(self, axis: Axis, system: System) -> Sequence[Point]:
        points = [point for point in self.curve(axis, system) if point.trained]
        if not points:
            raise Undecided(f"the trained range of {label(system)} on {axis.task} was not recorded")
        return points

    def ends(self, axis: Axis, system: System) -> tuple[Point, Point]:
        """The smallest and the largest x of training."""
        points = self.trained(axis, system)
        if len(points) < 2:
            several = f"more than one trained {quantity(axis.vary)}, all else equal"
            raise Undecided(f"not run: {label(system)} on {axis.task} at {several}")
        return points[0], points[-1]

    def farthest(self, axis: Axis, system: System, times: float = 1) -> tuple[Point, Point]:
        """The largest x of training and the largest beyond it, which must be more than `times` as large."""
        last = self.trained(axis, system)[-1]
        beyond = self.curve(axis, system)[-1]
        if beyond.trained is not False or beyond.x < times * last.x or beyond.x <= last.x:
            wanted = "beyond" if times == 1 else f"at {times:g} times"
            edge = f"the trained {quantity(axis.vary)} {last.x:g}"
            raise Undecided(f"not run: {label(system)} on {axis.task} {wanted} {edge}")
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
            raise Undecided(f"not run: no {metric.replace('_', ' ')} with and without scaling at head size {width:g}")
        return scaled, unscaled

    def require_mastered(self, task: str, *systems: System) -> None:
        """A model below 0.99 at the easiest setting was not trained enough for its failures to mean anything."""
        known = self.controls(task)
        without = [label(system) for system in systems if system not in known]
        if without:
            raise Undecided(f"no control recorded for {listing(without)} on {task}")
        weak = [
            f"{label(s)} (control {decimal(min(known[s].seeds.values()), 3)})" for s in systems if not self.can(task, s)
        ]
        if weak:
            raise Undecided(f"under-trained on {task}: {listing(weak)}, below {MASTERED} at the easiest setting")

    def require_settled(self, task: str, system: System, missing: float) -> None:
        """A model that was still learning may yet do what it fails at.

        If training went on as long again at the pace of its last fifth, validation accuracy would rise by five times
        what it gained there: the failure counts only if that is less than what is `missing`.
        """
        rising = self.gains(task, system, missing / 5)
        if rising:
            raise Undecided(f"still learning on {task} when the budget ended: {label(system)} ({listing(rising)})")

    def gains(self, task: str, system: System, most: float) -> list[str]:
        """In words, each seed whose validation accuracy gained more than `most` in the last fifth of training."""
        found = []
        for run in self.store.finished("long-range"):
            if (run.task, run.system) == (task, system):
                history = self.store.history(run)
                curve = history[history["metric"] == "val/token_accuracy"].sort_values("step")
                earlier = curve[curve["step"] <= 0.8 * curve["step"].max()]
                if len(earlier) and curve["value"].iloc[-1] - earlier["value"].iloc[-1] > most:
                    first, last = (decimal(part["value"].iloc[-1], 3) for part in (earlier, curve))
                    found.append(f"seed {run.seed}: {first} to {last} on validation in the last fifth of its steps")
        return found

    def can(self, task: str, system: System) -> bool:
        known = self.controls(task)
        return system in known and known[system].mastered

    def variants(self, task: str, model: str) -> list[System]:
        return [system for system in systems_of(self.store, task) if system.model == model]


def change(first: Point, second: Point) -> Interval:
    """first − second with an interval over test examples, widened until it holds the difference of any two seeds."""
    apart = difference(first.interval, second.interval)
    pairs = [a - b for a in first.seeds.values() for b in second.seeds.values()]
    return Interval(apart.value, min(apart.low, *pairs), max(apart.high, *pairs))


def loss(first: Point, second: Point) -> Interval:
    """What one system loses from one x to another; seeds are compared with themselves."""
    apart = difference(first.interval, second.interval)
    same = [first.seeds[seed] - second.seeds[seed] for seed in first.seeds if seed in second.seeds]
    return Interval(apart.value, min([apart.low, *same]), max([apart.high, *same]))


def above(effect: Interval, margin: float, reason: str) -> Verdict:
    """Supported if the whole interval lies above the margin, contradicted if it lies below."""
    if effect.low > margin:
        return Verdict(SUPPORTED, reason, effect)
    if effect.high < margin:
        return Verdict(CONTRADICTED, reason, effect)
    return Verdict(NOT_DECIDED, f"{reason}; the interval crosses {margin:g}", effect)


def below(effect: Interval, margin: float, reason: str) -> Verdict:
    """Supported if the whole interval lies below the margin, contradicted if it lies above."""
    found = above(effect, margin, reason)
    opposite = {SUPPORTED: CONTRADICTED, CONTRADICTED: SUPPORTED, NOT_DECIDED: NOT_DECIDED}
    return Verdict(opposite[found.outcome], found.reason, effect)


def within(effect: Interval, margin: float, reason: str) -> Verdict:
    """Supported if the whole interval lies within ±margin, contradicted if it lies outside."""
    if -margin < effect.low and effect.high < margin:
        return Verdict(SUPPORTED, reason, effect)
    if effect.low > margin or effect.high < -margin:
        return Verdict(CONTRADICTED, reason, effect)
    return Verdict(NOT_DECIDED, f"{reason}; the interval crosses {margin:g} or −{margin:g}", effect)


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
