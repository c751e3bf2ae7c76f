"""The tables read into words that can carry the grammar."""

from datamodules.embedded.morphology import ADJECTIVES, NOUNS, TIMES, VERBS


def test_nouns_are_unique_and_well_formed() -> None:
    nouns = [noun for kind in NOUNS.values() for noun in kind]
    english = [noun.english for noun in nouns] + [noun.english_plural for noun in nouns if noun.german_plural]
    assert len(english) == len(set(english))
    for noun in nouns:
        assert noun.gender in ("m", "f", "n")
        assert noun.german[0].isupper()
        assert noun.gender == "m" or not noun.weak
        assert not noun.weak or noun.german_plural.endswith("n")
        assert noun.gender != "f" or noun.german_plural != noun.german  # or a feminine would hide its number


def test_verbs_name_known_kinds_and_have_plausible_participles() -> None:
    for verb in VERBS:
        assert verb.subjects <= NOUNS.keys()
        assert verb.objects <= NOUNS.keys()
        assert verb.participle.startswith(verb.prefix)
        assert verb.participle.endswith(("t", "n"))
        assert verb.singular.endswith("t") or verb.singular == "weiß"
        assert verb.plural.endswith("n")


def test_every_kind_has_adjectives_and_every_tense_a_one_word_time() -> None:
    assert all(ADJECTIVES[kind] for kind in NOUNS)
    for sort in ("now", "done", "next", "duty"):
        assert any(sort in time.tenses and len(time.english) == 1 for time in TIMES)
