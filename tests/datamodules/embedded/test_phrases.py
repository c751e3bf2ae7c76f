"""Exact sentence pairs, written by hand, that the phrase and clause builders must reproduce."""

import pytest

from datamodules.embedded.morphology import ADJECTIVES, DETERMINERS, NOUNS, TIMES, VERBS, Case, Tense, Verb
from datamodules.embedded.phrases import (
    NOTHING,
    Clause,
    Front,
    Pair,
    Phrase,
    Predicate,
    coordinate,
    final_clause,
    main_clause,
    noun_phrase,
    prepositional,
    pronoun,
    sentence,
    with_object_relative,
    with_place,
    with_subject_relative,
)

NOUN = {noun.english: noun for nouns in NOUNS.values() for noun in nouns}
ADJECTIVE = {a.english: a for adjectives in ADJECTIVES.values() for a in adjectives}


def np(text: str, case: Case = "nominative", plural: bool = False) -> Phrase:
    """A phrase from its determiner, adjectives and singular noun: np("the old man")."""
    determiner, *adjectives, noun = text.split()
    return noun_phrase(NOUN[noun], DETERMINERS[determiner], [ADJECTIVE[a] for a in adjectives], case, plural)


def acc(text: str, plural: bool = False) -> Phrase:
    return np(text, "accusative", plural)


def dat(text: str, plural: bool = False) -> Phrase:
    return np(text, "dative", plural)


def verb(english: str, frame: str | None = None) -> Verb:
    return next(v for v in VERBS if v.english == english and frame in (None, v.frame))


def time(english: str) -> Pair:
    return next(Pair(t.english, t.german) for t in TIMES if t.english == english.split())


def say(
    subject: Phrase,
    english_verb: str,
    tense: Tense = "now",
    object: Phrase | None = None,
    recipient: Phrase | None = None,
    companion: Pair = NOTHING,
    place: Pair = NOTHING,
    when: str | None = None,
    front: Front = "subject",
) -> Clause:
    adverb = time(when) if when else NOTHING
    predicate = Predicate(verb(english_verb), tense, recipient, object, None, companion, place, adverb)
    return main_clause(subject, predicate, front)


PARK = prepositional("in", "in", dat("the park"))

PHRASES = {
    "the man = der Mann": np("the man"),
    "the young student = den jungen Studenten": acc("the young student"),
    "a young student = einem jungen Studenten": dat("a young student"),
    "the students = die Studenten": np("the student", plural=True),
    "a young man = ein junger Mann": np("a young man"),
    "no small dogs = keinen kleinen Hunden": dat("no small dog", plural=True),
    "the small children = den kleinen Kindern": dat("the small child", plural=True),
    "two red hats = zwei rote Hüte": np("two red hat", plural=True),
    "all old books = alle alten Bücher": np("all old book", plural=True),
    "our new lamp = unserer neuen Lampe": dat("our new lamp"),
    "an expensive coat = einen teuren Mantel": acc("a expensive coat"),
    "fresh water = frisches Wasser": acc("bare fresh water"),
    "fresh tea = frischen Tee": acc("bare fresh tea"),
    "sweet milk = süße Milch": np("bare sweet milk"),
}


@pytest.mark.parametrize(("both", "phrase"), PHRASES.items())
def test_noun_phrases_agree(both: str, phrase: Phrase) -> None:
    assert f"{' '.join(phrase.words.english)} = {' '.join(phrase.words.german)}" == both


PREPOSITIONS = {
    "in the old park = im alten Park": prepositional("in", "in", dat("the old park")),
    "into the house = ins Haus": prepositional("into", "in", acc("the house")),
    "at the station = am Bahnhof": prepositional("at", "an", dat("the station")),
    "to the airport = zum Flughafen": prepositional("to", "zu", dat("the airport")),
    "in front of the trees = vor den Bäumen": prepositional("in front of", "vor", dat("the tree", plural=True)),
    "without the boy = ohne den Jungen": prepositional("without", "ohne", acc("the boy")),
}


@pytest.mark.parametrize(("both", "place"), PREPOSITIONS.items())
def test_prepositions_govern_their_case_and_contract(both: str, place: Pair) -> None:
    assert f"{' '.join(place.english)} = {' '.join(place.german)}" == both


def relative_sentences() -> dict[str, Clause]:
    """Relative clauses of either role, on subjects and objects, and one inside another."""
    children = with_object_relative(np("the child", plural=True), np("the woman"), Predicate(verb("help")))
    girl = with_object_relative(np("the girl"), np("a doctor"), Predicate(verb("meet"), "done"))
    cat = with_subject_relative(acc("the cat"), Predicate(verb("follow"), recipient=dat("a mouse")))
    teacher = with_subject_relative(np("my teacher"), Predicate(verb("photograph"), object=cat))
    hat = with_object_relative(acc("the hat"), np("the baker"), Predicate(verb("give"), "next", dat("the girl")))
    park = with_subject_relative(with_place(np("the man"), PARK), Predicate(verb("sleep")))
    buys = say(np("the farmer"), "buy", object=hat, when="today", front="time")
    return {
        "The children whom the woman helps sleep. = Die Kinder, denen die Frau hilft, schlafen.": say(
            children, "sleep"
        ),
        "The girl whom a doctor has met has come. = Das Mädchen, das ein Arzt getroffen hat, ist gekommen.": (
            say(girl, "come", "done")
        ),
        "My teacher who photographs the cat that follows a mouse plays. = "
        "Mein Lehrer, der die Katze fotografiert, die einer Maus folgt, spielt.": say(teacher, "play"),
        "Today the farmer buys the hat that the baker will give the girl. = "
        "Heute kauft der Bauer den Hut, den der Bäcker dem Mädchen geben wird.": buys,
        "Now the man in the park who sleeps plays. = Jetzt spielt der Mann im Park, der schläft.": (
            say(park, "play", when="now", front="time")
        ),
    }


def plain_sentences() -> dict[str, Clause]:
    """Verb second, inversion, separable verbs, tenses, modal verbs and the order of the middle field."""
    rain = Pair(["if", "it", "rains", ","], ["wenn", "es", "regnet", ","])
    after = say(np("the man"), "close", object=acc("the window"), front="clause")
    first = after._replace(words=Pair(rain.english + after.words.english, rain.german + after.words.german))
    wants = Predicate(verb("meet"), "want", object=acc("the neighbor"))
    that = final_clause("that", "dass", pronoun("f", plural=False), wants)
    man, hat, knows = np("the man"), acc("a hat"), say(np("the woman"), "know")
    opens = say(np("the boy"), "open", object=acc("the door"))
    into, tourist = prepositional("into", "in", acc("the garden")), prepositional("with", "mit", dat("the tourist"))
    teachers = say(np("our teacher", plural=True), "go", "done", companion=tourist, place=into, when="twice")
    gives = say(np("the woman"), "give", object=acc("a apple"), recipient=dat("the horse"), when="now")
    tired = main_clause(np("the cow", plural=True), Predicate(adjective=ADJECTIVE["tired"]))
    return {
        "The man buys a hat in the park today. = Der Mann kauft heute einen Hut im Park.": (
            say(man, "buy", object=hat, place=PARK, when="today")
        ),
        "In the park the man has bought a hat today. = Im Park hat der Mann heute einen Hut gekauft.": (
            say(man, "buy", "done", object=hat, place=PARK, when="today", front="place")
        ),
        "The boy opens the door. = Der Junge macht die Tür auf.": opens,
        "The woman gives the horse an apple now. = Die Frau gibt jetzt dem Pferd einen Apfel.": gives,
        "Our teachers have gone with the tourist into the garden twice. = "
        "Unsere Lehrer sind zweimal mit dem Touristen in den Garten gegangen.": teachers,
        "If it rains, the man closes the window. = Wenn es regnet, macht der Mann das Fenster zu.": first,
        "The woman knows that she wants to meet the neighbor. = "
        "Die Frau weiß, dass sie den Nachbarn treffen will.": join(knows, that),
        "The cows are tired. = Die Kühe sind müde.": tired,
    }


def join(clause: Clause, tail: Pair) -> Clause:
    return clause._replace(words=Pair(clause.words.english + tail.english, clause.words.german + tail.german))


FORMS = {form for noun in NOUN.values() for form in (noun.german, noun.german_plural)}


@pytest.mark.parametrize(("both", "clause"), (plain_sentences() | relative_sentences()).items())
def test_clauses_are_written_as_by_hand(both: str, clause: Clause) -> None:
    """Positions point at the head noun and the finite verb."""
    german = clause.words.german
    assert f"{sentence(clause.words.english)} = {sentence(german)}" == both
    if "wenn" not in german:  # there a clause was put in front by hand
        assert german[clause.subject_at] in FORMS
        assert german[clause.verb_at] != clause.verb_swapped
        assert german[clause.verb_at].islower()


def test_swapped_number_is_wrong_unless_the_object_could_be_the_subject() -> None:
    watched = [
        (np("the woman"), acc("the child", plural=True), False),  # Die Frau lieben die Kinder.
        (np("the woman"), acc("the child"), True),
        (np("the man"), acc("the child", plural=True), True),  # der: a nominative
        (np("the child", plural=True), acc("the man"), True),  # den: an accusative
        (np("the woman"), coordinate(acc("the cat"), acc("the cow")), False),
        (np("the woman"), coordinate(acc("the cat"), acc("the dog")), True),
    ]
    for subject, object, wrong in watched:
        assert say(subject, "love", object=object).swap_is_wrong is wrong
    assert say(np("the woman"), "help", object=dat("the child", plural=True)).swap_is_wrong


def test_commas_are_never_doubled_and_never_before_the_full_stop() -> None:
    assert sentence([",", "a", ",", ",", "b", ","]) == "A, b."
