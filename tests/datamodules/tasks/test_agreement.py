from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, chisquare

from datamodules.batch import BOS, PAD, SPECIAL_TOKENS
from datamodules.synthetic import Axis, SyntheticData
from datamodules.tasks import agreement
from datamodules.tasks.agreement import CHOICES, LONGEST, MODIFIERS, NOUNS, VERBS, Agreement, possible
from datamodules.tasks.task import FIRST, Drawn, Split

TASK = Agreement()
SPLITS: tuple[Split, ...] = ("train", "val", "test")
LEXICON = [entry.split() for table in NOUNS.values() for entry in table.replace("\n", ";").split(";") if entry.strip()]
PLURAL = {form: number == 1 for forms in LEXICON for number, form in enumerate(forms)}
LEXEME = {form: lexeme for lexeme, forms in enumerate(LEXICON) for form in forms}

CONFIGS = sorted(Path("experiments/configs/long_range").glob("*/tasks/agreement.yaml"))
MONTE_CARLO = [(0, 0, 0), (2, 0, 0), (5, 1, 1), (7, 2, 1), (9, 3, 2), (12, 3, 1), (24, 4, 4), (40, 1, 0)]
MIXED = [(24, 5, 3), (12, 3, 2), (12, 3, 1), (40, 1, 1), (20, 0, 0)]


@st.composite
def points(make: st.DrawFn) -> tuple[int, int, int]:
    distance = make(st.integers(0, 48))
    nouns = make(st.integers(0, distance // 3))
    return distance, nouns, make(st.integers(0, nouns))


def named(distance: int, nouns: int, attractors: int) -> dict[str, int]:
    return {"distance": distance, "nouns": nouns, "attractors": attractors}


def draw(*point: int, rows: int = 4, seed: int = 0, split: Split = "train") -> Drawn:
    return TASK.draw(np.random.default_rng(seed), rows, named(*point), split)


@cache
def many(*point: int, split: Split = "train") -> list[list[str]]:
    return [sentence(source) for source in draw(*point, rows=2000, split=split).source]


def sentence(source: np.ndarray) -> list[str]:
    return [TASK.words[word] for word in source]


def numbers(words: list[str]) -> list[bool]:
    """Whether it is plural, for each noun, the subject first: all the oracle knows are the forms of the lexicon."""
    return [PLURAL[word] for word in words if word in PLURAL]


def close(hits: list[bool], expected: float) -> bool:
    """Whether the share of hits fits the expected one, exactly so if that is 0 or 1."""
    return bool(binomtest(sum(hits), len(hits), expected).pvalue > 1e-4)


@given(points(), st.sampled_from(SPLITS), st.integers(0, 2**32))
@settings(max_examples=150)
def test_the_verb_agrees_with_the_second_word_at_the_distance_asked_for(
    point: tuple[int, int, int], split: Split, seed: int
) -> None:
    distance, nouns, attractors = point
    drawn = draw(*point, seed=seed, split=split)
    assert drawn.decoder_input.tolist() == [[BOS]] * 4
    assert {part.dtype for part in drawn} == {np.dtype(np.int64)}
    for source, label in zip(drawn.source, drawn.labels[:, 0], strict=True):
        words = sentence(source)
        subject, *others = numbers(words)
        assert {before for before, word in pairwise(words) if word in PLURAL} == {"the"}
        assert words[1] in PLURAL
        assert len(words) - 2 == distance
        assert (len(others), sum(other != subject for other in others)) == (nouns, attractors)
        assert TASK.words[label] == ("are" if subject else "is")
        lexemes = [LEXEME[word] for word in words if word in LEXEME]
        assert lexemes[0] not in lexemes[1:]
        assert all(a != b for a, b in pairwise(lexemes))


@pytest.mark.parametrize("nouns", [0, 1, LONGEST // 3])
def test_the_longest_sentences_can_be_drawn(nouns: int) -> None:
    words = sentence(draw(LONGEST, nouns, nouns, rows=1).source[0])
    assert (len(words), len(numbers(words))) == (2 + LONGEST, 1 + nouns)


@pytest.mark.parametrize("split", SPLITS)
def test_possible_points_are_those_that_modifiers_can_fill(split: Split) -> None:
    for distance in range(31):
        found = {nouns for nouns in range(distance + 1) if agreement._weight("noun", distance, nouns)}
        assert found == {nouns for nouns in range(distance + 1) if possible(distance, nouns)}
        for nouns in found:
            assert draw(distance, nouns, nouns, rows=1, split=split).source.shape == (1, 2 + distance)


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ((-1, 0, 0), "distance is -1, but it is a number of words: ask for 0 to 256"),
        ((257, 0, 0), "distance is 257, but it is a number of words: ask for 0 to 256"),
        ((8, 3, 0), "nouns is 3, but a distance of 8 has room for 0 to 2, each in 3 words: ask for fewer nouns"),
        ((8, -1, 0), "nouns is -1, but a distance of 8 has room for 0 to 2"),
        ((8, 1, 2), "attractors is 2, but it is how many of the nouns differ: ask for 0 to 1"),
        ((8, 1, -1), "attractors is -1, but it is how many of the nouns differ: ask for 0 to 1"),
    ],
)
def test_impossible_points_are_refused(point: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw(*point)
    with pytest.raises(ValueError, match=message):
        TASK.chance(named(*point))


@pytest.mark.parametrize("point", MONTE_CARLO)
def test_chance_is_what_the_strategies_score(point: tuple[int, ...]) -> None:
    chance = TASK.chance(named(*point))
    found = [numbers(words) for words in many(*point)]
    assert list(chance) == ["guessing", "agrees with the nearest noun", "agrees with most nouns"]
    assert chance["guessing"] == 0.5
    assert close([plurals[0] for plurals in found], 0.5)
    assert close([plurals[-1] == plurals[0] for plurals in found], chance["agrees with the nearest noun"])
    for subject, *others in found:
        agreeing = 1 + others.count(subject)
        assert chance["agrees with most nouns"] == 0.5 + 0.5 * np.sign(2 * agreeing - 1 - len(others))


@pytest.mark.parametrize("path", CONFIGS, ids=str)
def test_in_training_the_other_nouns_say_nothing_about_the_subject(path: Path) -> None:
    settings = yaml.safe_load(path.read_text())["data"]["init_args"]
    tested = [Axis(**axis) for axis in settings["test"]]
    data = SyntheticData(TASK, settings["train"], settings["control"], tested, rows=1)
    for point in [*data.points, *(point for axis in tested for point in axis.points().values())]:
        assert TASK.without_subject(point, data.points) == 0.5
    subjects: dict[tuple[int, ...], list[bool]] = {}
    for index in range(4000):
        subject, *others = numbers(sentence(data.training_batch(index).source[0].numpy()))
        subjects.setdefault((len(others), sum(others), *others[-1:]), []).append(subject)
    assert {nouns for nouns, *_ in subjects} == {point["nouns"] for point in data.points}
    assert all(close(found, 0.5) for found in subjects.values())


def test_a_rule_that_never_sees_the_subject_learns_from_an_unbalanced_training() -> None:
    only_attractors = [named(6, 1, 1), named(9, 2, 2), named(9, 2, 0), named(12, 2, 0)]
    assert TASK.without_subject(named(6, 1, 1), only_attractors) == 1.0  # the opposite of the only other noun
    assert TASK.without_subject(named(48, 1, 1), only_attractors) == 1.0
    assert TASK.without_subject(named(6, 1, 0), only_attractors) == 0.0
    assert TASK.without_subject(named(9, 2, 2), only_attractors) == 0.5
    assert TASK.without_subject(named(12, 2, 2), only_attractors) == 0.0
    assert TASK.without_subject(named(6, 2, 2), only_attractors) == 0.0  # the rule of all distances
    assert TASK.without_subject(named(9, 3, 1), only_attractors) == 0.5  # never trained


@given(points(), st.integers(0, 2**32))
def test_the_other_subject_changes_one_word_and_the_verb(point: tuple[int, int, int], seed: int) -> None:
    drawn = draw(*point, seed=seed)
    other = TASK.with_other_subject(drawn)
    assert np.argwhere(drawn.source != other.source).tolist() == [[row, 1] for row in range(4)]
    assert TASK.head_noun(drawn.source).tolist() == TASK.head_noun(other.source).tolist()
    plural = [numbers(sentence(source))[0] for source in other.source]
    assert [TASK.words[label] for label in other.labels[:, 0]] == ["are" if many else "is" for many in plural]
    assert not any((drawn.labels == other.labels).flatten())


def test_no_word_but_the_subject_goes_with_a_verb() -> None:
    rows, verbs = Counter[str](), Counter[str]()
    for words in many(*MIXED[0]) + many(*MIXED[1]) + many(*MIXED[1], split="test") + many(*MIXED[3]):
        subject = numbers(words)[0]
        for word in set(words[2:]) - set(PLURAL):
            rows[word] += 1
            verbs[word] += subject
    assert len(rows) > 80
    assert min(binomtest(verbs[word], rows[word]).pvalue for word in rows) > 1e-5


def test_every_noun_is_a_subject_as_often_and_in_both_numbers() -> None:
    for split in SPLITS:
        counts = Counter(words[1] for distance in (10, 11, 12) for words in many(distance, 1, 1, split=split))
        assert set(counts) == set(PLURAL)
        assert chisquare([counts[form] for form in PLURAL]).pvalue > 1e-4


def part(words: list[str]) -> int:
    """The rule of the docstring, on words."""
    noun = sum(LEXEME[word] for word in [word for word in words[2:] if word in LEXEME][:1])
    return (LEXEME[words[1]] + sum(TASK.words.index(word) for word in words[2:4]) + noun) % 10


@given(points().filter(lambda point: point[0] > 0), st.integers(0, 2**32))
@settings(max_examples=150)
def test_the_rule_separates_the_splits(point: tuple[int, int, int], seed: int) -> None:
    allowed = {"test": {0}, "val": {1}, "train": set(range(2, 10))}
    for split in SPLITS:
        assert {part(sentence(source)) for source in draw(*point, seed=seed, split=split).source} <= allowed[split]


def test_at_distance_0_every_split_has_every_noun() -> None:
    assert {tuple(words) for words in many(0, 0, 0)} == {tuple(words) for words in many(0, 0, 0, split="test")}


def test_words_have_one_id_each_and_one_meaning() -> None:
    assert TASK.words[:FIRST] == list(SPECIAL_TOKENS)
    assert TASK.words[FIRST : TASK.target_vocab_size] == ["is", "are"]
    assert len(set(TASK.words)) == len(TASK.words) == TASK.source_vocab_size
    assert len(PLURAL) == 2 * len(LEXICON) == 2 * TASK.lexemes
    assert TASK.lexemes % agreement.PARTS == 0
    assert not any(word.isupper() and word != "I" for word in TASK.words)
    modifiers = " ".join(table for _, table in MODIFIERS.values())
    others = " ".join([modifiers, *VERBS.values(), *CHOICES.values()]).replace(";", " ").split()
    assert not set(others) & set(PLURAL)
    assert not {"is", "are", "was", "were", "has", "have", "a", "an", "this", "these", "those"} & set(others)


def test_every_word_is_drawn() -> None:
    seen = {word for point in [*MIXED, (0, 0, 0), (2, 0, 0)] for words in many(*point) for word in words}
    assert seen == set(TASK.words[TASK.target_vocab_size :])


def test_the_head_noun_and_the_text_of_a_source() -> None:
    source = draw(9, 2, 1, rows=50).source
    assert TASK.head_noun(source).tolist() == [LEXEME[sentence(row)[1]] for row in source]
    assert TASK.text(np.append(source[0], [PAD, PAD])) == " ".join(sentence(source[0]))


def test_a_sentence_of_one_seed_stays_what_it_was() -> None:
    drawn = draw(6, 2, 1, rows=1, seed=7)
    found = TASK.text(drawn.source[0]), TASK.words[drawn.labels[0, 0]]
    assert found == ("the shelf near the student near the schools", "is")
