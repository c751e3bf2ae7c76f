"""Contrast pairs: one verb in the wrong number, in sentences where that is surely wrong."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules import TranslationData
from datamodules.contrast import pairs as contrast
from datamodules.contrast.german_words import PLURAL_OF, SINGULAR_OF, WORDS
from datamodules.contrast.pairs import ContrastPair, contrast_pairs, wrong_number
from datamodules.corpora import Corpus
from datamodules.embedded.corpus import embedded_corpus, split_of
from datamodules.tokenizer import TokenizerSettings

DATA_DIR = os.environ.get("DATA_DIR", "")
KEPT = [
    ("Ein Mann steht vor einem Haus.", "stehen", 0),
    ("Zwei Frauen sitzen auf einer Bank.", "sitzt", 0),
    ("Leute gehen am Strand entlang.", "geht", 0),
    ("Ein Mann hält zwei Hunde.", "halten", 0),  # a man is no object: "Einen Mann"
    ("Ein kleiner Hund trägt Stöcke.", "tragen", 0),
    ("Eine Frau hält ein Kind.", "halten", 0),  # one child cannot "halten"
    ("Eine Frau spielt Gitarre.", "spielen", 0),
    ("Zwei Kinder halten mehrere Hunde.", "hält", 0),
    ("Mehrere Leute folgen dem Hund.", "folgt", 0),
    ("Die Frau lacht.", "lachen", 0),
    ("Die Frauen lachen.", "lacht", 0),
    ("Ein paar Kinder spielen im Sand.", "spielt", 0),
    ("Ein großer, brauner Hund springt über eine Hürde.", "springen", 0),
    ("Ein Mann in einem roten Hemd steht auf der Straße.", "stehen", 4),
    ("Eine Frau mit Hut und Mantel wartet auf den Bus.", "warten", 4),
    ("Zwei Männer im Garten des Nachbarn lachen.", "lacht", 4),
    ("Ein Mann, der einen Hut trägt, liest in einem Buch.", "lesen", 4),
    ("Eine Frau, mit der ein Kind spielt, lacht.", "lachen", 5),
    ("Ein Hund, der im Schnee spielt.", "spielen", 3),
    ("Eine Frau, die in einer großen Halle tanzt", "tanzen", 5),
    ("Drei Kinder, die im Wasser baden.", "badet", 3),
    ("Ein Tisch ist gedeckt.", "sind", 0),
    ("Kinder, die im Sand spielen", "spielt", 3),
]
DROPPED = [
    "",
    "Hallo!",
    "Ein",
    "Ein Mann und eine Frau stehen vor einem Haus.",  # coordinated subjects
    "Zwei Männer und eine Frau stehen vor einem Haus.",
    "Zwei Männer mit Hüten und eine Frau stehen vor einem Haus.",
    "Eine Gruppe von Männern steht vor einem Haus.",  # "eine Gruppe von Männern stehen"
    "Ein Paar geht am Strand entlang.",
    "Eine Tasse Kaffee steht auf dem Tisch.",
    "Mädchen spielen im Sand.",  # or one girl, "Mädchen spielt"
    "Zwei Frauen halten ein Kind.",  # "Zwei Frauen hält ein Kind": the child does
    "Zwei Frauen hält das Kind.",
    "Zwei Frauen sehen eine Katze.",
    "Zwei Frauen sehen im Garten die Katze.",
    "Eine Frau hält zwei Kinder.",  # "Eine Frau halten zwei Kinder": the children do
    "Eine Frau hält die Kinder.",
    "Ein Kind sieht Hunde.",
    "Eine Frau trägt ein Kind und eine Tasche.",
    "Der Tisch ist zwei Meter lang.",  # as in "Der Grund sind die Kinder."
    "Zwei Männer spielen Fußball.",
    "Zwei Männer fotografieren im Park.",  # "Zwei Männer fotografiert im Park"
    "Zwei Männer versuchen zu stehen.",  # not the finite verb
    "Zwei Männer wollten im Garten stehen.",
    "Zwei Männer tranken und stehen.",
    "Im Garten steht ein Mann.",  # the subject comes later
    "Ein Mann stehen im Garten.",  # wrong as it is
    "Eine Frau, die ein Mann trägt",  # the man carries her
    "Eine Frau, der ein Mann hilft",
    "Zwei Frauen, die eine Katze sehen",
    "Ein Mann mit einem Hund, der im Schnee spielt",  # the dog plays
    "Ein Mann, der zu klettern versucht",
    "Ein Mädchen, das hochklettert und einen Rock trägt",  # the nearer verb gives the number
    "Ein Mann im Anzug.",
]


def words(sentence: str) -> list[str]:
    return [stripped for word in sentence.split() if (stripped := word.strip(".,!?;:\"'"))]


@pytest.mark.parametrize(("sentence", "verb", "distance"), KEPT)
def test_a_sure_verb_is_swapped(sentence: str, verb: str, distance: int) -> None:
    found = wrong_number(sentence)
    assert found is not None
    assert (found.distance, verb in words(found.text)) == (distance, True)
    other = SINGULAR_OF.get(verb) or PLURAL_OF[verb]
    assert found.text.replace(verb, other) == sentence


@pytest.mark.parametrize("sentence", DROPPED)
def test_an_unsure_sentence_is_dropped(sentence: str) -> None:
    assert wrong_number(sentence) is None


INTRANSITIVE = st.sampled_from([("steht", "stehen"), ("sitzt", "sitzen"), ("läuft", "laufen"), ("schläft", "schlafen")])
SUBJECTS = st.sampled_from(
    [("Ein", "Mann"), ("Eine", "Frau"), ("Das", "Kind"), ("Zwei", "Frauen"), ("Mehrere", "Hunde"), ("Vier", "Personen")]
)
PHRASES = st.lists(
    st.sampled_from(["im Garten", "mit einem kleinen Hund", "in blauen Jacken", "vor dem Haus der Nachbarin", "hinten"])
)


@given(SUBJECTS, INTRANSITIVE, PHRASES, st.sampled_from(["", "auf dem Dach", "mit dem Hund im Schnee"]))
def test_a_caption_of_known_parts(
    subject: tuple[str, str], verb: tuple[str, str], between: list[str], end: str
) -> None:
    singular = subject[0] in ("Ein", "Eine", "Das")
    right, wrong = verb if singular else verb[::-1]
    before = " ".join([*subject, *between])
    found = wrong_number(f"{before} {right} {end}.")
    assert found == (f"{before} {wrong} {end}.", "singular" if singular else "plural", len(" ".join(between).split()))
    assert wrong_number(f"{before} {wrong} {end}.") is None


@given(st.text(alphabet="EinZweiMannFrauen,.dersitzt und-'  ", max_size=60))
def test_any_text_is_accepted(text: str) -> None:
    found = wrong_number(text)
    assert found is None or found.text != text


def test_each_verb_form_belongs_to_one_pair() -> None:
    forms = [form for pair in WORDS["verbs"].split(",") for form in pair.split()]
    assert len(forms) == len(set(forms)) == 2 * len(PLURAL_OF) == 2 * len(SINGULAR_OF)


@pytest.mark.parametrize("participle", ["fotografiert", "betrachtet", "bewegt", "überquert", "betreten", "gehalten"])
def test_no_verb_form_is_a_participle_that_captions_end_with(participle: str) -> None:
    assert participle not in PLURAL_OF
    assert participle not in SINGULAR_OF


def test_embedded_pairs_are_those_of_the_grammar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The corpus's own test set comes first, whole but for sentences without a contrast; all are unseen."""
    few = 300
    monkeypatch.setattr(contrast, "EMBEDDED_SENTENCES", few)
    expected = [
        ContrastPair(pair.english, pair.german, pair.german_contrast, pair.subject_number, *pair[-2:], f"test {number}")
        for number, pair in enumerate(embedded_corpus("test", size=60))
        if pair.german_contrast is not None
    ]
    pairs = contrast_pairs(TranslationData(cache_dir=str(tmp_path)))
    assert pairs[: len(expected)] == expected
    assert {split_of(pair.source) for pair in pairs} == {"test"}
    assert len({pair.source for pair in pairs}) == len(pairs) > 0.83 * few
    assert sum(pair.distance >= 8 for pair in pairs) > 4
    for pair in pairs:
        assert sum(a != b for a, b in zip(pair.reference.split(), pair.contrast.split(), strict=True)) == 1


def test_another_target_language_is_refused() -> None:
    with pytest.raises(ValueError, match=r"target_language is 'en', but .* train with DIRECTION=en-de"):
        contrast_pairs(TranslationData(Corpus(source_language="de", target_language="en")))


def own_corpus(folder: Path, captions: list[str]) -> TranslationData:
    files = {}
    for split, lines in {"train": captions, "val": captions, "first": captions[:2], "second": captions[2:]}.items():
        files[split] = [str(folder / f"{split}.{language}") for language in ("en", "de")]
        Path(files[split][0]).write_text("".join(f"Source of {line}\n" for line in lines), encoding="utf-8")
        Path(files[split][1]).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return TranslationData(
        Corpus("files", files=files), TokenizerSettings("word", 100, min_frequency=1), cache_dir=str(folder)
    )


def test_pairs_of_own_files_name_their_test_set(tmp_path: Path) -> None:
    captions = ["Ein Haus.", "Ein Mann mit Hut steht dort.", "Zwei Frauen sitzen.", "Im Garten sitzt ein Hund."]
    assert contrast_pairs(own_corpus(tmp_path, captions)) == [
        ContrastPair(
            f"Source of {captions[1]}", captions[1], "Ein Mann mit Hut stehen dort.", "singular", 2, None, "first 1"
        ),
        ContrastPair(f"Source of {captions[2]}", captions[2], "Zwei Frauen sitzt.", "plural", 0, None, "second 0"),
    ]


def test_test_sets_without_a_pair_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no sentence of the test sets first, second makes a contrast pair"):
        contrast_pairs(own_corpus(tmp_path, ["Ein Haus.", "Zwei Häuser.", "Ein Garten."]))


@pytest.mark.skipif(not (Path(DATA_DIR) / "multi30k").is_dir(), reason="needs DATA_DIR with multi30k")
def test_multi30k(tmp_path: Path) -> None:
    data = TranslationData(
        Corpus("multi30k", limit=100), TokenizerSettings("word"), data_dir=DATA_DIR, cache_dir=str(tmp_path)
    )
    pairs = contrast_pairs(data)
    assert len(pairs) >= 1000
    assert len({pair.id for pair in pairs}) == len(pairs)
    assert sum(pair.distance >= 4 for pair in pairs) >= 150
    for pair in pairs:
        test_set, number = pair.id.split()
        text = data.text(test_set)
        assert (pair.source, pair.reference) == (text.source[int(number)], text.target[int(number)])
