"""The differences between two sides, each with the interval that its measurements allow, or the reason for none."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.compare.sides import Number, Place, Side
from analysis.statistics import intervals
from analysis.statistics.bleu import bleu_of, bootstrap_bleu, sentence_statistics
from analysis.translation.bleu import ROUNDING

# Shares of independent trials, and the metric that holds a share's standard error where the trials are not
PROPORTIONS = {
    "exact_match": "",
    "contrastive_accuracy": "",
    "contrastive_accuracy_mean": "",
    "probe_accuracy": "",
    "sense_probe": "",
    "subject_flip": "",
    "truncated_share": "",
    "token_accuracy": "token_accuracy_error",
}
OF_THE_MACHINE = ("strong_efficiency", "weak_efficiency", "peak_share", "matmul_peak")
SAME, TWO, UNKNOWN = "same machine", "two machines", "machine unknown"

Seeds = Mapping[int, Number]


@dataclass(frozen=True)
class Difference:
    """B − A at one place. `change` is NaN where a difference is refused; `how` says what its interval rests on."""

    place: Place
    unit: str
    a: Seeds
    b: Seeds
    change: intervals.Interval
    ratio: float
    how: str
    timed: bool
    same_origin: bool

    @property
    def equal(self) -> bool:
        """Whether both sides hold the same values, to the last digit."""
        return sorted(map(repr, values(self.a))) == sorted(map(repr, values(self.b)))

    @property
    def changed(self) -> bool:
        """Whether a seed that both sides have came to something else."""
        return any(repr(self.a[seed].value) != repr(self.b[seed].value) for seed in set(self.a) & set(self.b))

    @property
    def beyond(self) -> bool:
        """Whether the interval excludes no difference at all."""
        return self.change.low > 0 or self.change.high < 0


@dataclass(frozen=True)
class Comparison:
    differences: Sequence[Difference]
    only_a: Sequence[Place]
    only_b: Sequence[Place]


def compare(a: Side, b: Side) -> Comparison:
    """Match both sides place by place; what one side alone has is kept by name."""
    both = [place for place in a.places if place in b.places]
    return Comparison(
        [compared(a, b, place) for place in both],
        [place for place in a.places if place not in b.places],
        [place for place in b.places if place not in a.places],
    )


def compared(a: Side, b: Side, place: Place) -> Difference:
    ours, theirs = a.places[place], b.places[place]
    units = list(dict.fromkeys(n.unit for n in [*ours.values(), *theirs.values()] if n.unit))
    unit = units[0] if units else ""
    first, second = mean(ours), mean(theirs)
    timed = is_timed(place.metric, unit)
    machines = relation(origins(ours, "machine"), origins(theirs, "machine"))
    commits = relation(origins(ours, "commit"), origins(theirs, "commit"))
    refused = ""
    if len(units) > 1:
        refused = f"refused: the units are {' and '.join(units)}"
    elif timed and machines != SAME:
        refused = f"refused: {machines}"
    if refused:
        change, how = intervals.Interval(math.nan, math.nan, math.nan), refused
    else:
        change, how = with_interval(a, b, place)
    comparable = machines != UNKNOWN if timed else unit == "B"
    has_ratio = comparable and len(units) == 1 and first > 0
    ratio = second / first if has_ratio else math.nan
    return Difference(place, unit, ours, theirs, change, ratio, how, timed, machines == commits == SAME)


def with_interval(a: Side, b: Side, place: Place) -> tuple[intervals.Interval, str]:
    """B − A with the best interval that can be had, and its name; without one, the reason."""
    ours, theirs = a.places[place], b.places[place]
    first, second = values(ours), values(theirs)
    change = intervals.Interval(mean(theirs) - mean(ours), math.nan, math.nan)
    if math.isnan(change.value):
        return change, "none: not measured"
    several = len(first) > 1 and len(second) > 1
    if several and (np.ptp(first) > 0 or np.ptp(second) > 0):
        return intervals.welch(first, second), f"Welch t, {len(first)} and {len(second)} seeds"
    if place.metric in PROPORTIONS:
        shares = share(a, place), share(b, place)
        if not any(math.isnan(s.low) for s in shares):
            return intervals.difference(shares[1], shares[0]), "Newcombe, over test examples"
    if place.metric == "bleu" and a.store and b.store and len(first) == len(second) == 1:
        found = paired_bootstrap(a, b, place)
        if found:
            return found
    if several:
        return change, "none: seeds all alike"
    if len(first) == len(second):
        return change, "none: one seed each"
    return change, f"none: {len(first)} and {len(second)} seeds"


def share(side: Side, place: Place) -> intervals.Interval:
    """A share with its Wilson interval over test examples; NaN where their number was not recorded."""
    seeds = side.places[place]
    sizes = [number.n for number in seeds.values()]
    if any(math.isnan(n) or n < 2 for n in sizes) or not all(0 <= value <= 1 for value in values(seeds)):
        return intervals.Interval(mean(seeds), math.nan, math.nan)
    error_metric = PROPORTIONS[place.metric]
    recorded = side.places.get(place._replace(metric=error_metric), {}) if error_metric else {}
    if error_metric and set(recorded) != set(seeds):
        return intervals.Interval(mean(seeds), math.nan, math.nan)
    return intervals.pooled(values(seeds), values(recorded), int(min(sizes)))


def paired_bootstrap(a: Side, b: Side, place: Place) -> tuple[intervals.Interval, str] | None:
    """BLEU of B minus BLEU of A over the same test sentences, one seed each; None where they are not the same."""
    found = [translated(side, place) for side in (a, b)]
    (first, ours), (second, theirs) = found
    same = ["id", "source", "reference"]
    if first is None or second is None or not first[same].equals(second[same]):
        return None
    counts = intervals.resampled_counts(len(first))
    samples = bootstrap_bleu(theirs, counts) - bootstrap_bleu(ours, counts)
    value = mean(b.places[place]) - mean(a.places[place])
    return intervals.percentile_interval(value, samples), "paired bootstrap over sentences"


def translated(side: Side, place: Place) -> tuple[pd.DataFrame | None, intervals.Array]:
    """The translations behind a BLEU and what BLEU sums over them; None where they are missing or score otherwise."""
    assert side.store is not None
    (seed, number), *_ = side.places[place].items()
    key = (place.experiment, place.task, place.model, place.variant, seed)
    run = next(r for r in side.store.runs if (r.experiment, r.task, *r.system, r.seed) == key)
    frame = side.store.translations(run, place.x)
    if frame is None:
        return None, np.empty(0)
    statistics = sentence_statistics(
        tuple(frame["hypothesis"]), tuple(frame["reference"]), side.store.tokeniser(place.task)
    )
    return (frame if abs(bleu_of(statistics.sum(axis=0)) - number.value) <= ROUNDING else None), statistics


def is_timed(metric: str, unit: str) -> bool:
    """Whether a number says how fast a machine is, so that another machine has another one."""
    return unit == "s" or unit.endswith("/s") or metric.startswith(OF_THE_MACHINE)


def relation(first: set[str], second: set[str]) -> str:
    if "" in first | second:
        return UNKNOWN
    return SAME if first == second and len(first) == 1 else TWO


def source_of(a: Seeds, b: Seeds) -> str:
    """Where a table says that its number is from."""
    return "; ".join(dict.fromkeys(n.source for n in [*a.values(), *b.values()] if n.source))


def origins(seeds: Seeds, what: str) -> set[str]:
    return {getattr(number, what) for number in seeds.values()}


def values(seeds: Seeds) -> list[float]:
    return [number.value for _, number in sorted(seeds.items())]


def mean(seeds: Seeds) -> float:
    return float(np.mean(values(seeds)))
