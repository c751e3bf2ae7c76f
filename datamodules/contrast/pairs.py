"""Contrast pairs: a German reference and the same sentence with one verb in the wrong number.

A model that remembers the subject until the verb gives the reference the higher probability (Sennrich 2017,
arXiv:1612.04629). Pairs of the embedded corpus come from its grammar. In other text the rules below accept a sentence
only if its first words fix the number of a verb from a list and no reading of the contrast is grammatical; they were
written for image captions and reject most other sentences.
"""

import re
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from datamodules.contrast import german_words as german
from datamodules.embedded.corpus import cached_corpus
from datamodules.translation import TranslationData

Number: TypeAlias = Literal["singular", "plural"]
EMBEDDED_SENTENCES = 2000  # the 500 test sentences first; more, because large distances are rare
WORD_OR_MARK = re.compile(r"[^\W_]+(?:[-'’./][^\W_]+)*|\S")


class ContrastPair(NamedTuple):
    """A source sentence, its reference and the reference with one verb in the wrong number.

    Attributes:
        number: that of the verb in the reference.
        distance: German words between the subject's head noun and the verb; 0 if the verb comes first.
        attractors: nouns between them whose number is not the subject's; None where that is unknown.
        id: test set and the number of the sentence in it.
    """

    source: str
    reference: str
    contrast: str
    number: Number
    distance: int
    attractors: int | None
    id: str


class Contrast(NamedTuple):
    """A sentence with its verb in the wrong number, the right one, and how many words are between subject and verb."""

    text: str
    number: Number
    distance: int


class Subject(NamedTuple):
    """The first noun phrase of a sentence.

    Attributes:
        head: position of its noun among the tokens.
        number: None if only the verb shows it.
        nominative: whether it can only be the subject.
        pronouns: relative pronouns that can refer to it as a subject.
    """

    head: int
    number: Number | None
    nominative: bool
    pronouns: frozenset[str]


def contrast_pairs(data: TranslationData) -> list[ContrastPair]:
    """Contrast pairs of all test sets of a corpus, in order.

    Raises:
        ValueError: the target language is not German, or the test sets give no pair.
    """
    if data.corpus.target_language != "de":
        raise ValueError(
            f"data.corpus.target_language is {data.corpus.target_language!r}, but contrast pairs are made of German "
            "references: train with DIRECTION=en-de, or any other source and target de."
        )
    if data.corpus.name == "embedded":
        return _embedded_pairs(data.cache_dir)
    pairs = []
    for test_set in data.test_sets:
        text = data.text(test_set)
        for number, (source, reference) in enumerate(zip(text.source, text.target, strict=True)):
            if contrast := wrong_number(reference):
                pairs.append(ContrastPair(source, reference, *contrast, attractors=None, id=f"{test_set} {number}"))
    if not pairs:
        raise ValueError(
            f"no sentence of the test sets {', '.join(data.test_sets)} makes a contrast pair: use test sets with "
            "German sentences such as 'Ein Mann mit Hut steht vor einem Haus.'"
        )
    return pairs


def _embedded_pairs(cache_dir: Path) -> list[ContrastPair]:
    return [
        ContrastPair(
            source=pair.english,
            reference=pair.german,
            contrast=pair.german_contrast,
            number=pair.subject_number,
            distance=pair.distance,
            attractors=pair.attractors,
            id=f"test {number}",
        )
        for number, pair in enumerate(cached_corpus("test", cache_dir, EMBEDDED_SENTENCES))
        if pair.german_contrast is not None
    ]


def wrong_number(sentence: str) -> Contrast | None:
    """The German sentence with the verb of its first noun phrase in the wrong number; None unless certainly wrong.

    The verb is that of the main clause or, in a sentence without one, of the relative clause that follows the noun:
    "Ein Hund, der im Schnee spielt."
    """
    matches = list(WORD_OR_MARK.finditer(sentence))
    tokens = [match.group() for match in matches]
    if not (subject := _subject(tokens)):
        return None
    verb_at = _main_verb(tokens, subject)
    if verb_at is None:
        verb_at = _relative_verb(tokens, subject)
    if verb_at is None:
        return None
    verb = tokens[verb_at]
    swapped = german.PLURAL_OF.get(verb) or german.SINGULAR_OF[verb]
    start, end = matches[verb_at].span()
    between = [token for token in tokens[subject.head + 1 : verb_at] if token[0].isalnum()]
    number: Number = "singular" if verb in german.PLURAL_OF else "plural"
    return Contrast(sentence[:start] + swapped + sentence[end:], number, len(between))


def _subject(tokens: list[str]) -> Subject | None:
    if tokens and tokens[0] in german.PLURAL_NOUNS:
        return Subject(0, "plural", nominative=False, pronouns=frozenset(["die"]))
    if not tokens or tokens[0].lower() not in german.DETERMINERS:
        return None
    determiner, at = tokens[0].lower(), 1
    if determiner == "ein" and tokens[1:2] == ["paar"]:
        determiner, at = "ein paar", 2
    if determiner not in german.NUMBER:
        return None
    head = _noun_at(tokens, at)
    if head is None or _is_noun(tokens, head + 1):
        return None  # "Eine Tasse Kaffee", "Ein Dutzend Eier": which noun is the head?
    number, noun = german.NUMBER[determiner], tokens[head].lower()
    if number != "plural" and noun.endswith(german.COLLECTIVE):
        return None
    masculine = determiner in ("der", "dieser", "jeder") or (
        determiner == "ein" and (noun.endswith(german.MASCULINE) or (head > at and tokens[head - 1].endswith("er")))
    )
    pronouns = german.PRONOUNS.get(determiner, frozenset(["die"]))
    return Subject(head, number, masculine, pronouns)


def _main_verb(tokens: list[str], subject: Subject) -> int | None:
    """The verb after the subject and its attributes: prepositional phrases, genitives, relative clauses."""
    at = subject.head + 1
    while at < len(tokens) and not _is_verb(tokens, at):
        token, after_noun = tokens[at], _is_noun(tokens, at - 1)
        beyond = None
        if token == ",":
            beyond = _after_relative_clause(tokens, at)
        elif token in german.PREPOSITIONS:
            beyond = _after_prepositional_phrase(tokens, at)
        elif token in ("der", "des", "eines", "einer") and after_noun:
            beyond = _after_noun_phrase(tokens, at)
        elif token in german.ADVERBS:
            beyond = at + 1
        elif token in ("und", "oder") and subject.number == "singular" and at > subject.head + 1 and after_noun:
            beyond = _after_noun_phrase(tokens, at + 1)  # a second subject would make the verb plural
        if beyond is None:
            return None
        at = beyond
    if at == len(tokens) or not _agrees(tokens[at], subject):
        return None
    plural = tokens[at] in german.SINGULAR_OF
    decided = subject.nominative and tokens[at] not in german.COPULAS  # "Ein Problem sind die Autos."
    return at if decided or not _other_subject(tokens[at + 1 :], singular=plural, plural=not plural) else None


def _relative_verb(tokens: list[str], subject: Subject) -> int | None:
    """The last word of a relative clause that follows the head noun and whose pronoun is the subject."""
    begin = subject.head + 2
    if tokens[subject.head + 1 : begin] != [","] or begin == len(tokens) or tokens[begin] not in subject.pronouns:
        return None
    marks = [i for i, token in enumerate(tokens) if i > begin and token in (",", ".", "und", "während")]
    for end in [*marks, len(tokens)]:
        verb = end - 1
        if _is_verb(tokens, verb) and verb > begin and tokens[verb - 1] != "zu":
            clause = tokens[begin + 1 : verb]
            other_verb = any(word == "und" and clause[i - 1].islower() for i, word in enumerate(clause))
            if "," in clause or other_verb or not _agrees(tokens[verb], subject):
                return None
            safe = tokens[begin] == "der" or not _other_subject(clause, singular=True, plural=True)
            return verb if safe else None
    return None


def _other_subject(tokens: list[str], singular: bool, plural: bool) -> bool:
    """Whether a clause has, outside prepositional phrases, a possible subject of one of these numbers."""
    at, noun_phrase_before = 0, False
    while at < len(tokens) and tokens[at] not in (",", ".", ";", ":", "während", "weil"):
        token = tokens[at]
        if token in ("und", "oder"):
            if noun_phrase_before and plural:
                return True
            if _is_verb(tokens, at + 1):
                return False
            at = _after_noun_phrase(tokens, at + 1, nouns=1) or at + 1
        elif token in german.PREPOSITIONS:
            at, noun_phrase_before = _after_prepositional_phrase(tokens, at, nouns=1) or at + 1, False
        elif token in german.NEVER_SUBJECT:
            at = _after_noun_phrase(tokens, at, nouns=1) or at + 1
        elif token in german.DETERMINERS or _is_noun(tokens, at):
            number = _number_of(tokens, at)
            if (singular and number != "plural") or (plural and number != "singular"):
                return True
            at, noun_phrase_before = _after_noun_phrase(tokens, at, nouns=1) or at + 1, True
        elif token in ("es", "sie", "man", "beide", "alle", "jemand"):
            return True
        else:
            at += 1
    return False


def _number_of(tokens: list[str], at: int) -> Number | None:
    """Number of the noun phrase that begins here, if its first word shows it."""
    token = tokens[at]
    if token == "ein" and tokens[at + 1 : at + 2] == ["paar"]:
        return "plural"
    if token in ("ein", "eine", "das") or token in german.UNCOUNTED:
        return "singular"
    return "plural" if token in german.PLURAL_DETERMINERS else None


def _after_relative_clause(tokens: list[str], comma: int) -> int | None:
    """The position after a relative clause before a verb, "..., der dort sitzt, liest"; None without one."""
    first = comma + 1
    if first < len(tokens) and tokens[first] in german.PREPOSITIONS:
        first += 1
    if first >= len(tokens) or tokens[first] not in german.RELATIVE:
        return None
    for end in range(first + 1, len(tokens) - 1):
        if tokens[end] == "," and _is_verb(tokens, end + 1):
            return end + 1 if tokens[end - 1].islower() else None
    return None


def _after_prepositional_phrase(tokens: list[str], at: int, nouns: int = 3) -> int | None:
    """The position after a preposition and its noun phrase or adverb; None if neither follows."""
    at += 1
    if at < len(tokens) and tokens[at] in german.ADVERBS:  # "von hinten"
        return at + 1
    if at < len(tokens) and tokens[at] in german.PREPOSITIONS:  # "bis zum Strand"
        at += 1
    return _after_noun_phrase(tokens, at, nouns)


def _after_noun_phrase(tokens: list[str], at: int, nouns: int = 3) -> int | None:
    """The position after a noun phrase of up to `nouns` nouns, "eine Tasse Kaffee"; None if none begins here."""
    if at < len(tokens) and tokens[at] in german.DETERMINERS:
        at += 1
    noun = _noun_at(tokens, at)
    if noun is None:
        return None
    end = noun + 1
    while end < noun + nouns and _is_noun(tokens, end):
        end += 1
    return end


def _noun_at(tokens: list[str], at: int) -> int | None:
    """The position of the next noun after adjectives only; None if another word comes first."""
    while at < len(tokens) and not _is_noun(tokens, at):
        token = tokens[at]
        between_adjectives = token in (",", "und") and tokens[at - 1].endswith(("e", "er", "es", "en", "em"))
        adjective = (token.islower() or token.isdigit()) and not (
            token in german.PREPOSITIONS
            or token in german.DETERMINERS - german.PLURAL_DETERMINERS
            or token in german.CONJUNCTIONS
        )
        if not (between_adjectives or adjective) or _is_verb(tokens, at):
            return None
        at += 1
    return at if at < len(tokens) else None


def _is_noun(tokens: list[str], at: int) -> bool:
    """Whether a word is capitalised, as German nouns are."""
    return 0 <= at < len(tokens) and tokens[at][0].isupper()


def _is_verb(tokens: list[str], at: int) -> bool:
    return at < len(tokens) and (tokens[at] in german.PLURAL_OF or tokens[at] in german.SINGULAR_OF)


def _agrees(verb: str, subject: Subject) -> bool:
    return subject.number is None or subject.number == ("singular" if verb in german.PLURAL_OF else "plural")
