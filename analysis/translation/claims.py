"""The claims about translation quality, each with its source, the rule that decides it, and what applies the rule."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.claims.evidence import (
    ATTENTION,
    BLEU,
    LSTM,
    NOT_DECIDED,
    SUPPORTED,
    TRANSFORMER,
    Claim,
    Evidence,
    NotRun,
    Undecided,
    Verdict,
    above,
    any_two_seeds,
)
from analysis.long_range.claims import BAHDANAU, VASWANI, judged
from analysis.long_range.rules import Judge, not_run
from analysis.page.labels import decimal, label, listing
from analysis.statistics.bleu import bleu_of, bootstrap_bleu, sentence_statistics
from analysis.statistics.intervals import Array, Interval, percentile_interval, resampled_counts, t_interval
from analysis.store import Store, System, number
from analysis.translation import heads

BETTER = (
    "Effect: BLEU of the {first} minus that of the {second}, means over seeds, with the paired bootstrap interval over "
    "sentences, widened until it holds the difference of any two seeds. Supported if it lies above 0, contradicted if "
    "below; not decided if as much training again, at the pace of its last fifth, could bring the one behind level."
)
LONGER = (
    "Effect: BLEU that the LSTM loses from the shortest quarter of the test sentences to the longest, by source words, "
    "minus what the LSTM + attention loses, with the paired bootstrap interval, widened until it holds every pair of "
    "seeds. Supported if it lies above 1, contradicted if below; not decided if as much training again, at the pace of "
    "its last fifth, could bring the LSTM up that far. Losses are in BLEU, not in per cent: who translates short "
    "sentences badly has less to lose."
)
SEVERAL = (
    "Effect: mean over the Transformer's maps of how far the two most different heads of a map lie apart in the share "
    "of attention given to the previous, the same or the next token, or of strongest weights on the diagonal; t "
    "interval over maps, widened until it holds every seed. Supported if it lies above 0.2, contradicted if below."
)
MATTERS = 1.0  # BLEU
APART = 0.2  # of a head's attention
QUARTERS = (0.25, 0.75)
RELATIONS = ("head_previous", "head_same", "head_next", "head_alignment")
TEXT = ["source", "reference"]

Statistics = Mapping[int, Array]  # by seed, one row a sentence


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


def all_claims(store: Store) -> list[Claim]:
    """Every claim on every test set that was translated."""
    return [*better(store), *longer(store), several(store)]


def verdicts(store: Store, evidence: Evidence | None = None) -> list[tuple[Claim, Verdict]]:
    evidence = evidence or Evidence(store)
    return [(claim, judged(claim, evidence)) for claim in all_claims(store)]


def sets_translated(store: Store) -> list[tuple[str, str]]:
    """Task and name of each, in the order in which they were recorded."""
    rows = store.measurements
    rows = rows[(rows["experiment"] == BLEU.experiment) & (rows["metric"] == "bleu")]
    return list(dict.fromkeys(zip(rows["task"], rows["x"], strict=True)))


def better(store: Store) -> list[Claim]:
    rows = []
    for text, source, first, second in (
        ("The Transformer translates better than the LSTM + attention", VASWANI, TRANSFORMER, ATTENTION),
        ("The Transformer translates better than the LSTM", VASWANI, TRANSFORMER, LSTM),
        ("Attention on top of the RNN improves its translations", BAHDANAU, ATTENTION, LSTM),
    ):
        rule = BETTER.format(first=label(first), second=label(second))
        found = [about(text, source, rule, is_better(*t, first, second), *t) for t in sets_translated(store)]
        rows += found or [about(text, source, rule, not_run("no translation with a BLEU"))]
    return rows


def longer(store: Store) -> list[Claim]:
    text = "One fixed vector must hold everything: the LSTM alone loses more BLEU on long sentences"
    source = f"{BAHDANAU}, Figure 2"
    found = [about(text, source, LONGER, loses_more(*t), *t) for t in sets_translated(store)]
    return found or [about(text, source, LONGER, not_run("no translation with a BLEU"))]


def several(store: Store) -> Claim:
    rows = store.measurements
    task = next(iter(rows.loc[rows["experiment"] == heads.EXPERIMENT, "task"]), "")
    text = "Several heads see several relations (in translation)"
    judge = heads_apart(task) if task else not_run("no inspection of the Transformer's heads")
    return Claim(text, f"{VASWANI}, 3.2.2", SEVERAL, judge, "", figure=f"attention-heads-{task}")


def about(text: str, source: str, rule: str, judge: Judge, task: str = "", test_set: str = "") -> Claim:
    where = f" ({task}, {test_set})" if task else ""
    return Claim(f"{text}{where}", source, rule, judge, "", figure=f"length-{task}-{test_set}")


def is_better(task: str, test_set: str, first: System, second: System) -> Judge:
    def judge(evidence: Evidence) -> Verdict:
        found = statistics_of(evidence.store, task, test_set, first, second)
        one, other = (scored(found[system]) for system in (first, second))
        effect = apart(one, other)
        verdict = above(effect, 0, f"{label(first)} {decimal(one.mean)}, {label(second)} {decimal(other.mean)}")
        if verdict.outcome == NOT_DECIDED:
            return verdict
        ahead = verdict.outcome == SUPPORTED
        behind, missing = (second, effect.low) if ahead else (first, -effect.high)
        return evidence.if_settled(verdict, task, behind, missing, BLEU)

    return judge


def loses_more(task: str, test_set: str) -> Judge:
    def judge(evidence: Evidence) -> Verdict:
        found = statistics_of(evidence.store, task, test_set, LSTM, ATTENTION)
        words = source_words(evidence.store, task, test_set)
        few, many = np.quantile(words, QUARTERS)
        if few == many:
            reason = f"half of the sentences of {test_set} have {few:g} source words"
            raise Undecided(reason, "Sentences of different lengths.")
        short, long = words <= few, words >= many
        lost, reasons = [], []
        for system in (LSTM, ATTENTION):
            ends = scored(found[system], short), scored(found[system], long)
            lost.append(ends[0].minus(ends[1]))
            reasons.append(f"{label(system)} {decimal(ends[0].mean)} to {decimal(ends[1].mean)}")
        effect = apart(*lost)
        verdict = above(effect, MATTERS, f"{', '.join(reasons)} from at most {few:g} to at least {many:g} source words")
        if verdict.outcome == SUPPORTED:
            return evidence.if_settled(verdict, task, LSTM, effect.low - MATTERS, BLEU)
        return verdict

    return judge


def apart(first: Scores, second: Scores) -> Interval:
    """first − second, with the paired bootstrap interval, widened until it holds the difference of any two seeds."""
    paired = percentile_interval(first.mean - second.mean, first.samples - second.samples)
    return any_two_seeds(paired, first.seeds, second.seeds)


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
            seed: sentence_statistics(tuple(frame["hypothesis"]), tuple(frame["reference"]))
            for seed, frame in seeds.items()
        }
        for system, seeds in frames.items()
    }


def translations(store: Store, task: str, test_set: str, system: System) -> dict[int, pd.DataFrame]:
    """The translations of each seed that has a BLEU on a test set; a seed without hypotheses is left out."""
    runs = [run for run in store.finished(BLEU.experiment) if (run.task, run.system) == (task, system)]
    runs = [run for run in runs if not np.isnan(number(store.measurements, run, "bleu", test_set))]
    frames = {run.seed: store.translations(run, test_set) for run in runs}
    return {seed: frame for seed, frame in frames.items() if frame is not None}


def source_words(store: Store, task: str, test_set: str) -> Array:
    frame = next(iter(translations(store, task, test_set, LSTM).values()))
    return np.array([len(source.split()) for source in frame["source"]], dtype=np.float64)


def heads_apart(task: str) -> Judge:
    def judge(evidence: Evidence) -> Verdict:
        table = heads.heads_of(evidence.store, task)
        table = table[(table["model"] == TRANSFORMER.model) & (table["variant"] == TRANSFORMER.variant)]
        by_map = table.groupby(["map", "seed"], sort=False)[list(RELATIONS)]
        with_many = by_map.size() > 1
        if not with_many.any():
            raise NotRun(f"no map of the Transformer with more than one head on {task}")
        widest = (by_map.max() - by_map.min()).max(axis=1)[with_many]
        of_maps, of_seeds = widest.groupby("map").mean(), widest.groupby("seed").mean()
        over_maps = t_interval(of_maps.tolist())
        effect = Interval(over_maps.value, min(over_maps.low, *of_seeds), max(over_maps.high, *of_seeds))
        reason = (
            f"{len(of_maps)} maps; most alike {decimal(of_maps.min(), 2)} ({of_maps.idxmin()}), most different "
            f"{decimal(of_maps.max(), 2)} ({of_maps.idxmax()})"
        )
        return above(effect, APART, reason)

    return judge
