"""The tables read into words that can carry the grammar."""

from collections import defaultdict

from datamodules.embedded.morphology import ADJECTIVES, NOUNS, TIMES, VERBS


def test_the_lexicon_is_small_enough_to_be_learned_in_a_minute() -> None:
    adjectives = {adjective.english for fitting in ADJECTIVES.values() for adjective in fitting}
    assert 150 <= sum(len(nouns) for nouns in NOUNS.values()) + len(adjectives) + len(VERBS) + len(TIMES) <= 200


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


def test_each_english_adjective_has_one_german_stem() -> None:
    stems = defaultdict(set)
    for fitting in ADJECTIVES.values():
        for adjective in fitting:
            stems[adjective.english].add(adjective.stem)
    assert all(len(german) == 1 for german in stems.values())


def test_an_english_verb_has_one_german_verb_per_subject_and_object() -> None:
    german = defaultdict(set)
    for verb in VERBS:
        for subject in verb.subjects:
            for object in verb.objects or {""}:
                german[verb.english, subject, object].add((verb.infinitive, verb.auxiliary))
    assert all(len(verbs) == 1 for verbs in german.values())


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
