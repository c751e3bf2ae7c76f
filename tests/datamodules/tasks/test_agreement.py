from collections import Counter
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, chisquare

from datamodules.batch import BOS, PAD, SPECIAL_TOKENS
from datamodules.tasks import agreement
from datamodules.tasks.agreement import CHOICES, LONGEST, MODIFIERS, NOUNS, VERBS, Agreement, possible
from datamodules.tasks.task import FIRST, Drawn, Split

TASK = Agreement()
SPLITS: tuple[Split, ...] = ("train", "val", "test")
LEXICON = [entry.split() for table in NOUNS.values() for entry in table.replace("\n", ";").split(";") if entry.strip()]
PLURAL = {form: number == 1 for forms in LEXICON for number, form in enumerate(forms)}
LEXEME = {form: lexeme for lexeme, forms in enumerate(LEXICON) for form in forms}

points = st.integers(0, 48).flatmap(lambda distance: st.tuples(st.just(distance), st.integers(0, distance // 3)))
MONTE_CARLO = [(0, 0), (2, 0), (5, 1), (7, 2), (9, 3), (12, 2), (12, 0), (24, 4), (40, 1)]


def draw(distance: int, attractors: int, rows: int = 4, seed: int = 0, split: Split = "train") -> Drawn:
    return TASK.draw(np.random.default_rng(seed), rows, {"distance": distance, "attractors": attractors}, split)


@cache
def many(distance: int, attractors: int, split: Split = "train") -> list[list[str]]:
    return [sentence(source) for source in draw(distance, attractors, rows=2000, split=split).source]


def sentence(source: np.ndarray) -> list[str]:
    return [TASK.words[word] for word in source]


def numbers(words: list[str]) -> list[bool]:
    """Whether it is plural, for each noun, the subject first: all the oracle knows are the forms of the lexicon."""
    return [PLURAL[word] for word in words if word in PLURAL]


def close(hits: list[bool], expected: float) -> bool:
    """Whether the share of hits fits the expected one, exactly so if that is 0 or 1."""
    return bool(binomtest(sum(hits), len(hits), expected).pvalue > 1e-4)


@given(points, st.sampled_from(SPLITS), st.integers(0, 2**32))
@settings(max_examples=150)
def test_the_verb_agrees_with_the_second_word_at_the_distance_asked_for(
    point: tuple[int, int], split: Split, seed: int
) -> None:
    distance, attractors = point
    drawn = draw(distance, attractors, seed=seed, split=split)
    assert drawn.decoder_input.tolist() == [[BOS]] * 4
    assert {part.dtype for part in drawn} == {np.dtype(np.int64)}
    for source, label in zip(drawn.source, drawn.labels[:, 0], strict=True):
        words = sentence(source)
        subject, *others = numbers(words)
        assert {before for before, word in pairwise(words) if word in PLURAL} == {"the"}
        assert words[1] in PLURAL
        assert len(words) - 2 == distance
        assert sum(other != subject for other in others) == attractors
        assert TASK.words[label] == ("are" if subject else "is")
        lexemes = [LEXEME[word] for word in words if word in LEXEME]
        assert lexemes[0] not in lexemes[1:]
        assert all(a != b for a, b in pairwise(lexemes))


@pytest.mark.parametrize("attractors", [0, 1, LONGEST // 3])
def test_the_longest_sentences_can_be_drawn(attractors: int) -> None:
    words = sentence(draw(LONGEST, attractors, 1).source[0])
    subject, *others = numbers(words)
    assert (len(words), sum(other != subject for other in others)) == (2 + LONGEST, attractors)


@pytest.mark.parametrize("split", SPLITS)
def test_possible_points_are_those_that_modifiers_can_fill(split: Split) -> None:
    for distance in range(31):
        found = {nouns for nouns in range(distance + 1) if agreement._weight("noun", distance, nouns)}
        assert found == {nouns for nouns in range(distance + 1) if possible(distance, nouns)}
        for attractors in found:
            assert draw(distance, attractors, 1, split=split).source.shape == (1, 2 + distance)


@pytest.mark.parametrize(
    ("distance", "attractors", "message"),
    [
        (-1, 0, "distance is -1, but it is a number of words: ask for 0 to 256"),
        (257, 0, "distance is 257, but it is a number of words: ask for 0 to 256"),
        (8, 3, "attractors is 3, but a distance of 8 has room for 0 to 2, each in 3 words: ask for fewer attractors"),
        (8, -1, "attractors is -1, but a distance of 8 has room for 0 to 2"),
    ],
)
def test_impossible_points_are_refused(distance: int, attractors: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw(distance, attractors)
    with pytest.raises(ValueError, match=message):
        TASK.chance({"distance": distance, "attractors": attractors})


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(("distance", "attractors"), MONTE_CARLO)
def test_chance_is_what_the_strategies_score(distance: int, attractors: int, split: Split) -> None:
    chance = TASK.chance({"distance": distance, "attractors": attractors})
    found = [numbers(words) for words in many(distance, attractors, split)]
    assert list(chance) == ["guessing", "agrees with the nearest noun", "agrees with most nouns"]
    assert chance["guessing"] == 0.5
    assert close([plurals[0] for plurals in found], 0.5)
    assert close([plurals[-1] == plurals[0] for plurals in found], chance["agrees with the nearest noun"])
    balance = [2 * sum(plural == plurals[0] for plural in plurals) - len(plurals) for plurals in found]
    most = float(np.mean([0.5 + 0.5 * np.sign(more) for more in balance]))
    assert most == pytest.approx(chance["agrees with most nouns"], abs=0.03)


@pytest.mark.parametrize("distance", range(6, 49, 6))
def test_the_nearest_noun_gives_no_information_where_another_noun_fits(distance: int) -> None:
    for attractors in range(1, distance // 3):
        chance = TASK.chance({"distance": distance, "attractors": attractors})
        assert chance["agrees with the nearest noun"] == pytest.approx(0.5)
        if attractors >= 2 and distance // 3 >= 2 * attractors - 1:
            assert chance["agrees with most nouns"] == 0.5


def test_no_word_but_the_subject_goes_with_a_verb() -> None:
    rows, verbs = Counter[str](), Counter[str]()
    for words in many(24, 4) + many(12, 2) + many(12, 2, "test") + many(40, 1):
        subject = numbers(words)[0]
        for word in set(words[2:]) - set(PLURAL):
            rows[word] += 1
            verbs[word] += subject
    assert len(rows) > 80
    assert min(binomtest(verbs[word], rows[word]).pvalue for word in rows) > 1e-5


def test_every_noun_is_a_subject_as_often_and_in_both_numbers() -> None:
    for split in SPLITS:
        counts = Counter(words[1] for distance in (10, 11, 12) for words in many(distance, 1, split))
        assert set(counts) == set(PLURAL)
        assert chisquare([counts[form] for form in PLURAL]).pvalue > 1e-4


def part(words: list[str]) -> int:
    """The rule of the docstring, on words."""
    noun = sum(LEXEME[word] for word in [word for word in words[2:] if word in LEXEME][:1])
    return (LEXEME[words[1]] + sum(TASK.words.index(word) for word in words[2:4]) + noun) % 10


@given(points.filter(lambda point: point[0] > 0), st.integers(0, 2**32))
@settings(max_examples=150)
def test_the_rule_separates_the_splits(point: tuple[int, int], seed: int) -> None:
    allowed = {"test": {0}, "val": {1}, "train": set(range(2, 10))}
    for split in SPLITS:
        assert {part(sentence(source)) for source in draw(*point, seed=seed, split=split).source} <= allowed[split]


def test_at_distance_0_every_split_has_every_noun() -> None:
    assert {tuple(words) for words in many(0, 0)} == {tuple(words) for words in many(0, 0, "test")}


def test_words_have_one_id_each_and_one_meaning() -> None:
    assert TASK.words[:FIRST] == list(SPECIAL_TOKENS)
    assert TASK.words[FIRST : TASK.target_vocab_size] == ["is", "are"]
    assert len(set(TASK.words)) == len(TASK.words) == TASK.source_vocab_size
    assert len(PLURAL) == 2 * len(LEXICON) == 2 * TASK.nouns
    assert TASK.nouns % agreement.PARTS == 0
    assert not any(word.isupper() and word != "I" for word in TASK.words)
    modifiers = " ".join(table for _, table in MODIFIERS.values())
    others = " ".join([modifiers, *VERBS.values(), *CHOICES.values()]).replace(";", " ").split()
    assert not set(others) & set(PLURAL)
    assert not {"is", "are", "was", "were", "has", "have", "a", "an", "this", "these", "those"} & set(others)


def test_every_word_is_drawn() -> None:
    seen = {
        word
        for point in [(24, 4), (12, 2), (40, 1), (12, 0), (0, 0), (2, 0)]
        for words in many(*point)
        for word in words
    }
    assert seen == set(TASK.words[TASK.target_vocab_size :])


def test_the_head_noun_and_the_text_of_a_source() -> None:
    source = draw(9, 2, rows=50).source
    assert TASK.head_noun(source).tolist() == [LEXEME[sentence(row)[1]] for row in source]
    assert TASK.text(np.append(source[0], [PAD, PAD])) == " ".join(sentence(source[0]))


RELATIVE = "that the bakers wanted to borrow with the friend"
FARMERS = "because of the farmers downtown and that she told me that you thanked"


@pytest.mark.parametrize(
    ("distance", "attractors", "split", "text", "verb"),
    [
        (0, 0, "train", "the chairs", "are"),
        (6, 1, "train", "the pilots near the school opposite the bakeries", "are"),
        (14, 2, "train", f"the shoe near the nurses {RELATIVE} downtown twice", "is"),
        (22, 2, "test", f"the children near the office that the singer wanted to follow {FARMERS}", "are"),
    ],
)
def test_sentences_of_one_seed(distance: int, attractors: int, split: Split, text: str, verb: str) -> None:
    drawn = draw(distance, attractors, rows=1, seed=7, split=split)
    assert (TASK.text(drawn.source[0]), TASK.words[drawn.labels[0, 0]]) == (text, verb)
