"""Exact sentence pairs, written by hand, that the phrase and clause builders must reproduce."""

import pytest

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

NOUN: dict[str, Noun] = {noun.english: noun for nouns in NOUNS.values() for noun in nouns}
ADJECTIVE: dict[str, Adjective] = {a.english: a for adjectives in ADJECTIVES.values() for a in adjectives}


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

PHRASES = [
    (np("the man"), "the man", "der Mann"),
    (np("a old woman"), "an old woman", "eine alte Frau"),
    (acc("the young student"), "the young student", "den jungen Studenten"),
    (dat("a young student"), "a young student", "einem jungen Studenten"),
    (np("the student", plural=True), "the students", "die Studenten"),
    (np("a big old house"), "a big old house", "ein großes altes Haus"),
    (np("a young man"), "a young man", "ein junger Mann"),
    (acc("no small dog"), "no small dog", "keinen kleinen Hund"),
    (dat("no small dog", plural=True), "no small dogs", "keinen kleinen Hunden"),
    (dat("the small child", plural=True), "the small children", "den kleinen Kindern"),
    (dat("two big car", plural=True), "two big cars", "zwei großen Autos"),
    (np("two red hat", plural=True), "two red hats", "zwei rote Hüte"),
    (acc("many old book", plural=True), "many old books", "viele alte Bücher"),
    (np("all old book", plural=True), "all old books", "alle alten Bücher"),
    (dat("our new lamp"), "our new lamp", "unserer neuen Lampe"),
    (acc("our old boat"), "our old boat", "unser altes Boot"),
    (np("my rich uncle"), "my rich uncle", "mein reicher Onkel"),
    (np("this tired cat"), "this tired cat", "diese müde Katze"),
    (np("every dark house"), "every dark house", "jedes dunkle Haus"),
    (acc("a expensive coat"), "an expensive coat", "einen teuren Mantel"),
    (acc("bare cold water"), "cold water", "kaltes Wasser"),
    (acc("bare sour wine"), "sour wine", "sauren Wein"),
    (np("bare warm milk"), "warm milk", "warme Milch"),
    (np("bare wild lion", plural=True), "wild lions", "wilde Löwen"),
]


@pytest.mark.parametrize(("phrase", "english", "german"), PHRASES, ids=[row[1] for row in PHRASES])
def test_noun_phrases_agree(phrase: Phrase, english: str, german: str) -> None:
    assert (" ".join(phrase.words.english), " ".join(phrase.words.german)) == (english, german)


PREPOSITIONS = [
    (prepositional("in", "in", dat("the old park")), "in the old park", "im alten Park"),
    (prepositional("in", "in", dat("the kitchen")), "in the kitchen", "in der Küche"),
    (prepositional("in", "in", dat("a garden")), "in a garden", "in einem Garten"),
    (prepositional("into", "in", acc("the house")), "into the house", "ins Haus"),
    (prepositional("into", "in", acc("the garden")), "into the garden", "in den Garten"),
    (prepositional("at", "an", dat("the station")), "at the station", "am Bahnhof"),
    (prepositional("to", "zu", dat("the airport")), "to the airport", "zum Flughafen"),
    (prepositional("on", "auf", dat("the roof")), "on the roof", "auf dem Dach"),
    (prepositional("in front of", "vor", dat("the tree", plural=True)), "in front of the trees", "vor den Bäumen"),
    (prepositional("without", "ohne", acc("the boy")), "without the boy", "ohne den Jungen"),
]


@pytest.mark.parametrize(("place", "english", "german"), PREPOSITIONS, ids=[row[1] for row in PREPOSITIONS])
def test_prepositions_govern_their_case_and_contract(place: Pair, english: str, german: str) -> None:
    assert (" ".join(place.english), " ".join(place.german)) == (english, german)


def relative_sentences() -> list[tuple[Clause, str, str]]:
    """Relative clauses of either role, on subjects and objects, and one inside another."""
    sees_dog = Predicate(verb("see"), object=acc("the dog"))
    man = with_subject_relative(np("the man"), sees_dog)
    children = with_object_relative(np("the child", plural=True), np("the woman"), Predicate(verb("help")))
    girl = with_object_relative(np("the girl"), np("a doctor"), Predicate(verb("call"), "done"))
    book = with_object_relative(acc("a book"), np("the woman"), Predicate(verb("read"), "must", time=time("today")))
    cat = with_subject_relative(acc("the cat"), Predicate(verb("catch"), object=acc("a mouse")))
    friend = with_subject_relative(np("my friend"), Predicate(verb("watch"), object=cat))
    hat = with_object_relative(acc("the hat"), np("the king"), Predicate(verb("give"), "next", dat("the queen")))
    dog = with_subject_relative(np("a dog"), Predicate(adjective=ADJECTIVE["tired"]))
    park = with_subject_relative(with_place(np("the man"), PARK), Predicate(verb("sleep")))
    return [
        (say(man, "sleep"), "The man who sees the dog sleeps.", "Der Mann, der den Hund sieht, schläft."),
        (
            say(children, "laugh"),
            "The children whom the woman helps laugh.",
            "Die Kinder, denen die Frau hilft, lachen.",
        ),
        (
            say(girl, "wake up", "done"),
            "The girl whom a doctor has called has woken up.",
            "Das Mädchen, das ein Arzt angerufen hat, ist aufgewacht.",
        ),
        (
            say(np("the man"), "buy", "done", object=book),
            "The man has bought a book that the woman must read today.",
            "Der Mann hat ein Buch gekauft, das die Frau heute lesen muss.",
        ),
        (
            say(friend, "talk"),
            "My friend who watches the cat that catches a mouse talks.",
            "Mein Freund, der die Katze beobachtet, die eine Maus fängt, redet.",
        ),
        (
            say(np("the son"), "look for", object=hat, when="today", front="time"),
            "Today the son looks for the hat that the king will give the queen.",
            "Heute sucht der Sohn den Hut, den der König der Königin geben wird.",
        ),
        (say(dog, "bite", object=acc("the boy")), "A dog that is tired bites the boy.", GERMAN_DOG),
        (
            say(park, "snore", when="now", front="time"),
            "Now the man in the park who sleeps snores.",
            "Jetzt schnarcht der Mann im Park, der schläft.",
        ),
    ]


GERMAN_DOG = "Ein Hund, der müde ist, beißt den Jungen."


def plain_sentences() -> list[tuple[Clause, str, str]]:
    """Verb second, inversion, separable verbs, tenses, modal verbs and the order of the middle field."""
    fruit = coordinate(acc("a apple"), acc("a pear"))
    rain = Pair(["if", "it", "rains", ","], ["wenn", "es", "regnet", ","])
    after = say(np("the man"), "close", object=acc("the window"), front="clause")
    first = after._replace(words=Pair(rain.english + after.words.english, rain.german + after.words.german))
    wants = Predicate(verb("invite"), "want", object=acc("the neighbor"))
    because = final_clause(
        "because", "weil", np("the guest", plural=True), Predicate(verb("arrive"), time=time("soon"))
    )
    that = final_clause("that", "dass", pronoun("f", plural=False), wants)
    opens, knows = say(np("the boy"), "open", object=acc("the door")), say(np("the woman"), "know")
    tired = main_clause(np("the cow", plural=True), Predicate(adjective=ADJECTIVE["tired"]))
    return [
        (
            say(np("the man"), "buy", object=acc("a hat"), place=PARK, when="today", front="time"),
            "Today the man buys a hat in the park.",
            "Heute kauft der Mann einen Hut im Park.",
        ),
        (
            say(np("the man"), "buy", object=acc("a hat"), place=PARK, when="today"),
            "The man buys a hat in the park today.",
            "Der Mann kauft heute einen Hut im Park.",
        ),
        (
            say(np("the man"), "buy", "done", object=acc("a hat"), place=PARK, when="today", front="place"),
            "In the park the man has bought a hat today.",
            "Im Park hat der Mann heute einen Hut gekauft.",
        ),
        (opens, "The boy opens the door.", "Der Junge macht die Tür auf."),
        (
            say(np("the boy"), "open", "can", object=acc("the door")),
            "The boy can open the door.",
            "Der Junge kann die Tür aufmachen.",
        ),
        (
            say(np("the boy", plural=True), "open", "done", object=acc("the door")),
            "The boys have opened the door.",
            "Die Jungen haben die Tür aufgemacht.",
        ),
        (
            say(np("the aunt"), "give", object=acc("a apple"), recipient=dat("the horse"), when="now"),
            "The aunt gives the horse an apple now.",
            "Die Tante gibt jetzt dem Pferd einen Apfel.",
        ),
        (
            say(np("a child"), "eat", "want", object=fruit),
            "A child wants to eat an apple and a pear.",
            "Ein Kind will einen Apfel und eine Birne essen.",
        ),
        (
            say(
                np("our sister", plural=True),
                "go",
                "done",
                companion=prepositional("with", "mit", dat("the prince")),
                place=prepositional("into", "in", acc("the forest")),
                when="twice",
            ),
            "Our sisters have gone with the prince into the forest twice.",
            "Unsere Schwestern sind zweimal mit dem Prinzen in den Wald gegangen.",
        ),
        (first, "If it rains, the man closes the window.", "Wenn es regnet, macht der Mann das Fenster zu."),
        (join(opens, because), OPEN_BECAUSE[0], OPEN_BECAUSE[1]),
        (
            join(knows, that),
            "The woman knows that she wants to invite the neighbor.",
            "Die Frau weiß, dass sie den Nachbarn einladen will.",
        ),
        (tired, "The cows are tired.", "Die Kühe sind müde."),
    ]


OPEN_BECAUSE = (
    "The boy opens the door because the guests arrive soon.",
    "Der Junge macht die Tür auf, weil die Gäste bald ankommen.",
)


def join(clause: Clause, tail: Pair) -> Clause:
    return clause._replace(words=Pair(clause.words.english + tail.english, clause.words.german + tail.german))


SENTENCES = plain_sentences() + relative_sentences()


@pytest.mark.parametrize(("clause", "english", "german"), SENTENCES, ids=[row[1] for row in SENTENCES])
def test_clauses_are_written_as_by_hand(clause: Clause, english: str, german: str) -> None:
    assert (sentence(clause.words.english), sentence(clause.words.german)) == (english, german)


@pytest.mark.parametrize("clause", [row[0] for row in SENTENCES], ids=[row[1] for row in SENTENCES])
def test_positions_point_at_the_head_noun_and_the_finite_verb(clause: Clause) -> None:
    german = clause.words.german
    forms = {form for noun in NOUN.values() for form in (noun.german, noun.german_plural)}
    if "wenn" not in german:  # there a clause was put in front by hand
        assert german[clause.subject_at] in forms
        assert german[clause.verb_at] != clause.verb_swapped
        assert german[clause.verb_at].islower()


def test_swapped_number_is_wrong_unless_the_object_could_be_the_subject() -> None:
    watched = [
        (np("the woman"), acc("the child", plural=True), False),  # Die Frau sehen die Kinder.
        (np("the woman"), acc("the child"), True),
        (np("the man"), acc("the child", plural=True), True),  # der: a nominative
        (np("the child", plural=True), acc("the man"), True),  # den: an accusative
        (np("the woman"), coordinate(acc("the cat"), acc("the cow")), False),
        (np("the woman"), coordinate(acc("the cat"), acc("the dog")), True),
    ]
    for subject, object, wrong in watched:
        assert say(subject, "see", object=object).swap_is_wrong is wrong
    assert say(np("the woman"), "help", object=dat("the child", plural=True)).swap_is_wrong


def test_commas_are_never_doubled_and_never_before_the_full_stop() -> None:
    assert sentence([",", "a", ",", ",", "b", ","]) == "A, b."
