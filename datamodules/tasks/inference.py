"""Inference: how two formulas of propositional logic are related."""

import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from random import Random
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.batch import PAD
from datamodules.tasks.task import FIRST, Drawn, Point, Split, Task, at_least

VARIABLES = "abcdef"
IN_A_PAIR = 4  # variables in a pair at most; its truth tables have a row for each of their 16 assignments
RELATIONS = ["equals", "entails", "is entailed by", "negates", "excludes", "covers", "is independent of"]
OPERATORS = ["not", "and", "or"]
WORDS = ["?", "(", ")", *OPERATORS, *VARIABLES, *RELATIONS]
ID = {word: number for number, word in enumerate(WORDS, start=FIRST)}
TABLES = [sum(1 << row for row in range(16) if row >> variable & 1) for variable in range(IN_A_PAIR)]
TRUE = (1 << 16) - 1
POOL = 64  # formulas of each side that pairs are chosen from
SHARE = 8  # rows that share a pool: in one pool few pairs are equal, and they would come again and again
TRIES = 100  # of pairs with one relation, of which a tenth is for test
PARTS = 10  # of all pairs; one is for test and one for val
PARTS_OF: Mapping[Split, tuple[int, ...]] = {"test": (0,), "val": (1,), "train": tuple(range(2, PARTS))}


class Formula(NamedTuple):
    """Its words, with spaces between, and its truth table: a bit for each assignment."""

    text: str
    table: int


@dataclass
class Inference(Task):
    """Say which of seven relations holds between two formulas (Bowman et al. 2015, Tree-structured Composition in
    Neural Networks; Tran et al. 2018, The Importance of Being Recurrent for Modeling Hierarchical Structure).

    With 2 operators:

        source          ( a and ( not b ) ) ? a
        decoder_input   ?
        labels          entails

    Measures whether a model composes meaning along the brackets: words and their order tell little by themselves. The
    relations are those of natural logic (MacCartney & Manning 2009): p equals, entails or is entailed by q, negates it
    (one of both is true, never both), excludes it (never both), covers it (always one at least), or none of these.

    `operators` is the number of operators of one formula; the other one has as many or fewer. All relations are equally
    frequent, formulas that are always true or never are left out, and a pair has up to four of six variables. Pairs are
    held out from training whatever their variables are called.
    """

    parameters: ClassVar[tuple[str, ...]] = ("operators",)

    @property
    def source_vocab_size(self) -> int:
        return FIRST + len(WORDS)

    def draw(self, rng: np.random.Generator, rows: int, point: Point, split: Split) -> Drawn:
        operators = at_least(1, point, "operators", "a formula without one is a variable")
        random = Random(int(rng.integers(2**62)))
        sources, labels = [], np.empty((rows, 1), np.int64)
        for row in range(rows):
            if row % SHARE == 0:
                first = [formula(random, operators) for _ in range(POOL)]
                second = [formula(random, random.randint(0, operators)) for _ in range(POOL)]
                related = relations(*(np.array([f.table for f in side]) for side in (first, second)))
                pairs = [found for r in range(len(RELATIONS)) if len(found := np.argwhere(related == r))]
            p, q = _pair(random, pairs, first, second, PARTS_OF[split])
            text, answer = f"{first[p].text} ? {second[q].text}", int(related[p, q])
            if random.random() < 0.5:
                text, answer = f"{second[q].text} ? {first[p].text}", turned(answer)
            names = dict(zip(VARIABLES, random.sample(VARIABLES, len(VARIABLES)), strict=True))
            sources.append([ID[names.get(word, word)] for word in text.split()])
            labels[row] = ID[RELATIONS[answer]]
        longest = max(map(len, sources), default=0)
        padded = [source + [PAD] * (longest - len(source)) for source in sources]
        source = np.array(padded, np.int64).reshape(rows, longest)
        return Drawn(source, decoder_input=np.full((rows, 1), ID["?"]), labels=labels)

    def chance(self, point: Point) -> dict[str, float]:
        return {"guessing": 1 / len(RELATIONS), "counting words": counting(point["operators"])}


@cache
def counting(operators: int) -> float:
    """Share right of who counts words and sees no order: the relation most frequent with such counts in training.

    A little more can be had from the exact counts, which are too many to tabulate: a lower bound.
    """
    rng, point = np.random.default_rng(operators), {"operators": operators}
    training, test = Inference().draw(rng, 8192, point, "train"), Inference().draw(rng, 1024, point, "test")
    alike: dict[tuple[object, ...], Counter[int]] = defaultdict(Counter)
    for source, relation in zip(training.source.tolist(), training.labels[:, 0].tolist(), strict=True):
        alike[_counts(source)][relation] += 1
    answers = [alike[_counts(source)].most_common(1) for source in test.source.tolist()]
    right = [answer[0][0] == label for answer, label in zip(answers, test.labels[:, 0], strict=True) if answer]
    return sum(right) / len(answers)


def _counts(source: list[int]) -> tuple[object, ...]:
    """How many variables both formulas have and each alone; for each: "not" even or odd, more "and" or more "or"."""
    middle = source.index(ID["?"])
    first, second = Counter(source[:middle]), Counter(source[middle:])
    in_first, in_second = ({v for v in VARIABLES if side[ID[v]]} for side in (first, second))
    shared = (len(in_first & in_second), len(in_first - in_second), len(in_second - in_first))
    each = [(side[ID["not"]] % 2, np.sign(side[ID["and"]] - side[ID["or"]])) for side in (first, second)]
    return (*shared, *each)


def formula(random: Random, operators: int) -> Formula:
    """A random formula with so many operators that is neither always true nor never."""
    while True:
        text, table = _formula(random.getrandbits, operators)
        if table not in (0, TRUE):
            return Formula(text, table)


def _formula(bits: Callable[[int], int], operators: int) -> tuple[str, int]:
    """Numbers are drawn as Random.randrange draws them, whose own calls would take most of the time."""
    if not operators:
        while (variable := bits(IN_A_PAIR.bit_length())) >= IN_A_PAIR:
            pass
        return VARIABLES[variable], TABLES[variable]
    while (operator := bits(2)) >= len(OPERATORS):
        pass
    if OPERATORS[operator] == "not":
        inner, table = _formula(bits, operators - 1)
        return f"( not {inner} )", TRUE ^ table
    while (left := bits(operators.bit_length())) >= operators:
        pass
    (a, p), (b, q) = _formula(bits, left), _formula(bits, operators - 1 - left)
    return (f"( {a} and {b} )", p & q) if OPERATORS[operator] == "and" else (f"( {a} or {b} )", p | q)


def relations(p: NDArray[np.int64], q: NDArray[np.int64]) -> NDArray[np.int64]:
    """Index of the relation between each of (P,) and each of (Q,) truth tables: (P, Q)."""
    p, q = p[:, None], q[None, :]
    never_both, always_one = (p & q) == 0, (p | q) == TRUE
    holding = [p == q, (p & ~q) == 0, (q & ~p) == 0, never_both & always_one, never_both, always_one]
    return np.select(holding, list(range(len(holding))), len(holding))


def turned(relation: int) -> int:
    """The relation of q to p, given that of p to q."""
    entails, entailed = RELATIONS.index("entails"), RELATIONS.index("is entailed by")
    return {entails: entailed, entailed: entails}.get(relation, relation)


def _pair(
    random: Random, pairs: list[NDArray[np.int64]], first: list[Formula], second: list[Formula], parts: tuple[int, ...]
) -> tuple[int, int]:
    """A random pair of a random relation in one of the parts; another relation where none is found."""
    while True:
        related = random.choice(pairs)
        for _ in range(TRIES):
            p, q = random.choice(related)
            if part(first[p].text, second[q].text) in parts:
                return int(p), int(q)


@lru_cache(2**12)  # the same short pairs come again and again
def part(first: str, second: str) -> int:
    """Which of all `PARTS` a pair belongs to, in whichever order and whatever its variables are called."""
    return zlib.crc32(min(_renamed(f"{first} ? {second}"), _renamed(f"{second} ? {first}")).encode()) % PARTS


def _renamed(text: str) -> str:
    """With variables numbered by their first use."""
    numbers: dict[str, int] = {}
    return " ".join(str(numbers.setdefault(w, len(numbers))) if w in VARIABLES else w for w in text.split())
