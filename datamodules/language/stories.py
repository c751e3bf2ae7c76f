"""Short generated stories in which who has what is told once, and asked for again and again."""

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from random import Random
from typing import ClassVar, Literal, NamedTuple

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
    """Who has how many of what in which colour; `said` is where each of these words was said last."""

    name: str
    number: str
    colour: str
    things: str
    said: dict[str, int]

    def sentence(self) -> list[str]:
        return [self.name, "has", self.number, self.colour, self.things, "."]

    def question(self, kind: str) -> tuple[list[str], dict[str, int]]:
        """A sentence that asks for a word again, and where in it each word of the fact is."""
        match kind:
            case "colour":
                return ["the", self.things, "of", self.name, "are", self.colour, "."], {"name": 3, "colour": 5}
            case "number":
                return [self.name, "counts", "the", self.things, ":", self.number, "."], {"name": 0, "number": 5}
        return ["the", self.things, "belong", "to", self.name, "."], {"name": 4}


KINDS = {"name": NAMES, "number": NUMBERS, "colour": COLOURS}


class Asked(NamedTuple):
    """A word that is asked for: how many words back it was said last, and how often two strategies without memory are
    right.

    A guess is among the words of its kind in the facts told so far; `latest` takes the last word of its kind that was
    said, of whatever things.
    """

    distance: int = 0
    guess: float = 0.0
    latest: float = 0.0


@dataclass
class Stories(Text):
    """Stories of one length, new ones at every step of training.

    A story of 28 words; below the words that are asked for, how many words back they were said:

        anna has three red glasses . ben goes to the river . the glasses of anna are red .
                                                                                      14
        anna counts the glasses : three . it rains
                                  22

    Each sentence says something new, asks for something said, or is about neither. What is asked for is drawn from all
    that was said, asked for before or not, so distances are spread over the story. Number and colour are drawn
    independently of all before, names without repetition; a thing has one owner. So nothing but the sentences about the
    same things tells an answer for sure. Without them the last word of its kind is always right up to 8 words back, in
    a fifth of cases from 17 to 32, and in a tenth farther back, less often than a guess among what was said.

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

    def _several(self, random: Random, count: int, context: int) -> Windows:
        stories = [story(random, context, self.facts) for _ in range(count)]
        ids = np.stack([self.encode(" ".join(words)) for words, _ in stories])
        tokens = np.concatenate([np.full((count, 1), BOS), ids], 1)
        distances, guess, latest = np.array([asked for _, asked in stories]).transpose(2, 0, 1)
        guesses = {"guessing among what was said": guess, "the last word of its kind": latest}
        return Windows(tokens, distances.astype(np.int64), guesses)


def story(random: Random, length: int, facts: int, *, once: bool = False) -> tuple[list[str], list[Asked]]:
    """The words of a story, cut to a length, and for each what `Asked` says, zeros if it is not asked for.

    With `once` no word of a fact is asked for that stood in a question before.
    """
    people, things = random.sample(NAMES, facts), random.sample(THINGS, facts)
    told: list[Fact] = []
    words: list[str] = []
    known: dict[int, Asked] = {}
    done: set[tuple[str, str]] = set()
    while len(words) < length:
        asked = [(fact, kind) for fact in told for kind in KINDS if (fact.things, kind) not in done]
        what, place = random.random(), len(words)
        if len(told) < facts and (not asked or what < 0.5):
            said = {"name": place, "number": place + 2, "colour": place + 3}
            told.append(Fact(people.pop(), random.choice(NUMBERS), random.choice(COLOURS), things.pop(), said))
            sentence = told[-1].sentence()
        elif asked and what < 0.9:
            fact, kind = random.choice(asked)
            sentence, places = fact.question(kind)
            asked_at = place + places[kind]
            alike = sum(getattr(other, kind) == getattr(fact, kind) for other in told)
            before = chain(reversed(sentence[: places[kind]]), reversed(words))
            latest = next(word for word in before if word in KINDS[kind]) == getattr(fact, kind)
            known[asked_at] = Asked(asked_at - fact.said[kind], alike / len(told), float(latest))
            fact.said |= {word: place + at for word, at in places.items()}
            if once:
                done |= {(fact.things, word) for word in places}
        else:
            doing = (["it", "rains", "at"], [random.choice(NAMES), "goes", "to"])[what < 0.95]
            sentence = [*doing, "the", random.choice(PLACES), "."]
        words += sentence
    return words[:length], [known.get(place, Asked()) for place in range(length)]
