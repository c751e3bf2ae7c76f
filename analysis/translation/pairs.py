"""Pairs of systems on a test set: the difference in BLEU, its interval and p, adjusted for the number of pairs."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import pandas as pd

from analysis.page.blocks import Table
from analysis.page.labels import label, probability, signed, span
from analysis.page.prose import PROSE
from analysis.statistics.bleu import PairedTest, compare_bleu
from analysis.statistics.intervals import holm
from analysis.store import Run, Store, System, first_common_seed, number

Frames = Mapping[System, Mapping[int, pd.DataFrame]]  # the translations of one test set by system and seed
SIGNIFICANT = 0.05
SAME = ["id", "source", "reference"]


@dataclass(frozen=True)
class Pair:
    """Two systems on the same sentences of a test set, at the first seed that both finished; second minus first.

    `each` holds the difference of the recorded BLEU at every seed that both finished. `translations` are those of the
    two, sentence by sentence the same source and reference.
    """

    test_set: str
    first: System
    second: System
    seed: int
    each: Mapping[int, float]
    translations: tuple[pd.DataFrame, pd.DataFrame]
    comparison: PairedTest
    p_holm: float = math.nan

    @property
    def name(self) -> str:
        return f"{label(self.second)} against {label(self.first)}"

    @property
    def better(self) -> System | None:
        """The better of the two by the paired test, with all seeds on one side; None while that is open."""
        sign = 1 if self.comparison.difference.value > 0 else -1
        decided = self.p_holm <= SIGNIFICANT and all(sign * change > 0 for change in self.each.values())
        return (self.second if sign > 0 else self.first) if decided else None


def pairs_of(store: Store, systems: Mapping[System, Mapping[int, Run]], test_set: str) -> list[Pair]:
    """Bases with each other, and variants with their base, on the same sentences at a seed that both finished.

    Sentences that differ become a problem.
    """
    found = []
    for first, second in filter(worth_a_test, combinations(systems, 2)):
        seed = first_common_seed([dict(systems[first]), dict(systems[second])])
        if seed is None:
            continue
        sides = [systems[system][seed] for system in (first, second)]
        one, other = (store.translations(run, test_set) for run in sides)
        if one is None or other is None or not same_sentences(store, test_set, sides[0], one, sides[1], other):
            continue
        texts = one["hypothesis"].tolist(), other["hypothesis"].tolist(), one["reference"].tolist()
        comparison = compare_bleu(*texts, store.tokeniser(sides[0].task))
        each = {
            s: number(systems[second][s], "bleu", test_set) - number(systems[first][s], "bleu", test_set)
            for s in sorted(set(systems[first]) & set(systems[second]))
        }
        found.append(Pair(test_set, first, second, seed, each, (one, other), comparison))
    return found


def worth_a_test(pair: tuple[System, System]) -> bool:
    """Whether both are bases, or a variant and its base: every further test makes the others harder to pass."""
    first, second = pair
    bases = [system.variant for system in pair].count("base")
    return bases == 2 or (bases == 1 and first.model == second.model)


def same_sentences(
    store: Store, test_set: str, one: Run, sentences: pd.DataFrame, other: Run, others: pd.DataFrame
) -> bool:
    """Whether two runs translated the same sentences; if not, that becomes a problem."""
    if sentences[SAME].equals(others[SAME]):
        return True
    store.problems.append(
        f"{other.name}: its sentences on {test_set} are not those of {label(one.system)} seed {one.seed}, "
        "so the two cannot be compared; evaluate both on the same data."
    )
    return False


def adjusted(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs with their p values adjusted for their number (Holm 1979)."""
    corrected = holm([pair.comparison.p for pair in pairs])
    return [replace(pair, p_holm=float(p)) for pair, p in zip(pairs, corrected, strict=True)]


def pair_table(pairs: Iterable[Pair]) -> Table:
    """One row for each pair and test set."""
    pairs = list(pairs)
    several = any(len(pair.each) > 1 for pair in pairs)
    header = ["pair", "test set", "difference in BLEU", "95 % interval", "p", "p (Holm)"]
    header += ["each seed"] if several else []
    rows = []
    for pair in pairs:
        change = pair.comparison.difference
        at = f" (seed {pair.seed})" if several else ""
        row = [pair.name, pair.test_set, signed(change.value) + at, span(change)]
        row += [probability(pair.comparison.p), probability(pair.p_holm)]
        if several:
            row.append(", ".join(f"{signed(value)} ({seed})" for seed, value in pair.each.items()))
        rows.append(row)
    caption = PROSE["pairs"].format(number=len(pairs))
    return Table(caption, header, rows, left=2)
