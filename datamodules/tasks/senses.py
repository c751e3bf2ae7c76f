"""Senses: what a word with two senses did, which a place in the sentence tells."""

from dataclasses import dataclass
from functools import cache
from random import Random
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from datamodules.batch import PAD
from datamodules.tasks.task import FIRST, Drawn, Point, Split, Task

NOUNS = {  # what each does outdoors, and what in town
    "bank": ("flooded", "closed"),
    "bat": ("slept", "cracked"),
    "crane": ("flew", "rusted"),
    "mole": ("dug", "spied"),
    "mouse": ("squeaked", "clicked"),
    "plant": ("grew", "hired"),
    "seal": ("swam", "broke"),
    "spring": ("bubbled", "snapped"),
}
PLACES = (
    ["cave", "forest", "hill", "lake", "meadow", "river"],
    ["factory", "market", "office", "shop", "station", "street"],
)
PHRASES = [["again"], ["today"], ["at", "noon"], ["once", "more"], ["in", "the", "rain"], ["for", "an", "hour"]]
_OTHERS = {"the", "by", ",", ".", *(word for phrase in PHRASES for word in phrase)}
WORDS = ["_", *NOUNS, *PLACES[0], *PLACES[1], *(verb for verbs in NOUNS.values() for verb in verbs), *sorted(_OTHERS)]
ID = {word: number for number, word in enumerate(WORDS, start=FIRST)}
GAP = ID["_"]
SENSE = {place: sense for sense, places in enumerate(PLACES) for place in places}
NEAREST = 8  # words: the clues of a point lie between half as far and as far as it says
CLAUSES = 2  # of a sentence
PARTS = 6  # of all pairs of a noun and a place; one is for test and one for val
PARTS_OF: dict[Split, tuple[int, ...]] = {"test": (0,), "val": (1,), "train": tuple(range(2, PARTS))}
DRAWN = 2000  # sentences that a chance is counted on


@dataclass
class Senses(Task):
    """Fill in what a word with two senses did (after "the bank by the river"; tasks of Tang et al. 2018, Why
    Self-Attention?, ask the same of translations).

    With the place 8 words after the noun:

        source          by the office the crane rusted at noon , the bank _ for an hour again by the river .
        decoder_input   _
        labels          flooded

    Measures what a model makes of the words on both sides of a word: each of eight nouns is one thing outdoors and
    another in town, and only the place by which it is tells which. The other noun of a sentence has its own place,
    before or after it, which can be nearer.

    `clue` is the number of words from the noun to its place, below 0 if the place comes first; a point has all
    distances from more than half of it to the whole. The gap follows the noun. Nouns, senses and places are uniform. A
    noun in val or test is by places that it is not by in training.
    """

    parameters: ClassVar[tuple[str, ...]] = ("clue",)

    @property
    def source_vocab_size(self) -> int:
        return FIRST + len(WORDS)

    def draw(self, rng: np.random.Generator, rows: int, point: Point, split: Split) -> Drawn:
        clue = point["clue"]
        if abs(clue) < NEAREST:
            raise ValueError(
                f"clue is {clue}, but the words between take some room: ask for {NEAREST} or more, or as much below 0"
            )
        random = Random(int(rng.integers(2**62)))
        sources, labels = [], np.empty((rows, 1), np.int64)
        for row in range(rows):
            words, gap = sentence(random, clue, split)
            sources.append([ID[word] for word in words])
            labels[row] = sources[row][gap]
            sources[row][gap] = GAP
        source = np.full((rows, max(map(len, sources), default=0)), PAD)
        for row, ids in enumerate(sources):
            source[row, : len(ids)] = ids
        return Drawn(source, decoder_input=np.full((rows, 1), GAP), labels=labels)

    def chance(self, point: Point) -> dict[str, float]:
        """Accuracy of who sees the noun but no place, and of who takes the place that is nearest to it."""
        return {"the noun alone": 1 / 2, "the nearest place": nearest(point["clue"])}

    @staticmethod
    def noun(source: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where in each row of (B, S) ids the noun is that is asked about: (B,)."""
        return (source == GAP).argmax(1) - 1

    @staticmethod
    def place(source: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where in each row of (B, S) ids the place is that tells its sense, in the same clause: (B,)."""
        clause = (source == ID[","]).cumsum(1)
        own = clause == clause[source == GAP][:, None]
        return (own & np.isin(source, [ID[place] for place in SENSE])).argmax(1)

    @staticmethod
    def sense(labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which of its two senses the noun has, 0 or 1, by the verb: labels (B, 1) -> (B,)."""
        return (labels[:, 0] - ID[NOUNS["bank"][0]]) % 2


def sentence(random: Random, clue: int, split: Split) -> tuple[list[str], int]:
    """The words of a sentence, and which of them is the verb whose noun has its place as far away as `clue` says."""
    nouns = random.sample(list(NOUNS), CLAUSES)
    asked, words, gap = random.randrange(len(nouns)), list[str](), 0
    for i, noun in enumerate(nouns):
        far = clue if i == asked else random.choice((-NEAREST, NEAREST))
        clause, verb = a_clause(random, noun, random.randint(abs(far) // 2 + 1, abs(far)), far < 0, split)
        gap = len(words) + verb if i == asked else gap
        words += [*clause, "," if i < len(nouns) - 1 else "."]
    return words, gap


def a_clause(random: Random, noun: str, distance: int, place_first: bool, split: Split) -> tuple[list[str], int]:
    """A clause with so many words from the noun to its place, and which of them is the verb."""
    sense, n = random.randrange(2), list(NOUNS).index(noun)
    place = random.choice([p for i, p in enumerate(PLACES[sense]) if (n + i) % PARTS in PARTS_OF[split]])
    where, what = ["by", "the", place], ["the", noun, NOUNS[noun][sense]]
    if place_first:
        words = [*where, *phrases(random, distance - 2), *what]
        return words, len(words) - 1
    return [*what, *phrases(random, distance - 4), *where], 2


def phrases(random: Random, words: int) -> list[str]:
    """So many words that tell nothing."""
    found: list[str] = []
    while len(found) < words:
        found += random.choice([phrase for phrase in PHRASES if len(found) + len(phrase) <= words])
    return found


@cache
def nearest(clue: int) -> float:
    """How often the place nearest to the noun, on either side, is in the sense that the noun has."""
    random, right = Random(clue), 0
    for _ in range(DRAWN):
        words, gap = sentence(random, clue, "test")
        noun = gap - 1
        places = [i for i, word in enumerate(words) if word in SENSE]
        told = SENSE[words[min(places, key=lambda i: abs(i - noun))]]
        right += words[gap] == NOUNS[words[noun]][told]
    return right / DRAWN
