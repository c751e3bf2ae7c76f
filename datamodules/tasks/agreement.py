"""Agreement: the verb in the number of a distant subject, across nouns of the other number."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import ClassVar, NamedTuple, TypeVar

import numpy as np
import yaml
from numpy.typing import NDArray

from datamodules.batch import BOS, PAD, SPECIAL_TOKENS
from datamodules.tasks.task import FIRST, Drawn, Point, Split, Task

T = TypeVar("T")
Slot = int | str  # a word, or a placeholder: ANY noun, a PLACE, a VERB ...

LONGEST = 256  # the largest distance
WORDS_PER_NOUN = 3  # "near the table"
PARTS = 10  # parts of all combinations of a subject and what follows it; one is for test and one for val
PARTS_OF: Mapping[Split, tuple[int, ...]] = {"test": (0,), "val": (1,), "train": tuple(range(2, PARTS))}


def _entries(table: str) -> list[list[str]]:
    """Entries of a table, separated by semicolons or line ends, each as words."""
    return [entry.split() for entry in table.replace("\n", ";").split(";") if entry.strip()]


_TABLES = yaml.safe_load(Path(__file__).with_name("agreement_words.yaml").read_text(encoding="utf-8"))
NOUNS: dict[str, str] = _TABLES["nouns"]
VERBS: dict[str, str] = _TABLES["verbs"]
CHOICES: dict[str, str] = _TABLES["choices"]
# (state before, state after): weight of all together, and the phrases
MODIFIERS: dict[tuple[str, str], tuple[float, str]] = {
    (before, after): (weight, _TABLES["phrases"][phrases]) for before, after, weight, phrases in _TABLES["modifiers"]
}
VERB_FORMS = ("is", "are")
_NOUN_FORMS = [form for table in NOUNS.values() for entry in _entries(table) for form in entry]
_OTHERS = {"the", "and"}
_OTHERS |= {
    word for _, table in MODIFIERS.values() for entry in _entries(table) for word in entry if not word.isupper()
}
_OTHERS |= {word for table in (*VERBS.values(), *CHOICES.values()) for entry in _entries(table) for word in entry}
WORDS: list[str] = [*SPECIAL_TOKENS, *VERB_FORMS, *_NOUN_FORMS, *sorted(_OTHERS)]
ID = {word: number for number, word in enumerate(WORDS)}
FIRST_NOUN = ID[_NOUN_FORMS[0]]
LEXEMES = len(_NOUN_FORMS) // 2
THE, AND = ID["the"], ID["and"]

_KIND = [kind for kind, table in NOUNS.items() for _ in _entries(table)]  # of each lexeme
NOUNS_FOR: dict[str, list[int]] = {"ANY": list(range(LEXEMES))}
NOUNS_FOR |= {kind: [lexeme for lexeme in range(LEXEMES) if _KIND[lexeme] == kind] for kind in NOUNS}
WORDS_FOR = {name: [ID[word] for word in words.split()] for name, words in CHOICES.items()}
VERBS_FOR = {
    (name, kind): [ID[entry[form]] for entry in _entries(table)]
    for kind, table in VERBS.items()
    for form, name in enumerate(("VERB", "INFINITIVE"))
}
SUBJECTS = [range(part, LEXEMES, PARTS) for part in range(PARTS)]


class Modifiers(NamedTuple):
    """Interchangeable modifiers; `ends` is the grammar's state after them."""

    ends: str
    words: int
    nouns: int
    weight: float
    choices: tuple[tuple[Slot, ...], ...]


def _grammar() -> dict[str, list[Modifiers]]:
    """Modifiers by the state they may follow, grouped by length and number of nouns."""
    grammar: dict[str, list[Modifiers]] = {ends.removeprefix("next "): [] for pair in MODIFIERS for ends in pair}
    for (before, after), (weight, table) in MODIFIERS.items():
        by_size: dict[tuple[int, int], list[tuple[Slot, ...]]] = {}
        for entry in _entries(table):
            slots: list[Slot] = [*([AND] if after == "next verb" else []), *(ID.get(word, word) for word in entry)]
            by_size.setdefault((len(slots), sum(slot in NOUNS_FOR for slot in slots)), []).append(tuple(slots))
        for (words, nouns), choices in by_size.items():
            share = weight * len(choices) / len(_entries(table))
            grammar[before].append(Modifiers(after.removeprefix("next "), words, nouns, share, tuple(choices)))
    return grammar


GRAMMAR = _grammar()


@cache
def _weight(ends: str, words: int, nouns: int) -> float:
    """Weight of all modifier sequences of so many words and nouns that may follow; 0 if there is none."""
    return sum(_branches(ends, words, nouns).values()) if words else float(nouns == 0)


@cache
def _branches(ends: str, words: int, nouns: int) -> dict[Modifiers, float]:
    """Weight of the modifier sequences of so many words and nouns, by their first modifiers."""
    return {
        modifiers: modifiers.weight * _weight(modifiers.ends, words - modifiers.words, nouns - modifiers.nouns)
        for modifiers in GRAMMAR[ends]
        if modifiers.words <= words and modifiers.nouns <= nouns
    }


@cache
def _shares(ends: str, words: int, nouns: int) -> list[tuple[float, Modifiers]]:
    """Possible next modifiers of an exact filling, with cumulative probabilities up to 1."""
    branches = {modifiers: weight for modifiers, weight in _branches(ends, words, nouns).items() if weight}
    total = sum(branches.values())
    sums = [weight / total for weight in accumulate(branches.values())]
    return list(zip([*sums[:-1], 1.0], branches, strict=True))


def possible(distance: int, nouns: int) -> bool:
    """Whether there are sentences with so many words and nouns between subject and verb."""
    return 0 <= distance <= LONGEST and 0 <= nouns <= distance // WORDS_PER_NOUN


@dataclass
class Agreement(Task):
    """Give the verb in the number of its subject (after Linzen et al. 2016, Assessing the Ability of LSTMs to Learn
    Syntax-Sensitive Dependencies; theirs are corpus sentences, these are generated).

    With a distance of 9, 1 noun in between and 1 attractor, a noun of the other number:

        source          the glasses that I bought from the store downtown long ago
        decoder_input   <s>
        labels          are

    Measures whether a model keeps the number of one word across meaningful words, some of which contradict it. The
    subject is always the second word. `distance` is the number of words between subject and verb, `nouns` the number
    of nouns among them, `attractors` the number of nouns of the other number among those, in any order. Every
    determiner is "the", and every other verb is past tense or infinitive. Pronouns and adverbs are not counted as
    nouns.

    Trained on 0, 1 .. `nouns` attractors equally often, nothing but the subject tells the answer: a plural among the
    others is an attractor of a singular subject as often as not, so that whatever their numbers and order are, half of
    the subjects are plural. `without_subject` gives what another training would leave to a rule that never sees the
    subject. A single point tells more: with `attractors` = `nouns` the answer is the number that no other noun has.

    Every noun is a subject in training, but not in every context: (subject + third word + fourth word + first noun
    after the subject) modulo 10, in ids of words and indices of nouns, is 0 in test, 1 in val and 2 .. 9 in training.
    At distance 0, where nothing follows, all splits have the same sentences.
    """

    parameters: ClassVar[tuple[str, ...]] = ("distance", "nouns", "attractors")
    shared_vocabulary: ClassVar[bool] = False
    words: ClassVar[list[str]] = WORDS
    lexemes: ClassVar[int] = LEXEMES

    @property
    def source_vocab_size(self) -> int:
        return len(WORDS)

    @property
    def target_vocab_size(self) -> int:
        """ "is" and "are" have the first ids."""
        return FIRST + len(VERB_FORMS)

    def draw(self, rng: np.random.Generator, rows: int, point: Point, split: Split) -> Drawn:
        distance, nouns, attractors = _checked(point)
        random = Random(int(rng.integers(2**62)))
        sentences = [_sentence(random, distance, nouns, attractors, PARTS_OF[split]) for _ in range(rows)]
        source = np.array(sentences, np.int64).reshape(rows, 2 + distance)
        plural = (source[:, 1:2] - FIRST_NOUN) % 2
        return Drawn(source, decoder_input=np.full((rows, 1), BOS), labels=ID["is"] + plural)

    def chance(self, point: Point) -> dict[str, float]:
        """Accuracy of guessing, and of agreeing with other nouns than the subject.

        The nearest noun is the one next to the verb, or the subject if there is no other; most nouns include the
        subject, with a guess if singular and plural nouns are equally many.
        """
        _, nouns, attractors = _checked(point)
        nearest = 1 - attractors / nouns if nouns else 1.0
        most = _more(1 + nouns - attractors, attractors)
        return {"guessing": 0.5, "agrees with the nearest noun": nearest, "agrees with most nouns": most}

    def without_subject(self, point: Point, trained: Sequence[Point]) -> float:
        """Accuracy of the best rule for the `trained` points, all equally frequent, that never sees the subject.

        It knows distance and numbers of the other nouns. Their order is uniform, so it can do no better than to ask
        whether so many singulars and plurals were more often around a singular or a plural subject. At a distance
        without such sentences in training it decides by those of all distances.
        """
        _, nouns, attractors = _checked(point)
        alike = [known for known in trained if known["nouns"] == nouns]
        alike = [known for known in alike if known["distance"] == point["distance"]] or alike
        seen = Counter(known["attractors"] for known in alike)
        return _more(seen[attractors], seen[nouns - attractors])

    def with_other_subject(self, drawn: Drawn) -> Drawn:
        """The same sentences with their subject, and so the verb, in the other number."""
        source, labels = drawn.source.copy(), drawn.labels.copy()
        source[:, 1] = FIRST_NOUN + ((source[:, 1] - FIRST_NOUN) ^ 1)
        return drawn._replace(source=source, labels=ID["is"] + ID["are"] - labels)

    def text(self, source: NDArray[np.int64]) -> str:
        """One source (S,) as words, without padding."""
        return " ".join(WORDS[word] for word in source if word != PAD)

    def head_noun(self, source: NDArray[np.int64]) -> NDArray[np.int64]:
        """Index of the subject's noun in the lexicon, below `lexemes`: sources (rows, S) -> (rows,)."""
        return (source[:, 1] - FIRST_NOUN) // 2


def _more(right: float, wrong: float) -> float:
    """Accuracy of following the majority, with a guess if there is none."""
    return 0.5 + 0.5 * float(np.sign(right - wrong))


def _checked(point: Point) -> tuple[int, int, int]:
    distance, nouns, attractors = point["distance"], point["nouns"], point["attractors"]
    if not 0 <= distance <= LONGEST:
        raise ValueError(f"distance is {distance}, but it is a number of words: ask for 0 to {LONGEST}")
    if not possible(distance, nouns):
        raise ValueError(
            f"nouns is {nouns}, but a distance of {distance} has room for 0 to {distance // WORDS_PER_NOUN}, "
            f"each in {WORDS_PER_NOUN} words: ask for fewer nouns or a larger distance"
        )
    if not 0 <= attractors <= nouns:
        raise ValueError(f"attractors is {attractors}, but it is how many of the nouns differ: ask for 0 to {nouns}")
    return distance, nouns, attractors


def _sentence(random: Random, distance: int, nouns: int, attractors: int, parts: tuple[int, ...]) -> list[int]:
    """Ids of the words before the verb; `parts` are the allowed parts of the combinations."""
    opposite = [True] * attractors + [False] * (nouns - attractors)
    random.shuffle(opposite)
    slots = _skeleton(random, distance, nouns)
    slots = [_pick(random, WORDS_FOR[slot]) if slot in WORDS_FOR else slot for slot in slots]
    kinds = [(place, str(slot)) for place, slot in enumerate(slots) if slot in NOUNS_FOR]
    lexemes = [_pick(random, NOUNS_FOR[kind]) for _, kind in kinds]
    subject = _subject(random, slots[:2], lexemes[:1], parts)
    plural = random.random() < 0.5
    for number, (place, kind) in enumerate(kinds):
        while number and lexemes[number] in (subject, lexemes[number - 1]):
            lexemes[number] = _pick(random, NOUNS_FOR[kind])
        slots[place] = _noun(lexemes[number], plural != opposite[number])
    rest = [slot if isinstance(slot, int) else _pick(random, VERBS_FOR[slot, _KIND[subject]]) for slot in slots]
    return [THE, _noun(subject, plural), *rest]


def _subject(random: Random, follows: list[Slot], first_noun: list[int], parts: tuple[int, ...]) -> int:
    """A subject in one of the parts, different from the first noun after it."""
    follower = sum(int(word) for word in follows) + sum(first_noun)
    while True:
        subject = _pick(random, SUBJECTS[(_pick(random, parts) - follower) % PARTS] if follows else NOUNS_FOR["ANY"])
        if subject not in first_noun:
            return subject


def _skeleton(random: Random, distance: int, nouns: int) -> list[Slot]:
    """The slots after the subject: a random modifier sequence of so many words and nouns, by weight."""
    slots: list[Slot] = []
    ends = "noun"
    while len(slots) < distance:
        draw = random.random()
        chosen = next(m for share, m in _shares(ends, distance - len(slots), nouns) if draw < share)
        slots += _pick(random, chosen.choices)
        ends, nouns = chosen.ends, nouns - chosen.nouns
    return slots


def _noun(lexeme: int, plural: bool) -> int:
    return FIRST_NOUN + 2 * lexeme + plural


def _pick(random: Random, choices: Sequence[T]) -> T:
    """A uniform choice, several times faster than `Random.choice`."""
    return choices[int(random.random() * len(choices))]
