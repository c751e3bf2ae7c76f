"""Random noun phrases, relative clauses and predicates of a given length, in English and German."""

from collections import defaultdict
from random import Random
from typing import Literal, cast

from datamodules.embedded.morphology import (
    ADJECTIVES,
    DETERMINERS,
    NOUNS,
    TIMES,
    VERBS,
    Adjective,
    Case,
    Noun,
    Tense,
    Verb,
)
from datamodules.embedded.phrases import (
    NOTHING,
    Pair,
    Phrase,
    Predicate,
    coordinate,
    full,
    noun_phrase,
    prepositional,
    with_object_relative,
    with_place,
    with_subject_relative,
)

LIVING = ("person", "animal")
LIFELESS = ("food", "pastry", "text", "thing", "instrument", "clothing", "vehicle", "opening", "device", "inside")
LOCATIONS = {
    "inside": [("in", "in")],
    "surface": [("on", "auf")],
    "point": [("at", "an")],
    "landmark": [("behind", "hinter"), ("next to", "neben"), ("in front of", "vor")],
}
BENEFITS = frozenset({"kaufen", "finden", "bestellen", "backen", "schreiben", "übersetzen", "reparieren", "mieten"})
ANY_TENSE: tuple[Tense, ...] = ("now",) * 8 + ("done",) * 4 + ("next", "next", "can", "must", "should", "want")
# words of the shortest predicate, and weight, by frame
FRAMES = {
    "intransitive": (1, 3),
    "transitive": (3, 9),
    "state": (3, 1),
    "dative": (3, 3),
    "posture": (4, 1),
    "motion": (4, 1),
    "journey": (4, 1),
    "ditransitive": (5, 3),
}
DETERMINER_WEIGHTS = {"the": 12, "a": 8, "this": 2, "every": 1, "all": 2, "no": 1, "my": 2, "our": 2}
DETERMINER_WEIGHTS |= {"many": 2, "some": 2, "two": 2, "three": 2, "bare": 2}
MOOD = 0  # slot of temporary states such as tired
MASS_DETERMINERS = ("the", "this", "no", "my", "our", "bare")


def verbs_by(role: Literal["subjects", "objects"]) -> dict[tuple[str, str], list[Verb]]:
    """Verbs by frame and kind of noun in a role."""
    table: dict[tuple[str, str], list[Verb]] = defaultdict(list)
    for verb in VERBS:
        for kind in sorted(getattr(verb, role)):
            table[verb.frame, kind].append(verb)
    return dict(table)


BY_SUBJECT, BY_OBJECT = verbs_by("subjects"), verbs_by("objects")


def count(words: Pair) -> int:
    """Number of English words without commas."""
    return len(words.english) - words.english.count(",")


def phrase(
    rng: Random, kinds: tuple[str, ...], case: Case, words: int, relative: bool = True, place: float = 0.0
) -> Phrase:
    """A noun phrase of up to `words` words, with adjectives, a place with that probability, and a relative clause."""
    noun = rng.choice(NOUNS[rng.choice(kinds)])
    plural = bool(noun.german_plural) and rng.random() < 0.35
    left = words - 2
    adjectives = some_adjectives(rng, noun.kind, left)
    left -= len(adjectives)
    made = noun_phrase(noun, DETERMINERS[some_determiner(rng, noun, plural)], adjectives, case, plural)
    if left >= 3 and rng.random() < place:
        where = location(rng)
        made = with_place(made, where)
        left -= count(where)
    if relative and left >= 2:
        made = with_relative(rng, made, left)
    return made


def some_adjectives(rng: Random, kind: str, at_most: int) -> list[Adjective]:
    """Up to two adjectives, of different slots."""
    number = min(at_most, rng.choice((0, 0, 1, 1, 2)))
    if number <= 0:
        return []
    first, second = rng.choice(ADJECTIVES[kind]), rng.choice(ADJECTIVES[kind])
    if number == 1 or first.slot == second.slot:
        return [first]
    return sorted((first, second), key=lambda adjective: adjective.slot)


def some_determiner(rng: Random, noun: Noun, plural: bool) -> str:
    """Name of a determiner that fits the noun."""
    allowed = [name for name in DETERMINER_WEIGHTS if fits(name, noun, plural)]
    return rng.choices(allowed, [DETERMINER_WEIGHTS[name] for name in allowed])[0]


def fits(name: str, noun: Noun, plural: bool) -> bool:
    """Whether a determiner fits the noun in that number."""
    if not noun.german_plural:
        return name in MASS_DETERMINERS
    determiner = DETERMINERS[name]
    return determiner.plural is not None if plural else bool(determiner.singular)


def location(rng: Random) -> Pair:
    """A place with a preposition in the dative."""
    kind = rng.choices(list(LOCATIONS), (6, 2, 2, 2))[0]
    where = after_preposition(rng, kind, "dative", rng.random() < 0.1)
    return prepositional(*rng.choice(LOCATIONS[kind]), where)


def after_preposition(rng: Random, kind: str, case: Case, plural: bool) -> Phrase:
    """A noun phrase for a preposition, usually definite."""
    name = "the" if rng.random() < 0.7 else rng.choice(("our", "this") if plural else ("our", "this", "a"))
    adjectives = some_adjectives(rng, kind, 1) if rng.random() < 0.3 else []
    return noun_phrase(rng.choice(NOUNS[kind]), DETERMINERS[name], adjectives, case, plural)


def with_relative(rng: Random, head: Phrase, words: int) -> Phrase:
    """The phrase with a relative clause of about `words` words."""
    objects = [
        verb
        for frame in ("transitive", "state", "dative", "ditransitive")
        for verb in BY_OBJECT.get((frame, head.kind), [])
        if frame != "ditransitive" or words >= 6
    ]
    if not objects or words < 4 or (head.kind in LIVING and rng.random() < 0.65):
        if head.kind not in LIVING and words < 3:
            return head
        return with_subject_relative(head, predicate_for(rng, words - 1, head, ANY_TENSE, fronting=False))
    verb = rng.choice(objects)
    recipient = phrase(rng, ("person",), "dative", 2, relative=False) if verb.frame == "ditransitive" else None
    spare = words - 1 - len(verb.english.split()) - (2 if recipient else 0)
    nested = spare >= 8
    subject = phrase(
        rng, (rng.choice(sorted(verb.subjects)),), "nominative", spare if nested else min(spare, 3), nested
    )
    left = spare - count(full(subject))
    tense = some_tense(rng, ANY_TENSE, left) if verb.frame != "state" else "now"
    left -= tense_words(tense)
    predicate = with_adverbials(rng, Predicate(verb, tense, recipient), left)
    return with_object_relative(head, subject, predicate)


def some_tense(rng: Random, tenses: tuple[Tense, ...], left: int) -> Tense:
    """A tense that adds at most `left` words to the verb."""
    tense = rng.choice(tenses)
    return tense if tense_words(tense) <= left else "now"


def tense_words(tense: Tense) -> int:
    """Number of English words that a tense adds to the verb."""
    return {"now": 0, "want": 2}.get(tense, 1)


def predicate_for(rng: Random, words: int, subject: Phrase, tenses: tuple[Tense, ...], fronting: bool) -> Predicate:
    """A predicate of about `words` words that fits the subject."""
    kind = subject.kind
    frames = [name for name, (least, _) in FRAMES.items() if least <= words and (name, kind) in BY_SUBJECT]
    if not frames or rng.random() < 0.06:
        return Predicate(adjective=quality(rng, subject))
    frame = rng.choices(frames, [FRAMES[name][1] for name in frames])[0]
    verb = rng.choice(BY_SUBJECT[frame, kind])
    left = words - FRAMES[frame][0] - len(verb.english.split()) + 1
    tense = some_tense(rng, tenses, left) if frame != "state" else "now"
    left -= tense_words(tense)
    if frame in ("intransitive", "posture", "motion", "journey"):
        return with_adverbials(rng, Predicate(verb, tense, place=destination(rng, frame)), left)
    return with_objects(rng, Predicate(verb, tense), left, fronting)


def quality(rng: Random, subject: Phrase) -> Adjective:
    """A predicative adjective: a mood for living subjects, if possible of a slot without adjectives in the subject."""
    words = full(subject).english
    fitting = ADJECTIVES[subject.kind]
    taken = {adjective.slot for adjective in fitting if adjective.english in words}
    free = [adjective for adjective in fitting if adjective.slot not in taken]
    moods = [adjective for adjective in free if adjective.slot == MOOD]
    unsaid = [adjective for adjective in fitting if adjective.slot == 1 and adjective.english not in words]
    return rng.choice(moods or free or unsaid)


def destination(rng: Random, frame: str) -> Pair:
    """The place required by the verb's frame: a location or a goal."""
    if frame == "intransitive":
        return NOTHING
    if frame == "posture":
        return location(rng)
    if frame == "motion" and rng.random() < 0.7:
        return prepositional("into", "in", after_preposition(rng, "inside", "accusative", False))
    return prepositional("to", "zu", after_preposition(rng, "point", "dative", False))


def with_objects(rng: Random, predicate: Predicate, left: int, fronting: bool) -> Predicate:
    """The predicate with its objects; `left` words are for a relative clause, or else for adjectives and adverbials.

    Nothing follows a relative clause: in English it would be part of that clause.
    """
    verb = predicate.verb
    assert verb is not None
    kinds = tuple(sorted(verb.objects))
    case: Case = "dative" if verb.frame == "dative" else "accusative"
    if verb.frame == "ditransitive":
        predicate = predicate._replace(
            recipient=phrase(rng, ("person",), "dative", 2 + rng.randint(0, min(1, left)), False)
        )
        left -= count(cast(Phrase, predicate.recipient).words) - 2
    if left >= 2 and (left >= 9 or rng.random() < 0.45):
        time = NOTHING
        if fronting and left >= 6 and verb.frame != "state" and rng.random() < 0.4:
            time = some_time(rng, predicate.tense, 3)
        return predicate._replace(time=time, object=phrase(rng, kinds, case, left + 2 - count(time)))
    if left >= 3 and case == "accusative" and rng.random() < 0.2:
        both = coordinate(*(phrase(rng, kinds, case, 2, relative=False) for _ in range(2)))
        return with_adverbials(rng, predicate._replace(object=both), left - 3)
    other = phrase(rng, kinds, case, 2 + min(left, rng.choice((0, 1, 1, 2))), relative=False)
    return with_adverbials(rng, predicate._replace(object=other), left - count(other.words) + 2)


def some_time(rng: Random, tense: Tense, at_most: int) -> Pair:
    """A time expression of at most `at_most` words that fits the tense."""
    sort = tense if tense in ("now", "done", "next") else "duty"
    fitting = [time for time in TIMES if sort in time.tenses and len(time.english) <= at_most]
    chosen = rng.choice(fitting)
    return Pair(chosen.english, chosen.german)


def with_adverbials(rng: Random, predicate: Predicate, left: int) -> Predicate:
    """The predicate with companion, place and time, as far as the verb and `left` words allow."""
    verb = predicate.verb
    assert verb is not None
    if verb.frame == "state":
        return predicate
    for sort in rng.sample(("time", "place", "companion"), 3):
        if sort == "time" and left >= 1:
            predicate = predicate._replace(time=some_time(rng, predicate.tense, left))
            left -= count(predicate.time)
        elif sort == "place" and left >= 3 and not predicate.place.english:
            predicate = predicate._replace(place=location(rng))
            left -= count(predicate.place)
        elif sort == "companion" and left >= 3:
            predicate = predicate._replace(companion=companion(rng, verb))
            left -= count(predicate.companion)
    return predicate


def companion(rng: Random, verb: Verb) -> Pair:
    """A phrase with "with", "without" or "for"; empty for verbs that do not take one, or had better not."""
    plural = rng.random() < 0.35
    if verb.infinitive in BENEFITS:
        return prepositional("for", "für", after_preposition(rng, "person", "accusative", plural))
    if verb.objects or verb.infinitive == "schlafen":
        return NOTHING
    kind = rng.choice(sorted(verb.subjects))
    if rng.random() < 0.6:
        return prepositional("with", "mit", after_preposition(rng, kind, "dative", plural))
    return prepositional("without", "ohne", after_preposition(rng, kind, "accusative", plural))
