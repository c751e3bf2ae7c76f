"""Inflection against forms written by hand."""

import pytest

from datamodules.embedded.morphology import NOUNS, VERBS, Case, Noun, Tense, Verb, conjugate, decline, third_person

NOUN: dict[str, Noun] = {noun.english: noun for nouns in NOUNS.values() for noun in nouns}


@pytest.mark.parametrize(
    ("english", "case", "plural", "german"),
    [
        ("tourist", "accusative", False, "Touristen"),
        ("man", "accusative", False, "Mann"),
        ("man", "dative", True, "Männern"),
        ("car", "dative", True, "Autos"),
        ("woman", "dative", True, "Frauen"),
        ("girl", "dative", True, "Mädchen"),
        ("teacher", "dative", True, "Lehrern"),
        ("lake", "nominative", True, "Seen"),
    ],
)
def test_nouns_decline(english: str, case: Case, plural: bool, german: str) -> None:
    assert decline(NOUN[english], case, plural) == german


@pytest.mark.parametrize(
    ("verb", "third"),
    [("go", "goes"), ("catch", "catches"), ("cry", "cries"), ("play", "plays"), ("put on", "puts on")],
)
def test_english_third_person(verb: str, third: str) -> None:
    assert third_person(verb) == third


@pytest.mark.parametrize(
    ("infinitive", "tense", "plural", "english", "main", "final"),
    [
        ("aufessen", "now", False, "eats up", "isst ... auf", "aufisst"),
        ("aufessen", "now", True, "eat up", "essen ... auf", "aufessen"),
        ("aufessen", "done", False, "has eaten up", "hat ... aufgegessen", "aufgegessen hat"),
        ("folgen", "done", True, "have followed", "sind ... gefolgt", "gefolgt sind"),
        ("gehen", "done", False, "has gone", "ist ... gegangen", "gegangen ist"),
        ("aufessen", "next", False, "will eat up", "wird ... aufessen", "aufessen wird"),
        ("trinken", "can", True, "can drink", "können ... trinken", "trinken können"),
        ("trinken", "must", False, "must drink", "muss ... trinken", "trinken muss"),
        ("trinken", "should", True, "should drink", "sollten ... trinken", "trinken sollten"),
        ("trinken", "want", False, "wants to drink", "will ... trinken", "trinken will"),
        ("wissen", "now", False, "knows", "weiß ... ", "weiß"),
    ],
)
def test_verbs_conjugate(infinitive: str, tense: Tense, plural: bool, english: str, main: str, final: str) -> None:
    forms = conjugate(next(verb for verb in VERBS if verb.infinitive == infinitive), tense, plural)
    assert " ".join(forms.english) == english
    assert f"{forms.finite} ... {' '.join(forms.apart)}" == main
    assert " ".join(forms.final) == final


@pytest.mark.parametrize("verb", VERBS, ids=[f"{verb.infinitive}-{verb.frame}" for verb in VERBS])
def test_the_swapped_form_is_the_finite_form_of_the_other_number(verb: Verb) -> None:
    tenses: tuple[Tense, ...] = ("now", "done", "next", "can", "must", "should", "want")
    for tense in tenses:
        one, many = conjugate(verb, tense, False), conjugate(verb, tense, True)
        assert (one.finite, one.swapped) == (many.swapped, many.finite)
        assert one.finite != many.finite
