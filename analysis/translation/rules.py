"""The rules of the claims about translation: what each measures, its lines, and who may still learn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.claims.verdict import (
    ABOVE,
    AT_LEAST,
    ATTENTION,
    CONTRADICTED,
    DOUBLED,
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
    Undecided,
    above,
)
from analysis.page.labels import decimal, label, listing
from analysis.page.prose import PROSE
from analysis.statistics.bleu import bleu_of, bootstrap_bleu, sentence_statistics
from analysis.statistics.intervals import (
    Array,
    Interval,
    any_two_seeds,
    percentile_interval,
    resampled_counts,
    t_interval,
)
from analysis.store import Store, System, number
from analysis.translation import heads
from analysis.translation.bleu import EXPERIMENT, length_unit, lengths_in

MATTERS = 1.0  # BLEU
APART = 0.2  # of a head's attention
QUARTERS = (0.25, 0.75)
RELATIONS = ("head_previous", "head_same", "head_next", "head_alignment")
TEXT = ["source", "reference"]
FLOOR = Power("the BLEU of the weaker model on the shortest quarter of the sentences", AT_LEAST, 10)
ROOM = Power("the BLEU that the LSTM has to lose beyond what the LSTM + attention loses", ABOVE, MATTERS)
MAPS = Power("the number of maps with several heads", AT_LEAST, 2)
VALIDATED = Learning(EXPERIMENT, "val/bleu", 1)

Statistics = Mapping[int, Array]  # by seed, one row per sentence


@dataclass(frozen=True)
class Scores:
    """BLEU on some sentences: of each seed, and of each bootstrap sample as the mean over seeds."""

    seeds: Mapping[int, float]
    samples: Array

    @property
    def mean(self) -> float:
        return float(np.mean(list(self.seeds.values())))

    def minus(self, other: "Scores") -> "Scores":
        """Of one system on other sentences: each seed minus itself."""
        return Scores({s: self.seeds[s] - other.seeds[s] for s in self.seeds}, self.samples - other.samples)

    def difference(self, other: "Scores") -> Interval:
        """Of two systems, with the paired bootstrap interval, widened until it holds that of any two seeds."""
        paired = percentile_interval(self.mean - other.mean, self.samples - other.samples)
        return any_two_seeds(paired, self.seeds, other.seeds)


def is_better(
    store: Store, task: str, test_sets: Sequence[str], first: System, second: System, least: float = 0
) -> Rule:
    """By more than `least` BLEU on every test set; the effect shown is the smallest."""

    def measure() -> Finding:
        differences, short, reasons = [], [], []
        for name in test_sets:
            found = statistics_of(store, task, name, first, second)
            one, other = (scored(found[system]) for system in (first, second))
            lengths, _ = source_lengths(store, task, name, first)
            few = lengths <= np.quantile(lengths, QUARTERS[0])
            short += [mean_bleu(found[system], few) for system in (first, second)]
            differences.append(one.difference(other))
            where = f"{name}: " if len(test_sets) > 1 else ""
            reasons.append(f"{where}{label(first)} {decimal(one.mean)}, {label(second)} {decimal(other.mean)}")
        nearest = min(max(interval.low - least, least - interval.high) for interval in differences)
        return Finding("; ".join(reasons), min(differences), differences, [min(short)], missing=nearest)

    effect = PROSE["effect of a model"].format(first=label(first), second=label(second))
    learning = StillLearning(store, task, VALIDATED, {SUPPORTED: second, CONTRADICTED: first})
    names = [f"the interval on {name}" for name in test_sets] if len(test_sets) > 1 else [INTERVAL]
    return Rule(effect, [Line(name, ABOVE, least) for name in names], measure, [FLOOR], learning)


def loses_more(store: Store, task: str, test_sets: Sequence[str]) -> Rule:
    """On the sentences of all test sets together: a quarter of one has too few to tell."""
    longer = System(LSTM.model, DOUBLED)
    twice = [longer] if task and all(translations(store, task, name, longer) for name in test_sets) else []

    def measure() -> Finding:
        systems = (LSTM, ATTENTION, *twice)
        each = [statistics_of(store, task, name, *systems) for name in test_sets]
        found = {system: together([one[system] for one in each]) for system in systems}
        if not all(found.values()):
            raise NotRun(f"no seed that translated {listing(list(test_sets))}")
        lengths = np.concatenate([source_lengths(store, task, name, LSTM)[0] for name in test_sets])
        unit = length_unit(store, task)
        few, many = np.quantile(lengths, QUARTERS)
        if few == many:
            reason = f"half of the sentences of {task} have {few:g} {unit}"
            raise Undecided(reason, "Sentences of different lengths.")
        lost, starts, reasons = [], [], []
        for system in systems:
            short, long = (scored(found[system], chosen) for chosen in (lengths <= few, lengths >= many))
            lost.append(short.minus(long))
            starts.append(short.mean)
            reasons.append(f"{label(system)} {decimal(short.mean)} to {decimal(long.mean)}")
        reason = f"{', '.join(reasons)} from at most {few:g} to at least {many:g} {unit}"
        power = [min(starts[:2]), starts[0] - lost[1].mean]
        effect = lost[0].difference(lost[1])
        for trained_twice_as_long in lost[2:]:
            effect = any_two_seeds(effect, trained_twice_as_long.seeds, lost[1].seeds)
        return Finding(reason, effect, power=power)

    learning = None if twice else StillLearning(store, task, VALIDATED, {SUPPORTED: LSTM})
    effect = PROSE["effect of length"] + (f", and every seed of the {label(longer)}" if twice else "")
    return Rule(effect, above(MATTERS), measure, [FLOOR, ROOM], learning)


def together(each: Sequence[Statistics]) -> Statistics:
    """The sentences of several test sets, of the seeds that have them all."""
    return {seed: np.concatenate([one[seed] for one in each]) for seed in each[0] if all(seed in one for one in each)}


def mean_bleu(statistics: Statistics, chosen: NDArray[np.bool_]) -> float:
    """On the chosen sentences, the mean over seeds."""
    return float(np.mean([bleu_of(rows[chosen].sum(axis=0)) for rows in statistics.values()]))


def scored(statistics: Statistics, chosen: Array | None = None) -> Scores:
    """On the chosen sentences, where every bootstrap sample is one of the whole test set."""
    sentences = len(next(iter(statistics.values())))
    chosen = np.ones(sentences, dtype=bool) if chosen is None else chosen
    counts = resampled_counts(sentences)[:, chosen]
    kept = {seed: rows[chosen] for seed, rows in statistics.items()}
    samples = np.mean([bootstrap_bleu(rows, counts) for rows in kept.values()], axis=0)
    return Scores({seed: bleu_of(rows.sum(axis=0)) for seed, rows in kept.items()}, samples)


def statistics_of(store: Store, task: str, test_set: str, *systems: System) -> dict[System, Statistics]:
    """The statistics of every seed, all of them on the same sentences.

    Raises:
        Undecided: a system was not run, its hypotheses are missing, or the sentences differ.
    """
    if not task:
        raise NotRun("no translation with a BLEU")
    frames = {system: translations(store, task, test_set, system) for system in systems}
    missing = [label(system) for system in systems if not frames[system]]
    if missing:
        raise NotRun(f"{listing(missing)} with hypotheses on {task}, {test_set}")
    texts = [frame[TEXT] for seeds in frames.values() for frame in seeds.values()]
    if not all(text.equals(texts[0]) for text in texts):
        reason = f"{listing(list(map(label, systems)))} did not translate the same sentences of {test_set}"
        raise Undecided(reason, "An evaluation of all on the same sentences.")
    return {
        system: {
            seed: sentence_statistics(tuple(frame["hypothesis"]), tuple(frame["reference"]), store.tokeniser(task))
            for seed, frame in seeds.items()
        }
        for system, seeds in frames.items()
    }


def translations(store: Store, task: str, test_set: str, system: System) -> dict[int, pd.DataFrame]:
    """The translations of each seed that has a BLEU on a test set; a seed without hypotheses is left out."""
    runs = store.finished(EXPERIMENT, task, system)
    runs = [run for run in runs if not np.isnan(number(run, "bleu", test_set))]
    frames = {run.seed: store.translations(run, test_set) for run in runs}
    return {seed: frame for seed, frame in frames.items() if frame is not None}


def source_lengths(store: Store, task: str, test_set: str, system: System) -> tuple[Array, str]:
    """The length of each source, and its unit."""
    unit = length_unit(store, task)
    return lengths_in(unit, next(iter(translations(store, task, test_set, system).values()))), unit


def heads_apart(store: Store, task: str) -> Rule:
    """`task` is empty where no head was measured."""

    def measure() -> Finding:
        if not task:
            raise NotRun("no inspection of the Transformer's heads")
        table = heads.of_system(heads.heads_of(store, task), TRANSFORMER)
        by_map = table.groupby(["map", "seed"], sort=False)[list(RELATIONS)]
        with_many = by_map.size() > 1
        if not with_many.any():
            raise NotRun(f"no map of the Transformer with more than one head on {task}")
        widest = (by_map.max() - by_map.min()).max(axis=1)[with_many]
        of_maps, of_seeds = widest.groupby("map").mean(), widest.groupby("seed").mean()
        over_maps = t_interval(of_maps.tolist())
        reason = (
            f"{len(of_maps)} maps; most alike {decimal(of_maps.min(), 2)} ({of_maps.idxmin()}), most different "
            f"{decimal(of_maps.max(), 2)} ({of_maps.idxmax()})"
        )
        low, high = min(over_maps.low, *of_seeds), max(over_maps.high, *of_seeds)
        return Finding(reason, Interval(over_maps.value, low, high), power=[len(of_maps)])

    return Rule(PROSE["effect of heads"], above(APART), measure, [MAPS])
