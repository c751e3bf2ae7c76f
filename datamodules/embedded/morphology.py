"""Words of the embedded corpus and their inflection: gender and case in German, number and tense in both."""

from pathlib import Path
from typing import Literal, NamedTuple, get_args

import yaml

LEXICON = yaml.safe_load(Path(__file__).with_name("lexicon.yaml").read_text(encoding="utf-8"))


Case = Literal["nominative", "accusative", "dative"]
Tense = Literal["now", "done", "next", "can", "must", "should", "want"]


class Noun(NamedTuple):
    """A noun pair; `gender` is m, f or n, `german_plural` is empty for mass nouns.

    `weak` masculines (der Student, den Studenten) have their plural form in every case but the nominative singular.
    """

    english: str
    english_plural: str
    german: str
    gender: str
    german_plural: str
    weak: bool
    kind: str


class Adjective(NamedTuple):
    """An adjective pair; `stem` takes endings, `predicate` does not; slots order several before a noun."""

    english: str
    stem: str
    predicate: str
    slot: int
    kinds: frozenset[str]


class Verb(NamedTuple):
    """A verb pair with its frame and the kinds of nouns that can be subject and object.

    German finite forms lack the separable `prefix`; `infinitive` and `participle` include it.
    """

    english: str
    english_participle: str
    prefix: str
    infinitive: str
    singular: str
    plural: str
    participle: str
    auxiliary: str
    frame: str
    subjects: frozenset[str]
    objects: frozenset[str]


class Time(NamedTuple):
    """A time expression and its tenses."""

    english: list[str]
    german: list[str]
    tenses: frozenset[str]


class Determiner(NamedTuple):
    """A determiner pair; the English form is None where there is none, as the plural of "every"; "" is no article.

    `endings` is a key of ENDINGS, or empty if uninflected; `adjectives` is weak, mixed or strong.
    """

    singular: str | None
    plural: str | None
    german: str
    endings: str
    adjectives: str


DETERMINERS = {
    "the": Determiner("the", "the", "d", "definite", "weak"),
    "this": Determiner("this", "these", "dies", "strong", "weak"),
    "every": Determiner("every", None, "jed", "strong", "weak"),
    "all": Determiner(None, "all", "all", "strong", "weak"),
    "a": Determiner("a", None, "ein", "mixed", "mixed"),
    "no": Determiner("no", "no", "kein", "mixed", "mixed"),
    "my": Determiner("my", "my", "mein", "mixed", "mixed"),
    "our": Determiner("our", "our", "unser", "mixed", "mixed"),
    "many": Determiner(None, "many", "viel", "strong", "strong"),
    "some": Determiner(None, "some", "einig", "strong", "strong"),
    "two": Determiner(None, "two", "zwei", "", "strong"),
    "three": Determiner(None, "three", "drei", "", "strong"),
    "bare": Determiner("", "", "", "", "strong"),
}


def paradigm(*rows: str) -> dict[Case, list[str]]:
    """Forms by case, each row with masculine, feminine, neuter and plural; "-" is an empty ending."""
    return {case: row.replace("-", "").split(" ") for case, row in zip(get_args(Case), rows, strict=True)}


ENDINGS = {
    "definite": paradigm("er ie as ie", "en ie as ie", "em er em en"),
    "strong": paradigm("er e es e", "en e es e", "em er em en"),
    "mixed": paradigm("- e - e", "en e - e", "em er em en"),
}
ADJECTIVE_ENDINGS = {
    "weak": paradigm("e e e en", "en e e en", "en en en en"),
    "mixed": paradigm("er e es en", "en e es en", "en en en en"),
    "strong": ENDINGS["strong"],
}
RELATIVE_PRONOUNS = paradigm("der die das die", "den die das die", "dem der dem denen")

# English singular and plural, German singular and plural
AUXILIARIES = {
    "haben": ("has", "have", "hat", "haben"),
    "sein": ("has", "have", "ist", "sind"),
    "next": ("will", "will", "wird", "werden"),
    "can": ("can", "can", "kann", "können"),
    "must": ("must", "must", "muss", "müssen"),
    "should": ("should", "should", "sollte", "sollten"),
    "want": ("wants to", "want to", "will", "wollen"),
}


class Conjugation(NamedTuple):
    """A verb in one tense and number; `swapped` is the finite form of the other number.

    `apart` are the verbs or prefix at the end of a German main clause, `final` all verbs of a verb-final clause.
    """

    english: list[str]
    finite: str
    swapped: str
    apart: list[str]
    final: list[str]


def column(gender: str, plural: bool) -> int:
    """Column of a gender, or of the plural, in the tables of endings."""
    return 3 if plural else "mfn".index(gender)


def decline(noun: Noun, case: Case, plural: bool) -> str:
    """German form of a noun."""
    if not plural:
        return noun.german_plural if noun.weak and case != "nominative" else noun.german
    return noun.german_plural + ("n" if case == "dative" and noun.german_plural[-1] not in "ns" else "")


def german_determiner(determiner: Determiner, gender: str, case: Case, plural: bool) -> str:
    """German form of a determiner; empty for the bare one."""
    if not determiner.endings:
        return determiner.german
    return determiner.german + ENDINGS[determiner.endings][case][column(gender, plural)]


def third_person(verb: str) -> str:
    """English third person singular; in a phrasal verb the first word changes: puts on."""
    word, *rest = verb.split()
    if word.endswith(("s", "sh", "ch", "x", "o")):
        word += "es"
    elif word.endswith("y") and word[-2] not in "aeiou":
        word = word[:-1] + "ies"
    else:
        word += "s"
    return " ".join([word, *rest])


def conjugate(verb: Verb, tense: Tense, plural: bool) -> Conjugation:
    """Forms of a verb in the third person: present ("now"), perfect ("done"), future ("next") or after a modal verb."""
    if tense == "now":
        english = verb.english if plural else third_person(verb.english)
        finite, swapped = (verb.plural, verb.singular) if plural else (verb.singular, verb.plural)
        return Conjugation(english.split(), finite, swapped, [verb.prefix] * bool(verb.prefix), [verb.prefix + finite])
    auxiliary = AUXILIARIES[verb.auxiliary if tense == "done" else tense]
    main = verb.english_participle if tense == "done" else verb.english
    apart = verb.participle if tense == "done" else verb.infinitive
    finite = auxiliary[2 + plural]
    english = f"{auxiliary[plural]} {main}"
    return Conjugation(english.split(), finite, auxiliary[3 - plural], [apart], [apart, finite])


def rows(table: str) -> list[str]:
    """Entries of a table, separated by semicolons or line ends."""
    return [row.strip() for row in table.strip().replace("\n", ";").split(";")]


def read_nouns() -> dict[str, list[Noun]]:
    """Nouns by kind."""
    nouns: dict[str, list[Noun]] = {}
    for kind, table in LEXICON["nouns"].items():
        nouns[kind] = []
        for row in rows(table):
            english, english_plural, german, gender, german_plural = row.split()
            nouns[kind].append(
                Noun(english, english_plural, german, gender[0], german_plural.strip("-"), gender.endswith("w"), kind)
            )
    return nouns


def read_adjectives() -> dict[str, list[Adjective]]:
    """Adjectives by kind of noun, in the order of slots."""
    adjectives: dict[str, list[Adjective]] = {kind: [] for kind in LEXICON["nouns"]}
    for kinds, table in LEXICON["adjectives"].items():
        for row in table.split():
            slot, pair = row.split(":")
            english, german = pair.split("=")
            stem, _, predicate = german.partition("/")
            adjective = Adjective(english, stem, predicate or stem, int(slot), frozenset(kinds.split()))
            for kind in kinds.split():
                adjectives[kind].append(adjective)
    return {kind: sorted(fitting, key=lambda adjective: adjective.slot) for kind, fitting in adjectives.items()}


def read_verbs() -> list[Verb]:
    """All verbs."""
    verbs = []
    for frame_and_kinds, table in LEXICON["verbs"].items():
        frame_and_subjects, _, objects = frame_and_kinds.partition(">")
        frame, *subjects = frame_and_subjects.split()
        for row in rows(table):
            english, german = row.split(" = ")
            base, english_participle = (word.replace("_", " ") for word in english.split())
            infinitive, singular, participle, *sein = german.split()
            prefix, _, plural = infinitive.rpartition("|")
            forms = (prefix, prefix + plural, singular, plural, participle, "sein" if sein else "haben")
            kinds = frozenset(subjects), frozenset(objects.split())
            verbs.append(Verb(base, english_participle, *forms, frame, *kinds))
    return verbs


def read_times() -> list[Time]:
    """All time expressions."""
    times = []
    for row in rows(LEXICON["times"]):
        pair, tenses = row.split(" : ")
        english, german = pair.split(" = ")
        times.append(Time(english.split(), german.split(), frozenset(tenses.split())))
    return times


NOUNS = read_nouns()
ADJECTIVES = read_adjectives()
VERBS = read_verbs()
TIMES = read_times()
