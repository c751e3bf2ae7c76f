"""Short generated stories in which who has what is said once and asked for later."""

from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import ClassVar, Literal

import numpy as np

from datamodules.batch import BOS
from datamodules.language.text import Split, Text, Tokens, Windows

NAMES = ["anna", "ben", "clara", "david", "emma", "felix", "greta", "henry", "ida", "jonas", "karla", "leo"]
THINGS = ["apples", "books", "boots", "cups", "flowers", "glasses", "hats", "keys", "lamps", "pens", "plates", "shoes"]
COLOURS = ["black", "blue", "brown", "green", "grey", "red", "white", "yellow"]
NUMBERS = ["two", "three", "four", "five", "six", "seven", "eight", "nine"]
PLACES = ["bridge", "garden", "harbour", "market", "river", "station"]
GRAMMAR = ["has", ".", "the", "of", "are", "counts", ":", "belong", "to", "goes", "it", "rains", "at"]
EVERY_WORD = [*GRAMMAR, *NAMES, *THINGS, *COLOURS, *NUMBERS, *PLACES]


@dataclass
class Fact:
    """Who has how many of what in which colour; `said` is where each of these words was said."""

    name: str
    number: str
    colour: str
    things: str
    said: dict[str, int]
    open: list[str] = field(default_factory=lambda: ["name", "number", "colour"])  # what has not been asked for

    def sentence(self) -> list[str]:
        return [self.name, "has", self.number, self.colour, self.things, "."]

    def question(self, kind: str) -> tuple[list[str], int]:
        """A sentence that asks for a word again, and the place of that word in it."""
        match kind:
            case "colour":
                return ["the", self.things, "of", self.name, "are", self.colour, "."], 5
            case "number":
                return [self.name, "counts", "the", self.things, ":", self.number, "."], 5
        return ["the", self.things, "belong", "to", self.name, "."], 4


@dataclass
class Stories(Text):
    """Stories of one length, new ones at every step of training.

    A story of 28 words; below the words that are asked for, how many words back they were said:

        anna has three red glasses . ben goes to the river . the glasses of anna are red .
                                                                                      14
        anna counts the glasses : three . it rains
                                  22

    Each sentence says something new, asks for something said, or is about neither. What is asked for is drawn from all
    that was said and not yet asked for, so distances are spread over the story. Name, number and colour are drawn
    independently of each other and of all before, and said once; a thing has one owner. So nothing but the sentence
    that said it tells an answer: without it there are only guesses among as many words as there are of its kind.

    Args:
        facts: How many people have something, at most.
    """

    facts: int = 6
    unit: ClassVar[Literal["character", "word"]] = "word"
    between: ClassVar[str] = " "
    opening: ClassVar[tuple[int, ...]] = (BOS,)

    def __post_init__(self) -> None:
        if not 1 <= self.facts <= len(NAMES):
            raise ValueError(f"data.text.facts is {self.facts}; it must be from 1 to {len(NAMES)}.")
        self.symbols = EVERY_WORD

    def read(self, data_dir: Path, context: int) -> None:
        """Nothing is read: stories are made."""

    def draw(self, rng: np.random.Generator, rows: int, context: int) -> Tokens:
        """New stories; all randomness comes from `rng`."""
        return self._several(Random(int(rng.integers(2**62))), rows, context).tokens

    def windows(self, split: Split, count: int, context: int, *, apart: bool = True) -> Windows:
        """As many stories as are wanted, the same ones at every call."""
        return self._several(Random(f"{split} of stories"), count, context)

    def chance(self) -> dict[str, float]:
        """A guess among the words of a kind; names are fewest to guess where few people are in a story."""
        return {"guessing": 1 / len(COLOURS)}

    def _several(self, random: Random, count: int, context: int) -> Windows:
        stories = [story(random, context, self.facts) for _ in range(count)]
        ids = np.stack([self.encode(" ".join(words)) for words, _ in stories])
        tokens = np.concatenate([np.full((count, 1), BOS), ids], 1)
        return Windows(tokens, np.array([distances for _, distances in stories], dtype=np.int64))


def story(random: Random, length: int, facts: int) -> tuple[list[str], list[int]]:
    """The words of a story, cut to a length; for each how many words back it was said if it is asked for, else 0."""
    people, things = random.sample(NAMES, facts), random.sample(THINGS, facts)
    told: list[Fact] = []
    words: list[str] = []
    known: dict[int, int] = {}
    while len(words) < length:
        asked = [(fact, kind) for fact in told for kind in fact.open]
        what, place = random.random(), len(words)
        if len(told) < facts and (not asked or what < 0.5):
            said = {"name": place, "number": place + 2, "colour": place + 3}
            told.append(Fact(people.pop(), random.choice(NUMBERS), random.choice(COLOURS), things.pop(), said))
            sentence = told[-1].sentence()
        elif asked and what < 0.9:
            fact, kind = random.choice(asked)
            fact.open = [other for other in fact.open if other not in (kind, "name")]  # the question names the owner
            sentence, at = fact.question(kind)
            known[place + at] = place + at - fact.said[kind]
        else:
            doing = (["it", "rains", "at"], [random.choice(NAMES), "goes", "to"])[what < 0.95]
            sentence = [*doing, "the", random.choice(PLACES), "."]
        words += sentence
    return words[:length], [known.get(place, 0) for place in range(length)]
