"""Random English sentences of a given length with their German translations."""

from random import Random
from typing import Literal, NamedTuple

from datamodules.embedded.morphology import ADJECTIVES, NOUNS, VERBS, Tense, third_person
from datamodules.embedded.phrases import (
    Clause,
    Front,
    Pair,
    Phrase,
    Predicate,
    final_clause,
    full,
    joined,
    main_clause,
    pronoun,
    sentence,
)
from datamodules.embedded.random_phrases import (
    ANY_TENSE,
    BY_SUBJECT,
    FRAMES,
    LIFELESS,
    LIVING,
    count,
    phrase,
    predicate_for,
)


class SentencePair(NamedTuple):
    """An English sentence and its German translation.

    Attributes:
        german_contrast: the German sentence with its first main verb in the wrong number, one word different; None
            if that is grammatical too.
        subject_number: number of that verb's subject.
        distance: German words between the subject's head noun and the verb; 0 if the verb comes first.
        attractors: nouns between them with the other number, except those of time expressions.
    """

    english: str
    german: str
    german_contrast: str | None
    subject_number: Literal["singular", "plural"]
    distance: int
    attractors: int

    @property
    def words(self) -> int:
        """Length of the English sentence in words."""
        return len(self.english.split())


WEATHER = (
    Pair(["it", "rains"], ["es", "regnet"]),
    Pair(["it", "snows"], ["es", "schneit"]),
    Pair(["the", "sun", "shines"], ["die", "Sonne", "scheint"]),
    Pair(["it", "is", "cold"], ["es", "kalt", "ist"]),
    Pair(["it", "is", "dark"], ["es", "dunkel", "ist"]),
)
CONJUNCTIONS: tuple[tuple[str, str, tuple[Tense, ...]], ...] = (
    ("because", "weil", ANY_TENSE),
    ("although", "obwohl", ANY_TENSE),
    ("if", "wenn", ("now",)),
    ("while", "während", ("now",)),
)
LONGEST_UNIT = 20
REPETITION_WINDOW = 10
NOT_TWICE = frozenset(
    [noun.english for nouns in NOUNS.values() for noun in nouns]
    + [noun.english_plural for nouns in NOUNS.values() for noun in nouns]
    + [adjective.english for adjectives in ADJECTIVES.values() for adjective in adjectives]
    + [form.split()[0] for verb in VERBS for form in (verb.english, third_person(verb.english))]
    + ["no"]
)


def generate_pair(rng: Random, words: int) -> SentencePair:
    """Draw a sentence pair of `words` English words, at least 3, or one more or less."""
    if words < 3:
        raise ValueError(f"words is {words}, but the shortest sentence has 3 words: ask for 3 or more")
    while True:
        clause = compound(rng, words)
        if abs(count(clause.words) - words) <= 1 and not repeats(clause.words.english):
            return written(clause)


def repeats(words: list[str]) -> bool:
    """Whether a noun, verb, adjective or "no" is repeated within a few words: a chef who sleeps sleeps."""
    last_seen: dict[str, int] = {}
    for position, word in enumerate(words):
        if word in NOT_TWICE and position - last_seen.get(word, -REPETITION_WINDOW) < REPETITION_WINDOW:
            return True
        last_seen[word] = position
    return False


def written(clause: Clause) -> SentencePair:
    """The sentence of a clause, with its contrast."""
    german = clause.words.german
    contrast = [*german[: clause.verb_at], clause.verb_swapped, *german[clause.verb_at + 1 :]]
    between = [word for word in german[clause.subject_at + 1 : clause.verb_at] if word != ","]
    after_verb = clause.subject_at > clause.verb_at
    plural = clause.subject.plural
    return SentencePair(
        english=sentence(clause.words.english),
        german=sentence(german),
        german_contrast=sentence(contrast) if clause.swap_is_wrong else None,
        subject_number="plural" if plural else "singular",
        distance=0 if after_verb else len(between),
        attractors=0 if after_verb else sum(other != plural for other in clause.subject.plurals[1:]),
    )


def compound(rng: Random, words: int, antecedent: Phrase | None = None) -> Clause:
    """One unit, or several joined by "and" or "but"; a unit has one main clause."""
    if words <= LONGEST_UNIT and (words < 11 or rng.random() < 0.75):
        return unit(rng, words, antecedent)
    share = rng.randint(5, min(LONGEST_UNIT, words - 6))
    first = unit(rng, share, antecedent)
    second = compound(rng, words - 1 - count(first.words), first.subject)
    english, german = rng.choice((("and", "und"), ("but", "aber")))
    return first._replace(words=joined(first.words, Pair([",", english], [",", german]), second.words))


def unit(rng: Random, words: int, antecedent: Phrase | None) -> Clause:
    """A main clause, alone or with one subordinate clause: before it, after it, or as the object of a speech verb."""
    if words < 8 or rng.random() < 0.45:
        return simple(rng, words, antecedent)
    shape = rng.choice(("before", "after", "said"))
    if shape == "said":
        return said(rng, words, antecedent)
    if shape == "before":
        subordinate = subordinate_clause(rng, rng.randint(4, words - 4), None)
        opening = subordinate.german[1:]  # no comma at the start of a sentence or after "und"
        main = simple(rng, words - count(subordinate), antecedent, after_clause=True)
        return main._replace(
            words=joined(Pair(subordinate.english, opening), main.words),
            subject_at=main.subject_at + len(opening),
            verb_at=main.verb_at + len(opening),
        )
    main = simple(rng, rng.randint(4, words - 4), antecedent)
    subordinate = subordinate_clause(rng, words - count(main.words), main.subject)
    return main._replace(words=joined(main.words, Pair(subordinate.english[:-1], subordinate.german)))


def said(rng: Random, words: int, antecedent: Phrase | None) -> Clause:
    """A main clause with a speech verb and a that-clause."""
    subject = subject_phrase(rng, words // 3, "person", antecedent)
    verb = rng.choice(BY_SUBJECT["speech", "person"])
    main = main_clause(subject, Predicate(verb, rng.choice(("now", "now", "done"))))
    left = words - count(main.words) - 1
    inner, predicate, _ = parts(rng, left, subject, ANY_TENSE, fronting=False)
    return main._replace(words=joined(main.words, final_clause("that", "dass", inner, predicate)))


def subordinate_clause(rng: Random, words: int, antecedent: Phrase | None) -> Pair:
    """A clause with because, although, if or while; its English ends with the comma needed before a main clause."""
    english, german, tenses = rng.choice(CONJUNCTIONS)
    if words <= 4:
        weather = rng.choice(WEATHER)
        return Pair([english, *weather.english, ","], [",", german, *weather.german, ","])
    subject, predicate, _ = parts(rng, words - 1, antecedent, tenses, fronting=False)
    clause = final_clause(english, german, subject, predicate)
    return Pair([*clause.english, ","], clause.german)


def simple(rng: Random, words: int, antecedent: Phrase | None, after_clause: bool = False) -> Clause:
    """A main clause of about `words` words."""
    subject, predicate, front = parts(rng, words, antecedent, ANY_TENSE, fronting=not after_clause)
    return main_clause(subject, predicate, "clause" if after_clause else front)


def parts(
    rng: Random, words: int, antecedent: Phrase | None, tenses: tuple[Tense, ...], fronting: bool
) -> tuple[Phrase, Predicate, Front]:
    """Subject, predicate and first constituent of a clause of about `words` words."""
    kind = rng.choices((*LIVING, rng.choice(LIFELESS)), (14, 4, 1 if fronting else 0))[0]
    longest = max(2, words - (3 if kind == "person" else 2))
    heavy = longest >= 5 and (kind in LIFELESS or rng.random() < 0.6)
    share = longest if kind in LIFELESS else rng.randint(5, longest) if heavy else rng.randint(2, min(4, longest))
    subject = subject_phrase(rng, share, kind, antecedent)
    predicate = predicate_for(rng, max(1, words - count(full(subject))), subject, tenses, fronting)
    front: Front = "subject"
    if fronting:
        must = predicate.object is not None and bool(predicate.object.relative.english)
        if predicate.time.english and (must or rng.random() < 0.3):
            front = "time"
        elif predicate.place.english and predicate.verb and FRAMES[predicate.verb.frame][0] != 4 and rng.random() < 0.3:
            front = "place"
    return subject, predicate, front


def subject_phrase(rng: Random, words: int, kind: str, antecedent: Phrase | None) -> Phrase:
    """A subject of up to `words` words; sometimes a pronoun, if its antecedent is a person."""
    if antecedent and has_pronoun(antecedent) and words <= 4 and rng.random() < 0.4:
        return pronoun("f" if antecedent.gender == "f" else "m", antecedent.plural)
    return phrase(rng, (kind,), "nominative", words, place=0.25)


def has_pronoun(antecedent: Phrase) -> bool:
    """Whether its English and German pronouns agree; das Mädchen is es in German but she in English."""
    agree = antecedent.plural or antecedent.gender != "n"
    return antecedent.kind == "person" and agree and antecedent.words.english[0] != "no"
