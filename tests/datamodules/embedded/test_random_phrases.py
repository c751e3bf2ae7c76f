"""Random phrases keep to their word budget and to what words mean."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from datamodules.embedded.morphology import ADJECTIVES, DETERMINERS, NOUNS, TIMES
from datamodules.embedded.phrases import full, noun_phrase
from datamodules.embedded.random_phrases import ANY_TENSE, count, fits, phrase, predicate_for, quality, some_time

seeds = st.integers(0, 2**32)
living = st.sampled_from(["person", "animal"])


@given(seeds, living, st.integers(2, 3))
def test_short_phrases_keep_to_their_budget(seed: int, kind: str, words: int) -> None:
    assert count(full(phrase(Random(seed), (kind,), "nominative", words))) <= words


@given(seeds, living, st.integers(1, 14))
def test_predicates_fit_their_subject(seed: int, kind: str, words: int) -> None:
    rng = Random(seed)
    subject = phrase(rng, (kind,), "nominative", 3, relative=False)
    predicate = predicate_for(rng, words, subject, ANY_TENSE, fronting=False)
    if predicate.verb:
        assert kind in predicate.verb.subjects
        if predicate.object:
            assert predicate.object.kind in predicate.verb.objects
            if predicate.object.relative.english:  # English would give what follows to the relative clause
                assert not predicate.place.english
                assert not predicate.companion.english
                assert not predicate.time.english


@given(seeds, st.sampled_from(ANY_TENSE))
def test_times_fit_their_tense(seed: int, tense: str) -> None:
    chosen = some_time(Random(seed), tense, 3)  # type: ignore[arg-type]
    entry = next(time for time in TIMES if time.english == chosen.english)
    assert (tense if tense in ("now", "done", "next") else "duty") in entry.tenses


def test_mass_nouns_take_no_article_of_number() -> None:
    water = next(noun for noun in NOUNS["drink"] if noun.english == "water")
    assert [name for name in DETERMINERS if fits(name, water, False)] == ["the", "this", "no", "my", "our", "bare"]


def test_determiners_fit_the_number_of_their_noun() -> None:
    dog = next(noun for noun in NOUNS["animal"] if noun.english == "dog")
    assert {name for name in DETERMINERS if fits(name, dog, False)} == {"the", "this", "every", "a", "no", "my", "our"}
    assert {name for name in DETERMINERS if not fits(name, dog, True)} == {"every", "a"}


def test_what_is_said_of_a_thing_does_not_contradict_its_adjectives() -> None:
    car = NOUNS["vehicle"][0]
    red = next(adjective for adjective in ADJECTIVES["vehicle"] if adjective.english == "red")
    subject = noun_phrase(car, DETERMINERS["the"], [red], "nominative")
    assert all(quality(Random(seed), subject).slot != red.slot for seed in range(200))
