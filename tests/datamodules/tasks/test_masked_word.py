from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from datamodules.language.stories import COLOURS, NUMBERS, THINGS
from datamodules.tasks.masked_word import MASK, WORDS, MaskedWord
from datamodules.tasks.task import Drawn

WORD_OF = {number: word for word, number in WORDS.items()} | {MASK: "_"}
clues = st.integers(8, 32).flatmap(lambda clue: st.sampled_from([clue, -clue]))


def draw(clue: int, rows: int = 5, seed: int = 0, **settings: Any) -> Drawn:
    return MaskedWord(**settings).draw(np.random.default_rng(seed), rows, {"clue": clue}, "train")


def stories(drawn: Drawn) -> list[tuple[list[str], int, str]]:
    """The words of each story, the place of its gap, and what belongs there."""
    texts = [[WORD_OF[token] for token in row] for row in drawn.source]
    assert (drawn.decoder_input == MASK).all()
    return [(t, t.index("_"), WORD_OF[label]) for t, label in zip(texts, drawn.labels[:, 0], strict=True)]


def sentence(words: list[str], place: int) -> list[str]:
    begin = max((i + 1 for i in range(place) if words[i] == "."), default=0)
    return words[begin : [*words, "."].index(".", place)]


@given(clues, st.integers(0, 2**32))
def test_the_answer_is_said_of_the_same_things_as_far_away_as_the_clue_says(clue: int, seed: int) -> None:
    for words, gap, answer in stories(draw(clue, seed=seed)):
        assert len(words) == 64
        assert words.count("_") == 1
        (things,) = set(THINGS) & set(sentence(words, gap))
        told = [place for place, word in enumerate(words) if word == answer and things in sentence(words, place)]
        (place,) = [place for place in told if "_" not in sentence(words, place)]
        assert abs(clue) // 2 < (place - gap) * np.sign(clue) <= abs(clue)


@pytest.mark.parametrize(("clue", "share"), [(-32, 0.38), (-8, 1.0), (16, 0.97), (32, 0.82)])
def test_the_nearest_that_was_told_or_that_answers_is_right_as_often_as_chance_says(clue: int, share: float) -> None:
    """Facts are told with "has"; after the gap an answer gives the word away, before it a fact."""
    right = []
    for words, gap, answer in stories(draw(clue, rows=1000)):
        kind = COLOURS if answer in COLOURS else NUMBERS
        places = range(gap + 1, len(words)) if clue > 0 else range(gap - 1, -1, -1)
        alike = (i for i in places if words[i] in kind and ("has" in sentence(words, i)) == (clue < 0))
        right.append(words[next(alike)] == answer)
    said = MaskedWord().chance({"clue": clue})["the nearest in a sentence like the clue's"]
    assert np.mean(right) == pytest.approx(said, abs=0.05)
    assert said == pytest.approx(share, abs=0.05)


def test_without_the_clue_every_answer_is_as_likely() -> None:
    drawn = draw(16, rows=3000)
    for words, gap, _ in stories(drawn):
        (things,) = set(THINGS) & set(sentence(words, gap))
        assert things not in words[:gap], "nothing was said of them before"
    for kind in (COLOURS, NUMBERS):
        ids = [WORDS[word] for word in kind]
        counts = [(drawn.labels == i).sum() for i in ids]
        assert sum(counts) > 500
        assert chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("clue", [0, 7, -7, 33, -33])
def test_impossible_points_are_refused(clue: int) -> None:
    with pytest.raises(ValueError, match=f"clue is {clue}, but .*: ask for 8 to 32"):
        draw(clue)
