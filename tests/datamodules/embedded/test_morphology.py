"""Inflection against forms written by hand."""

import pytest

from datamodules.embedded.morphology import NOUNS, VERBS, Case, Noun, Tense, Verb, conjugate, decline, third_person

NOUN: dict[str, Noun] = {noun.english: noun for nouns in NOUNS.values() for noun in nouns}


@pytest.mark.parametrize(
    ("english", "case", "plural", "german"),
    [
        ("student", "nominative", False, "Student"),
        ("student", "accusative", False, "Studenten"),
        ("student", "dative", False, "Studenten"),
        ("bear", "accusative", False, "Bären"),
        ("man", "accusative", False, "Mann"),
        ("man", "dative", True, "Männern"),
        ("car", "dative", True, "Autos"),
        ("woman", "dative", True, "Frauen"),
        ("girl", "dative", True, "Mädchen"),
        ("teacher", "dative", True, "Lehrern"),
        ("museum", "nominative", True, "Museen"),
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
        ("einladen", "now", False, "invites", "lädt ... ein", "einlädt"),
        ("einladen", "now", True, "invite", "laden ... ein", "einladen"),
        ("einladen", "done", False, "has invited", "hat ... eingeladen", "eingeladen hat"),
        ("aufwachen", "done", True, "have woken up", "sind ... aufgewacht", "aufgewacht sind"),
        ("gehen", "done", False, "has gone", "ist ... gegangen", "gegangen ist"),
        ("einladen", "next", False, "will invite", "wird ... einladen", "einladen wird"),
        ("lesen", "can", True, "can read", "können ... lesen", "lesen können"),
        ("lesen", "must", False, "must read", "muss ... lesen", "lesen muss"),
        ("lesen", "should", True, "should read", "sollten ... lesen", "lesen sollten"),
        ("lesen", "want", False, "wants to read", "will ... lesen", "lesen will"),
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
