"""Masked word: a word left out of a story, which is said once more before or after the gap."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from datamodules.language.stories import COLOURS, EVERY_WORD, NAMES, NUMBERS, story
from datamodules.tasks.task import FIRST, Drawn, Point, Split, Task

WORDS = {word: number for number, word in enumerate(EVERY_WORD, start=FIRST)}  # as in a model of the stories
MASK = FIRST + len(WORDS)
HIDDEN = {*COLOURS, *NUMBERS}
BEFORE_ANSWERS = ("are", ":")  # the words before a colour or number that answers a question
DRAWN = 2000  # stories that a chance is counted on
NEAREST = 8  # words: nothing is asked for sooner after it was said


@dataclass
class MaskedWord(Task):
    """Fill the gap in a story (after Devlin et al. 2019, BERT, section 3.1, where 15 % of all words are masked).

    With a clue 14 words after the gap:

        source          anna has three _ glasses . it rains at the river . the glasses of anna are red .
        decoder_input   _
        labels          red

    Measures what a model makes of both sides of a word. The stories are those of `datamodules.language.stories`, where
    a colour and a number are said of somebody's things and asked for once more. Either mention can be the gap: the
    other one, the clue, comes after it or before it, and without the clue every colour or number is as likely. The
    farther the clue, the more often other colours or numbers are nearer, so that it takes to know whose is which; after
    the gap rarely, because few of them answer a question.

    `clue` is the number of words from the gap to the clue, below 0 if the clue comes first; a point has all distances
    there are from more than half of it to the whole. At 8, the least, it is always a colour, and the nearest one.

    Args:
        words: Length of a story.
        facts: How many people have something, at most.
    """

    words: int = 64
    facts: int = 6
    parameters: ClassVar[tuple[str, ...]] = ("clue",)

    def __post_init__(self) -> None:
        if not 1 <= self.facts <= len(NAMES) or self.words < 2 * NEAREST:
            raise ValueError(
                f"data.task has facts {self.facts} and words {self.words}: facts must be from 1 to {len(NAMES)}, words "
                f"at least {2 * NEAREST}."
            )

    @property
    def source_vocab_size(self) -> int:
        return MASK + 1

    def draw(self, rng: np.random.Generator, rows: int, point: Point, split: Split) -> Drawn:
        clue = point["clue"]
        if not NEAREST <= abs(clue) <= self.words // 2:
            raise ValueError(
                f"clue is {clue}, but in a story of {self.words} words it is that far from the gap, before or after: "
                f"ask for {NEAREST} to {self.words // 2}, or as much below 0"
            )
        random = Random(int(rng.integers(2**62)))
        source = np.empty((rows, self.words), np.int64)
        labels = np.empty((rows, 1), np.int64)
        for row in range(rows):
            words, gap = self._story(random, clue)
            source[row] = self.ids(words)
            labels[row] = source[row, gap]
            source[row, gap] = MASK
        return Drawn(source, decoder_input=np.full((rows, 1), MASK), labels=labels)

    def chance(self, point: Point) -> dict[str, float]:
        """Accuracy of a guess among all colours or numbers, which is the best for a gap without its clue, and of a
        reader who knows that a fact is told before it is asked for, but not whose it is."""
        return {"guessing": 1 / len(COLOURS), "the nearest in a sentence like the clue's": self.nearest(point["clue"])}

    def nearest(self, clue: int) -> float:
        """How often the nearest colour or number that was told, or after the gap that answers, is the right one."""
        random, right = Random(clue), 0
        for _ in range(DRAWN):
            words, gap = self._story(random, clue)
            kind = COLOURS if words[gap] in COLOURS else NUMBERS
            towards = range(gap - 1, 0, -1) if clue < 0 else range(gap + 1, len(words))
            answers = clue > 0
            found = (words[i] for i in towards if words[i] in kind and (words[i - 1] in BEFORE_ANSWERS) == answers)
            right += next(found) == words[gap]
        return right / DRAWN

    def _story(self, random: Random, clue: int) -> tuple[list[str], int]:
        """A story, and the place of a word that has its other mention as far away as `clue` says."""
        farthest = abs(clue)
        while True:
            words, asked = story(random, self.words, self.facts, once=True)
            found = [
                (place, distance)
                for place, (distance, *_) in enumerate(asked)
                if farthest // 2 < distance <= farthest and words[place] in HIDDEN
            ]
            if found:
                place, distance = random.choice(found)
                return words, place if clue < 0 else place - distance

    @staticmethod
    def ids(words: list[str]) -> NDArray[np.int64]:
        return np.array([WORDS[word] for word in words], dtype=np.int64)
