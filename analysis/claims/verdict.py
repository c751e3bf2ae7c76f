"""How a claim is decided: claims and rules as data, and the verdict that a rule's measurement comes to."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from analysis.page.labels import decimal, label, listing
from analysis.statistics.intervals import Interval
from analysis.store import Store, System

SUPPORTED, CONTRADICTED, NOT_DECIDED = "supported", "contradicted", "not decided"
CANNOT_TELL = "cannot tell here"  # the measurement could not have shown either outcome
FACT = "fact"  # mathematics, which the measurement bears out
ABOVE, BELOW, AT_LEAST = "above", "below", "at least"
INTERVAL = "the interval"  # the quantity of a line that the effect itself must clear
LAST = 0.2  # of the steps of training: by what is gained there one sees whether a model was still learning
LAST_PART = f"{100 * LAST:.0f} %"
LSTM, ATTENTION, TRANSFORMER, RNN = (System(m, "base") for m in ("lstm", "bahdanau", "transformer", "rnn"))
DOUBLED = "doubled"  # the variant that trains for twice as long as its model's base
CENTRAL = (TRANSFORMER, ATTENTION)  # the comparison that comes first
BAHDANAU, VASWANI = "Bahdanau et al. 2015", "Vaswani et al. 2017"


class Line(NamedTuple):
    """On which side of a line the whole interval of a quantity must lie.

    The claim is contradicted if the interval lies on the other side of `opposite`, which is the same line unless given.
    """

    what: str
    side: str
    at: float
    opposite: float | None = None

    @property
    def other_side(self) -> str:
        return BELOW if self.side == ABOVE else ABOVE

    @property
    def breaking(self) -> float:
        return self.at if self.opposite is None else self.opposite

    def met(self, interval: Interval) -> bool:
        return interval.low > self.at if self.side == ABOVE else interval.high < self.at

    def broken(self, interval: Interval) -> bool:
        return interval.high < self.breaking if self.side == ABOVE else interval.low > self.breaking


class Condition(NamedTuple):
    """A line and the interval that was measured for it."""

    line: Line
    interval: Interval

    @property
    def met(self) -> bool:
        return self.line.met(self.interval)

    @property
    def broken(self) -> bool:
        return self.line.broken(self.interval)

    @property
    def left_open(self) -> str:
        """Why it is neither met nor broken."""
        what, side, at, _ = self.line
        if math.isnan(self.interval.low):
            return f"{what} is unknown"
        if self.line.breaking == at:
            return f"{what} crosses {plain(at)}"
        return f"{what} is not {side} {plain(at)} and not {self.line.other_side} {plain(self.line.breaking)}"


class Power(NamedTuple):
    """What a measurement needs to show either outcome; where it falls short, the verdict is: cannot tell here."""

    what: str
    side: str
    at: float
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.what} is {self.side} {self.at:g} {self.unit}".rstrip()

    def reached(self, value: float) -> bool:
        return {ABOVE: value > self.at, BELOW: value < self.at, AT_LEAST: value >= self.at}[self.side]

    def short(self, value: float) -> str:
        found = "unknown" if math.isnan(value) else plain(float(f"{value:.3g}"))
        return f"{self.what} is {found}, not {self.side} {self.at:g} {self.unit}".rstrip()


class Undecided(Exception):
    """There is no evidence on which a rule could decide: what is wrong, and what would decide the claim."""

    def __init__(self, reason: str, needed: str, effect: Interval | None = None) -> None:
        super().__init__(reason)
        self.needed = needed
        self.effect = effect


class NotRun(Undecided):
    """Nothing was measured that a rule could look at."""

    def __init__(self, what: str) -> None:
        super().__init__(f"not run: {what}", "Runs of what is missing; then the rule decides.")


class Learning(NamedTuple):
    """A quantity validated during training, by which one sees whether a model was still learning."""

    experiment: str
    metric: str
    digits: int


@dataclass(frozen=True)
class StillLearning:
    """For each outcome the system that lacks something: the outcome counts only if the system had stopped learning.

    Training as long again would raise the validated quantity by what it raised that of a variant that trained for twice
    as long, or, where there is none, at the pace of the last part. The outcome counts if this is less than the
    interval's distance from its line.
    """

    store: Store
    task: str
    learning: Learning
    lacking: Mapping[str, System]

    def __str__(self) -> str:
        systems = " or the ".join(label(system) for system in self.lacking.values())
        return (
            f"Not decided if the {systems} could close the gap by training as long again, as seen from a run of twice "
            f"the budget or else at the pace of the last {LAST_PART}"
        )

    def settled(self, verdict: "Verdict", missing: float | None = None) -> "Verdict":
        """The verdict, left open where a system may still gain what it lacks, `missing` if not seen from the lines."""
        system = self.lacking.get(verdict.outcome)
        if system is None:
            return verdict
        if missing is None:
            line, interval = verdict.conditions[0]
            missing = max(interval.low - line.at, line.at - interval.high)
        rising = self.gains(system, missing)
        if not rising:
            return verdict
        return Verdict(
            NOT_DECIDED,
            f"{verdict.reason}; still learning on {self.task} when the budget ended: {label(system)} "
            f"({listing(rising)})",
            verdict.effect,
            needed=f"A longer budget: longer training of the {label(system)} could change the verdict.",
        )

    def gains(self, system: System, most: float) -> list[str]:
        """In words, each seed whose validated quantity would gain more than `most` if trained as long again, or may."""
        found = []
        longer = [end for _, curve in self.curves(System(system.model, DOUBLED)) for end in curve["value"].tail(1)]
        for seed, curve in self.curves(system):
            whole = curve["step"].max()
            earlier = curve[curve["step"] <= (1 - LAST) * whole].tail(1)
            if not len(earlier):
                found.append(f"seed {seed}: not validated before the last {LAST_PART} of its steps")
                continue
            before, after = earlier["value"].item(), curve["value"].iloc[-1]
            part = 1 - earlier["step"].item() / whole
            gain, when = (after - before) / part, f"in the last {100 * part:.0f} % of its steps"
            if system.variant == "base" and longer:
                before, after, when = after, max(longer), "when trained twice as long"
                gain = after - before
            if gain > most:
                first, then = (decimal(value, self.learning.digits) for value in (before, after))
                found.append(f"seed {seed}: {first} to {then} on validation {when}")
        return found

    def curves(self, system: System) -> Iterator[tuple[int, pd.DataFrame]]:
        """The validated quantity of each seed over its steps."""
        for run in self.store.finished(self.learning.experiment, self.task, system):
            history = self.store.history(run)
            yield run.seed, history[history["metric"] == self.learning.metric].sort_values("step")


class Finding(NamedTuple):
    """What a rule measured: the numbers in words, the effect, and an interval for each line unless it is the effect.

    `power` has a value for each condition of the rule. `missing` is what a model lacks of the quantity validated during
    training, where the effect is another quantity.
    """

    reason: str
    effect: Interval
    intervals: Sequence[Interval] = ()
    power: Sequence[float] = ()
    missing: float | None = None


@dataclass(frozen=True)
class Rule:
    """What decides a claim: the effect in words, the lines it must clear, and how it is measured.

    `power` is what the measurement needs to show either outcome. A `fact` holds by mathematics: only a wrong
    implementation fails its lines. `measure` raises Undecided where a model was not trained enough to be judged, NotRun
    where there is nothing to measure.
    """

    effect: str
    lines: Sequence[Line]
    measure: Callable[[], Finding]
    power: Sequence[Power] = ()
    learning: StillLearning | None = None
    note: str = ""
    fact: bool = False


class Needs(NamedTuple):
    """The measurements that a claim rests on."""

    experiment: str
    task: str
    metric: str


@dataclass(frozen=True)
class Claim:
    """A claim, who makes it, the measurements and the rule that decide it, and the figure that shows the evidence.

    `contrary` marks claims against the popular story; `repeats` is how many processes measured it, where these are not
    seeds of the runs that it needs.
    """

    text: str
    source: str
    needs: Needs
    rule: Rule
    figure: str = ""
    contrary: bool = False
    repeats: int | None = None


@dataclass(frozen=True)
class Verdict:
    """The outcome, why in words, and the quantity that the rule looked at, where it could be computed.

    `conditions` are what the rule asked for; where it could not be applied, `needed` says what would decide the claim,
    and `tested` is False if that is because nothing was measured.
    """

    outcome: str
    reason: str
    effect: Interval | None = None
    conditions: Sequence[Condition] = ()
    needed: str = ""
    tested: bool = True


Verdicts = Sequence[tuple[Claim, Verdict]]


def judged(claims: Sequence[Claim]) -> list[tuple[Claim, Verdict]]:
    return [(claim, verdict(claim.rule)) for claim in claims]


def verdict(rule: Rule) -> Verdict:
    try:
        finding = rule.measure()
    except Undecided as missing:
        reason, tested = str(missing), not isinstance(missing, NotRun)
        return Verdict(NOT_DECIDED, reason, missing.effect, needed=missing.needed, tested=tested)
    short = [(power, at) for power, at in zip(rule.power, finding.power, strict=True) if not power.reached(at)]
    if short:
        reason = "; ".join([finding.reason, *(power.short(at) for power, at in short)])
        needed = f"A measurement in which {listing([str(power) for power, _ in short])}."
        return Verdict(CANNOT_TELL, reason, finding.effect, needed=needed)
    found = decided(rule.lines, finding)
    if rule.fact and found.outcome == SUPPORTED:
        return Verdict(FACT, found.reason, found.effect)
    return rule.learning.settled(found, finding.missing) if rule.learning else found


def decided(lines: Sequence[Line], finding: Finding) -> Verdict:
    """Supported if all conditions are met, contradicted if one is broken."""
    intervals = finding.intervals or [finding.effect] * len(lines)
    conditions = [Condition(line, interval) for line, interval in zip(lines, intervals, strict=True)]
    if all(condition.met for condition in conditions):
        return Verdict(SUPPORTED, finding.reason, finding.effect, conditions)
    if any(condition.broken for condition in conditions):
        return Verdict(CONTRADICTED, finding.reason, finding.effect, conditions)
    still_open = [condition.left_open for condition in conditions if not condition.met]
    return Verdict(NOT_DECIDED, "; ".join([finding.reason, *still_open]), finding.effect, conditions)


def above(at: float) -> list[Line]:
    """The whole interval must lie above."""
    return [Line(INTERVAL, ABOVE, at)]


def below(at: float) -> list[Line]:
    """The whole interval must lie below."""
    return [Line(INTERVAL, BELOW, at)]


def within(margin: float) -> tuple[Line, Line]:
    """The whole interval must lie within ±margin."""
    return Line(INTERVAL, BELOW, margin), Line(INTERVAL, ABOVE, -margin)


def exact(value: float) -> tuple[Interval, Sequence[Interval]]:
    """A number without error as the effect, and as the interval of its line."""
    return Interval(value, math.nan, math.nan), [Interval(value, value, value)]


def plain(number: float) -> str:
    return f"{number:g}".replace("-", "−")
