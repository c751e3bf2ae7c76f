"""Phrases and clauses in English and German: agreement and word order, without randomness."""

from typing import Literal, NamedTuple

from datamodules.embedded.morphology import (
    ADJECTIVE_ENDINGS,
    RELATIVE_PRONOUNS,
    Adjective,
    Case,
    Conjugation,
    Determiner,
    Noun,
    Tense,
    Verb,
    column,
    conjugate,
    decline,
    german_determiner,
)

Words = list[str]
Front = Literal["subject", "time", "place", "clause"]


class Pair(NamedTuple):
    """The same phrase in both languages, as words; a comma is a word.

    `plurals`: for each noun that can come between a subject and its verb, whether it is plural.
    """

    english: Words
    german: Words
    plurals: tuple[bool, ...] = ()


NOTHING = Pair([], [])


def joined(*pairs: Pair) -> Pair:
    """The pairs one after another."""
    return Pair([word for pair in pairs for word in pair.english], [word for pair in pairs for word in pair.german])


class Phrase(NamedTuple):
    """A noun phrase in one case.

    Attributes:
        words: the phrase without its relative clause.
        relative: its relative clause, commas included: after a subject, or extraposed after the German verbs if the
            phrase is an object.
        marked: whether the German form distinguishes nominative and accusative, as only the masculine singular does.
        plurals: for each noun in the phrase and its relative clause, head first, whether it is plural.
        head_at: position of the head noun among the German words.
    """

    words: Pair
    relative: Pair
    kind: str
    gender: str
    plural: bool
    marked: bool
    plurals: tuple[bool, ...]
    head_at: int


class Predicate(NamedTuple):
    """A verb with everything but its subject, or "is" with an adjective.

    `object` is None if it is a relative pronoun. English orders adverbials after the object, companion, place, time;
    German has the time first, before all objects.
    """

    verb: Verb | None = None
    tense: Tense = "now"
    recipient: Phrase | None = None
    object: Phrase | None = None
    adjective: Adjective | None = None
    companion: Pair = NOTHING
    place: Pair = NOTHING
    time: Pair = NOTHING


class Clause(NamedTuple):
    """A main clause; positions are in the German words. `verb_swapped` is the finite verb in the other number."""

    words: Pair
    subject: Phrase
    subject_at: int
    verb_at: int
    verb_swapped: str
    swap_is_wrong: bool


CONTRACTIONS = {
    ("in", "dem"): "im",
    ("an", "dem"): "am",
    ("zu", "dem"): "zum",
    ("zu", "der"): "zur",
    ("in", "das"): "ins",
}


def noun_phrase(
    noun: Noun, determiner: Determiner, adjectives: list[Adjective], case: Case, plural: bool = False
) -> Phrase:
    """Determiner, adjectives and noun, which agree in gender, case and number."""
    english = [adjective.english for adjective in adjectives] + [noun.english_plural if plural else noun.english]
    article = determiner.plural if plural else determiner.singular
    assert article is not None
    if article == "a" and english[0][0] in "aeiou":
        article = "an"
    ending = ADJECTIVE_ENDINGS[determiner.adjectives][case][column(noun.gender, plural)]
    german = [german_determiner(determiner, noun.gender, case, plural)]
    german += [adjective.stem + ending for adjective in adjectives] + [decline(noun, case, plural)]
    german = [word for word in german if word]
    return Phrase(
        words=Pair([article] * bool(article) + english, german),
        relative=NOTHING,
        kind=noun.kind,
        gender=noun.gender,
        plural=plural,
        marked=noun.gender == "m" and not plural and len(german) > 1,
        plurals=(plural,),
        head_at=len(german) - 1,
    )


def pronoun(gender: Literal["m", "f"], plural: bool) -> Phrase:
    """A person in the nominative: he, she or they."""
    english, german = ("they", "sie") if plural else {"m": ("he", "er"), "f": ("she", "sie")}[gender]
    marked = gender == "m" and not plural
    return Phrase(Pair([english], [german]), NOTHING, "person", gender, plural, marked, (plural,), 0)


def prepositional(english: str, german: str, phrase: Phrase) -> Pair:
    """A preposition and its phrase; in dem becomes im."""
    first, *rest = phrase.words.german
    contracted = CONTRACTIONS.get((german, first))
    start = [contracted] if contracted else [german, first]
    return Pair([*english.split(), *phrase.words.english], [*start, *rest], phrase.plurals)


def with_place(phrase: Phrase, place: Pair) -> Phrase:
    """The phrase with a place as attribute: the man in the park."""
    return phrase._replace(words=joined(phrase.words, place), plurals=phrase.plurals + place.plurals)


def coordinate(first: Phrase, second: Phrase) -> Phrase:
    """Two phrases as one plural object: an apple and a book."""
    words, plurals = joined(first.words, Pair(["and"], ["und"]), second.words), first.plurals + second.plurals
    return first._replace(words=words, plural=True, marked=first.marked or second.marked, plurals=plurals)


def english_predicate(predicate: Predicate, plural: bool) -> Words:
    """English words of a predicate."""
    if predicate.adjective:
        head = ["are" if plural else "is", predicate.adjective.english]
    else:
        head = conjugation(predicate, plural).english[:]
    for phrase in (predicate.recipient, predicate.object):
        if phrase:
            head += phrase.words.english + phrase.relative.english
    return head + predicate.companion.english + predicate.place.english + predicate.time.english


def conjugation(predicate: Predicate, plural: bool) -> Conjugation:
    """Verb forms of a predicate; the adjective of "is" has the position of a participle."""
    if predicate.adjective:
        adjective = predicate.adjective.predicate
        finite, swapped = ("sind", "ist") if plural else ("ist", "sind")
        return Conjugation([], finite, swapped, [adjective], [adjective, finite])
    assert predicate.verb is not None
    return conjugate(predicate.verb, predicate.tense, plural)


def middle_field(predicate: Predicate) -> Words:
    """German words between the finite verb, or the subject in a verb-final clause, and the final verbs."""
    words = predicate.time.german[:]
    for phrase in (predicate.recipient, predicate.object):
        if phrase:
            words += phrase.words.german
    return words + predicate.companion.german + predicate.place.german


def extraposed(predicate: Predicate) -> Words:
    """German relative clause of the object, which follows the final verbs."""
    return predicate.object.relative.german if predicate.object else []


def nouns_of(predicate: Predicate) -> tuple[bool, ...]:
    """For each noun in the predicate, except in time expressions, whether it is plural."""
    numbers = predicate.companion.plurals + predicate.place.plurals
    for phrase in (predicate.recipient, predicate.object):
        numbers += phrase.plurals if phrase else ()
    return numbers


def full(subject: Phrase) -> Pair:
    """A subject followed by its relative clause."""
    return joined(subject.words, subject.relative)


def main_clause(subject: Phrase, predicate: Predicate, front: Front = "subject") -> Clause:
    """A main clause with the German finite verb in second position, after the subject or the fronted constituent.

    With `front="clause"`, after a subordinate clause, the German begins with its verb.
    """
    forms = conjugation(predicate, subject.plural)
    whole, fronted, rest = full(subject), NOTHING, predicate
    if front == "time":
        fronted, rest = predicate.time, predicate._replace(time=NOTHING)
    elif front == "place":
        fronted, rest = predicate.place, predicate._replace(place=NOTHING)
    end = [*middle_field(rest), *forms.apart, *extraposed(rest)]
    if front == "subject":
        german = [*whole.german, forms.finite, *end]
        subject_at, verb_at = subject.head_at, len(whole.german)
    else:
        german = [*fronted.german, forms.finite, *whole.german, *end]
        subject_at, verb_at = len(fronted.german) + 1 + subject.head_at, len(fronted.german)
    english = [*fronted.english, *whole.english, *english_predicate(rest, subject.plural)]
    return Clause(Pair(english, german), subject, subject_at, verb_at, forms.swapped, swap_is_wrong(subject, predicate))


def swap_is_wrong(subject: Phrase, predicate: Predicate) -> bool:
    """Whether the finite verb in the other number is ungrammatical.

    It is grammatical if subject and accusative object differ in number and neither shows its case: in "Die Frau sehen
    die Kinder" the children see the woman. Coordinated objects always differ: German allows either number.
    """
    other = predicate.object
    if other is None or predicate.verb is None or predicate.verb.frame == "dative":
        return True
    differ = other.plural != subject.plural or "und" in other.words.german
    return not differ or subject.marked or other.marked


def final_clause(english: str, german: str, subject: Phrase, predicate: Predicate) -> Pair:
    """A subordinate clause; in German all verbs are at the end, the finite one last."""
    final = [*middle_field(predicate), *conjugation(predicate, subject.plural).final, *extraposed(predicate), ","]
    start, rest = Pair(english.split(), [",", german]), Pair(english_predicate(predicate, subject.plural), final)
    return joined(start, full(subject), rest)


def with_subject_relative(head: Phrase, predicate: Predicate) -> Phrase:
    """The phrase with a relative clause in which it is the subject: who sees the dog."""
    start = Pair(["who" if head.kind == "person" else "that"], [",", relative_pronoun(head, "nominative")])
    final = [*middle_field(predicate), *conjugation(predicate, head.plural).final, *extraposed(predicate), ","]
    words = joined(start, Pair(english_predicate(predicate, head.plural), final))
    return head._replace(relative=words, plurals=head.plurals + nouns_of(predicate))


def with_object_relative(head: Phrase, subject: Phrase, predicate: Predicate) -> Phrase:
    """The phrase with a relative clause in which it is the object: whom the woman helps.

    The verb governs the case of the relative pronoun: den die Frau sieht, dem die Frau hilft.
    """
    assert predicate.verb is not None
    german = relative_pronoun(head, "dative" if predicate.verb.frame == "dative" else "accusative")
    start = Pair(["whom" if head.kind == "person" else "that"], [",", german])
    final = [*middle_field(predicate), *conjugation(predicate, subject.plural).final, ","]
    words = joined(start, full(subject), Pair(english_predicate(predicate, subject.plural), final))
    return head._replace(relative=words, plurals=head.plurals + subject.plurals + nouns_of(predicate))


def relative_pronoun(head: Phrase, case: Case) -> str:
    """German relative pronoun: gender and number of the head, case of its role in the relative clause."""
    return RELATIVE_PRONOUNS[case][column(head.gender, head.plural)]


def sentence(words: Words) -> str:
    """Words as a sentence: capital, full stop, no double comma and none before the full stop."""
    text = ""
    for word in words:
        if word != ",":
            text += f" {word}"
        elif not text.endswith(","):
            text += word
    text = text.strip(" ,")
    return text[0].upper() + text[1:] + "."
