"""Properties of generated sentence pairs."""

import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules.embedded.grammar import SentencePair, generate_pair, repeats
from datamodules.embedded.morphology import AUXILIARIES, VERBS

SWAPS = {frozenset((verb.singular, verb.plural)) for verb in VERBS} | {
    frozenset(forms[2:]) for forms in AUXILIARIES.values()
}


@pytest.fixture(scope="module")
def pairs() -> list[SentencePair]:
    rng = Random(5)
    return [generate_pair(rng, rng.randint(4, 40)) for _ in range(1500)]


@given(st.integers(0, 2**32), st.integers(3, 50))
def test_the_length_is_right_within_a_word_and_the_seed_fixes_the_pair(seed: int, words: int) -> None:
    pair = generate_pair(Random(seed), words)
    assert abs(pair.words - words) <= 1
    assert pair == generate_pair(Random(seed), words)


def test_too_short_a_sentence_is_refused() -> None:
    with pytest.raises(ValueError, match="words is 2, but the shortest sentence has 3 words"):
        generate_pair(Random(0), 2)


def test_sentences_are_written_with_capital_full_stop_and_single_commas(pairs: list[SentencePair]) -> None:
    for pair in pairs:
        for text in (pair.english, pair.german):
            assert re.fullmatch(r"[A-ZÄÖÜ][a-zA-ZäöüÄÖÜß]*(,? [a-zA-ZäöüÄÖÜß]+)*\.", text), text


def test_articles_fit_the_next_sound_and_who_and_whom_are_for_people(pairs: list[SentencePair]) -> None:
    for pair in pairs:
        assert not re.search(r"\b([Aa] [aeiou]|[Aa]n [^aeiou])", pair.english), pair.english
        assert not re.search(r"\b(dog|cat|book|car|apple)s? who", pair.english), pair.english
    assert any(" whom " in pair.english for pair in pairs)


def test_contrast_differs_in_the_number_of_one_verb(pairs: list[SentencePair]) -> None:
    contrasted = [pair for pair in pairs if pair.german_contrast is not None]
    assert len(contrasted) > 0.8 * len(pairs)
    for pair in contrasted:
        assert pair.german_contrast is not None
        right, wrong = (re.findall(r"\w+", text) for text in (pair.german, pair.german_contrast))
        assert len(right) == len(wrong)
        different = [(a, b) for a, b in zip(right, wrong, strict=True) if a != b]
        assert len(different) == 1
        assert frozenset(different[0]) in SWAPS


def test_distance_counts_the_words_before_the_contrasted_verb(pairs: list[SentencePair]) -> None:
    for pair in pairs:
        if pair.german_contrast is None or pair.distance == 0:
            continue
        right, wrong = pair.german.split(), pair.german_contrast.split()
        verb_at = next(i for i, (a, b) in enumerate(zip(right, wrong, strict=True)) if a != b)
        head = right[verb_at - pair.distance - 1].rstrip(",")
        assert head[0].isupper(), pair.german
    assert max(pair.distance for pair in pairs) >= 10
    assert all(pair.distance > 0 for pair in pairs if pair.attractors)
    assert sum(pair.attractors > 0 for pair in pairs) > 25


def test_repetitions_are_found_within_a_few_words_only() -> None:
    assert repeats(["a", "chef", "who", "sleeps", "sleeps"])
    assert not repeats(["dog", *["very"] * 10, "dog"])
    assert not repeats(["the", "man", "and", "the", "woman"])
