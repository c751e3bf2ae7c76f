"""Words of the embedded corpus and their forms: gender, case and number in German, number and tense in both."""

from typing import Literal, NamedTuple

from datamodules.embedded.lexicon import ADJECTIVE_TABLE, NOUN_TABLE, TIME_TABLE, VERB_TABLE

Case = Literal["nominative", "accusative", "dative"]
Tense = Literal["now", "done", "next", "can", "must", "should", "want"]


class Noun(NamedTuple):
    """A noun pair. `gender` is m, f or n; `german_plural` is empty for mass nouns, which have no plural.

    `weak` masculines (der Student, den Studenten) wear their plural form in every case but the nominative singular.
    """

    english: str
    english_plural: str
    german: str
    gender: str
    german_plural: str
    weak: bool
    kind: str


class Adjective(NamedTuple):
    """An adjective pair; `stem` takes the endings, `predicate` stands alone; slots order several before a noun."""

    english: str
    stem: str
    predicate: str
    slot: int
    kinds: frozenset[str]


class Verb(NamedTuple):
    """A verb pair with its frame: who does it (`subjects`) to what (`objects`), both sets of noun kinds.

    German finite forms are written without the separable `prefix`; `infinitive` and `participle` with it.
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
    """A time expression and the tenses it goes with."""

    english: list[str]
    german: list[str]
    tenses: frozenset[str]


class Determiner(NamedTuple):
    """A determiner pair; an English form of None is missing, as the plural of "every"; "" is an empty determiner.

    `endings` names a row of ENDINGS, or is empty for the uninflected; `adjectives` is weak, mixed or strong.
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

# masculine, feminine, neuter, plural
ENDINGS: dict[str, dict[Case, tuple[str, str, str, str]]] = {
    "definite": {
        "nominative": ("er", "ie", "as", "ie"),
        "accusative": ("en", "ie", "as", "ie"),
        "dative": ("em", "er", "em", "en"),
    },
    "strong": {
        "nominative": ("er", "e", "es", "e"),
        "accusative": ("en", "e", "es", "e"),
        "dative": ("em", "er", "em", "en"),
    },
    "mixed": {
        "nominative": ("", "e", "", "e"),
        "accusative": ("en", "e", "", "e"),
        "dative": ("em", "er", "em", "en"),
    },
}
ADJECTIVE_ENDINGS: dict[str, dict[Case, tuple[str, str, str, str]]] = {
    "weak": {
        "nominative": ("e", "e", "e", "en"),
        "accusative": ("en", "e", "e", "en"),
        "dative": ("en", "en", "en", "en"),
    },
    "mixed": {
        "nominative": ("er", "e", "es", "en"),
        "accusative": ("en", "e", "es", "en"),
        "dative": ("en", "en", "en", "en"),
    },
    "strong": ENDINGS["strong"],
}
RELATIVE_PRONOUNS: dict[Case, tuple[str, str, str, str]] = {
    "nominative": ("der", "die", "das", "die"),
    "accusative": ("den", "die", "das", "die"),
    "dative": ("dem", "der", "dem", "denen"),
}

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
    """A verb in one tense and number. `swapped` is the finite form of the other number, wrong for this subject.

    `apart` is what stands at the end of a German main clause; `final` is the whole verb of a verb-final clause.
    """

    english: list[str]
    finite: str
    swapped: str
    apart: list[str]
    final: list[str]


def column(gender: str, plural: bool) -> int:
    """Place of a gender, or of the plural that all genders share, in the tables of endings."""
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
    """English third person singular; of a phrasal verb the first word changes: puts on."""
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
    """Entries of a table, which are parted by semicolons or line ends."""
    return [row.strip() for row in table.strip().replace("\n", ";").split(";")]


def read_nouns() -> dict[str, list[Noun]]:
    """Nouns by kind."""
    nouns: dict[str, list[Noun]] = {}
    for kind, table in NOUN_TABLE.items():
        nouns[kind] = []
        for row in rows(table):
            english, english_plural, german, gender, german_plural = row.split()
            nouns[kind].append(
                Noun(english, english_plural, german, gender[0], german_plural.strip("-"), gender.endswith("w"), kind)
            )
    return nouns


def read_adjectives() -> dict[str, list[Adjective]]:
    """Adjectives by the kind of noun they fit, each kind in the order of slots."""
    adjectives: dict[str, list[Adjective]] = {kind: [] for kind in NOUN_TABLE}
    for kinds, table in ADJECTIVE_TABLE.items():
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
    for frame_and_kinds, table in VERB_TABLE.items():
        frame_and_subjects, _, objects = frame_and_kinds.partition(">")
        frame, *subjects = frame_and_subjects.split()
        for row in rows(table):
            english, german = row.split(" = ")
            base, english_participle = english.split()
            infinitive, singular, participle, *auxiliary = german.split()
            prefix, _, simple = infinitive.rpartition("|")
            verbs.append(
                Verb(
                    base.replace("_", " "),
                    english_participle.replace("_", " "),
                    prefix,
                    prefix + simple,
                    singular,
                    simple,
                    participle,
                    "sein" if auxiliary else "haben",
                    frame,
                    frozenset(subjects),
                    frozenset(objects.split()),
                )
            )
    return verbs


def read_times() -> list[Time]:
    """All time expressions."""
    times = []
    for row in rows(TIME_TABLE):
        pair, tenses = row.split(" : ")
        english, german = pair.split(" = ")
        times.append(Time(english.split(), german.split(), frozenset(tenses.split())))
    return times


NOUNS = read_nouns()
ADJECTIVES = read_adjectives()
VERBS = read_verbs()
TIMES = read_times()
