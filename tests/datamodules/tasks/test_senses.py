import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from datamodules.batch import PAD
from datamodules.tasks.senses import GAP, NOUNS, PLACES, SENSE, WORDS, Senses, nearest
from datamodules.tasks.task import FIRST, Drawn, Split

WORD_OF = dict(enumerate(WORDS, start=FIRST))
clues = st.integers(8, 32).flatmap(lambda clue: st.sampled_from([clue, -clue]))


def draw(clue: int, rows: int = 5, seed: int = 0, split: Split = "train") -> Drawn:
    return Senses().draw(np.random.default_rng(seed), rows, {"clue": clue}, split)


def sentences(drawn: Drawn) -> list[tuple[list[str], str]]:
    assert (drawn.decoder_input == GAP).all()
    texts = [[WORD_OF[token] for token in row if token != PAD] for row in drawn.source]
    return [(text, WORD_OF[label]) for text, label in zip(texts, drawn.labels[:, 0], strict=True)]


def clauses(words: list[str]) -> list[list[str]]:
    return [clause.split() for clause in " ".join(words).removesuffix(" .").split(" , ")]


@given(clues, st.integers(0, 2**32))
def test_the_place_of_the_clause_tells_the_verb_as_far_from_the_noun_as_the_clue_says(clue: int, seed: int) -> None:
    drawn = draw(clue, seed=seed)
    where, senses = Senses.place(drawn.source), Senses.sense(drawn.labels)
    for row, (words, verb) in enumerate(sentences(drawn)):
        (asked,) = [clause for clause in clauses(words) if "_" in clause]
        (place,), (noun,) = set(asked) & SENSE.keys(), set(asked) & NOUNS.keys()
        assert NOUNS[noun][SENSE[place]] == verb
        assert senses[row] == SENSE[place]
        at = words.index("_") - 1
        assert words[at] == words[Senses.noun(drawn.source)[row]] == noun
        assert abs(clue) // 2 < (where[row] - at) * np.sign(clue) <= abs(clue)
        assert words[where[row]] == place
        (other,) = [clause for clause in clauses(words) if "_" not in clause]
        (place,), (noun,) = set(other) & SENSE.keys(), set(other) & NOUNS.keys()
        assert NOUNS[noun][SENSE[place]] == other[other.index(noun) + 1]


def test_nouns_senses_and_the_places_of_a_split_are_uniform_and_independent() -> None:
    counts = np.zeros((len(NOUNS), 2, 6))
    for words, _ in sentences(draw(8, rows=6000)):
        (asked,) = [clause for clause in clauses(words) if "_" in clause]
        (place,), (noun,) = set(asked) & SENSE.keys(), set(asked) & NOUNS.keys()
        counts[list(NOUNS).index(noun), SENSE[place], PLACES[SENSE[place]].index(place)] += 1
    assert ((counts > 0).sum(2) == 4).all(), "of six places four are for training"
    assert chisquare(counts[counts > 0]).pvalue > 1e-3


def test_a_noun_is_never_by_the_same_place_in_two_splits() -> None:
    def pairs(split: Split) -> set[tuple[str, str]]:
        found = [clause for words, _ in sentences(draw(8, rows=2000, split=split)) for clause in clauses(words)]
        return {(noun, place) for c in found for noun in set(c) & NOUNS.keys() for place in set(c) & SENSE.keys()}

    train, val, test = pairs("train"), pairs("val"), pairs("test")
    assert not train & val
    assert not train & test
    assert not val & test
    assert len(train | val | test) == len(NOUNS) * len(SENSE)


@pytest.mark.parametrize(("clue", "share"), [(-32, 0.75), (-8, 0.91), (16, 0.79)])
def test_the_nearest_place_is_right_as_often_as_chance_says(clue: int, share: float) -> None:
    right = []
    for words, verb in sentences(draw(clue, rows=1000)):
        noun = words.index("_") - 1
        place = min((i for i, word in enumerate(words) if word in SENSE), key=lambda i: abs(i - noun))
        right.append(NOUNS[words[noun]][SENSE[words[place]]] == verb)
    assert np.mean(right) == pytest.approx(nearest(clue), abs=0.05)
    assert nearest(clue) == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("clue", [0, 7, -7])
def test_impossible_points_are_refused(clue: int) -> None:
    with pytest.raises(ValueError, match=f"clue is {clue}, but .*: ask for 8 or more, or as much below 0"):
        draw(clue)
