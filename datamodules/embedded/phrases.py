"""Phrases and clauses written in English and German at once; agreement and word order live here, chance does not."""

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
    """The same thing said in both languages, as words; a comma is a word of its own.

    `plurals` tells for each noun in it whether it is plural, as far as it can lie between a subject and its verb.
    """

    english: Words
    german: Words
    plurals: tuple[bool, ...] = ()


NOTHING = Pair([], [])


class Phrase(NamedTuple):
    """A noun phrase in one case.

    Attributes:
        words: the phrase without its relative clause.
        relative: its relative clause, commas included. Next to a subject; after the verb cluster when the phrase is an
            object, which German prefers to a verb at the end of the end.
        marked: the German form tells nominative from accusative, which only the masculine singular does.
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
    """What is said of a subject: a verb with everything but its subject, or "is" with an adjective.

    `object` is absent where a relative pronoun stands for it. English puts adverbials after the object in the order
    companion, place, time; German puts the time first, in front of all objects.
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
    """A preposition and a phrase in the case it governs; in dem becomes im."""
    first, *rest = phrase.words.german
    contracted = CONTRACTIONS.get((german, first))
    start = [contracted] if contracted else [german, first]
    return Pair([*english.split(), *phrase.words.english], [*start, *rest], phrase.plurals)


def with_place(phrase: Phrase, place: Pair) -> Phrase:
    """The phrase with a place that belongs to it: the man in the park."""
    words = Pair(phrase.words.english + place.english, phrase.words.german + place.german)
    return phrase._replace(words=words, plurals=phrase.plurals + place.plurals)


def coordinate(first: Phrase, second: Phrase) -> Phrase:
    """Two phrases as one plural object: an apple and a book."""
    words = Pair(
        [*first.words.english, "and", *second.words.english], [*first.words.german, "und", *second.words.german]
    )
    return first._replace(
        words=words, plural=True, marked=first.marked or second.marked, plurals=first.plurals + second.plurals
    )


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
    """Verb forms of a predicate; of "is" with an adjective the adjective goes where a participle would."""
    if predicate.adjective:
        adjective = predicate.adjective.predicate
        finite, swapped = ("sind", "ist") if plural else ("ist", "sind")
        return Conjugation([], finite, swapped, [adjective], [adjective, finite])
    assert predicate.verb is not None
    return conjugate(predicate.verb, predicate.tense, plural)


def middle_field(predicate: Predicate) -> Words:
    """German words between the finite verb, or the subject of a verb-final clause, and the verbs at the end."""
    words = predicate.time.german[:]
    for phrase in (predicate.recipient, predicate.object):
        if phrase:
            words += phrase.words.german
    return words + predicate.companion.german + predicate.place.german


def extraposed(predicate: Predicate) -> Words:
    """German relative clauses of the object, which follow the verbs at the end."""
    return predicate.object.relative.german if predicate.object else []


def nouns_of(predicate: Predicate) -> tuple[bool, ...]:
    """For each noun in the predicate whether it is plural; time expressions do not count."""
    numbers = predicate.companion.plurals + predicate.place.plurals
    for phrase in (predicate.recipient, predicate.object):
        numbers += phrase.plurals if phrase else ()
    return numbers


def full(subject: Phrase) -> Pair:
    """A subject with its relative clause beside it."""
    return Pair(
        subject.words.english + subject.relative.english,
        subject.words.german + subject.relative.german,
    )


def main_clause(subject: Phrase, predicate: Predicate, front: Front = "subject") -> Clause:
    """A main clause, whose finite verb stands second in German: if the subject is not in front, it follows the verb.

    With `front="clause"` the German begins with its verb, as it must after a subordinate clause in front.
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

    It is not where subject and accusative object differ in number and neither shows its case: in "Die Frau sehen die
    Kinder" the children see the woman. Coordinated objects count as differing, for German lets them take either number.
    """
    other = predicate.object
    if other is None or predicate.verb is None or predicate.verb.frame == "dative":
        return True
    differ = other.plural != subject.plural or "und" in other.words.german
    return not differ or subject.marked or other.marked


def final_clause(english: str, german: str, subject: Phrase, predicate: Predicate) -> Pair:
    """A subordinate clause: conjunction, subject, and in German all verbs at the end, the finite one last."""
    whole = full(subject)
    return Pair(
        [*english.split(), *whole.english, *english_predicate(predicate, subject.plural)],
        [
            ",",
            german,
            *whole.german,
            *middle_field(predicate),
            *conjugation(predicate, subject.plural).final,
            *extraposed(predicate),
            ",",
        ],
    )


def with_subject_relative(head: Phrase, predicate: Predicate) -> Phrase:
    """The phrase with a relative clause in which it is the subject: who sees the dog."""
    german = relative_pronoun(head, "nominative")
    final = conjugation(predicate, head.plural).final
    words = Pair(
        ["who" if head.kind == "person" else "that", *english_predicate(predicate, head.plural)],
        [",", german, *middle_field(predicate), *final, *extraposed(predicate), ","],
    )
    return head._replace(relative=words, plurals=head.plurals + nouns_of(predicate))


def with_object_relative(head: Phrase, subject: Phrase, predicate: Predicate) -> Phrase:
    """The phrase with a relative clause in which it is the missing object: whom the woman helps.

    The verb decides the case of the relative pronoun: den die Frau sieht, dem die Frau hilft.
    """
    assert predicate.verb is not None
    german = relative_pronoun(head, "dative" if predicate.verb.frame == "dative" else "accusative")
    whole, final = full(subject), conjugation(predicate, subject.plural).final
    words = Pair(
        [
            "whom" if head.kind == "person" else "that",
            *whole.english,
            *english_predicate(predicate, subject.plural),
        ],
        [",", german, *whole.german, *middle_field(predicate), *final, ","],
    )
    return head._replace(relative=words, plurals=head.plurals + subject.plurals + nouns_of(predicate))


def relative_pronoun(head: Phrase, case: Case) -> str:
    """German relative pronoun: gender and number from the head, case from its role in the relative clause."""
    return RELATIVE_PRONOUNS[case][column(head.gender, head.plural)]


def sentence(words: Words) -> str:
    """Words as a written sentence: capital, full stop, one comma where several meet and none before the full stop."""
    text = ""
    for word in words:
        if word != ",":
            text += f" {word}"
        elif not text.endswith(","):
            text += word
    text = text.strip(" ,")
    return text[0].upper() + text[1:] + "."
