from collections import Counter, defaultdict
from random import Random

import numpy as np
import pytest

from datamodules.batch import BOS, UNK
from datamodules.language.stories import COLOURS, EVERY_WORD, NAMES, NUMBERS, THINGS, Stories, story

CONTEXT = 96


def asked(count: int, seed: int = 0) -> list[tuple[list[str], int, int]]:
    """Each word that is asked for: its story, its place, its distance."""
    random = Random(seed)
    stories = [story(random, CONTEXT, 6) for _ in range(count)]
    return [(words, place, d) for words, known in stories for place, (d, *_) in enumerate(known) if d]


def sentence_at(words: list[str], place: int) -> set[str]:
    """The words of the sentence around a place."""
    begin = max((i + 1 for i in range(place) if words[i] == "."), default=0)
    end = next((i for i in range(place, len(words)) if words[i] == "."), len(words))
    return set(words[begin:end])


def test_an_answer_is_what_was_said_of_the_same_things_and_of_nobody_since() -> None:
    found = asked(200)
    assert len(found) > 500
    for words, place, distance in found:
        said, question = sentence_at(words, place - distance), sentence_at(words, place)
        assert words[place - distance] == words[place]
        (things,) = said & question & set(THINGS)
        since = [sentence_at(words, i) for i in range(place - distance, place) if words[i] == things]
        assert all(words[place] not in sentence for sentence in since if sentence not in (said, question))
        if words[place] not in NAMES:
            assert said & question & set(NAMES)


def test_the_worked_example_of_the_docstring() -> None:
    lines = (Stories.__doc__ or "").splitlines()
    first, second = (next(i for i, line in enumerate(lines) if part in line) for part in ("glasses . ben", "it rains"))
    words = f"{lines[first]} {lines[second]}".split()
    assert len(words) == 28
    said = {place: word for place, word in enumerate(words)}
    for line, below in ((first, first + 1), (second, second + 1)):
        start = len(lines[first].split()) if line == second else 0
        at = lines[below].rstrip()
        place = start + len(lines[line][: len(at)].split()) - 1
        assert said[place - int(at)] == said[place]


def test_distances_are_spread_over_the_story() -> None:
    counts = Counter((d - 1) // 16 for _, _, d in asked(300))
    assert all(counts[part] > 20 for part in range(5))


@pytest.mark.parametrize("k", [1, 2, 4, 6])
def test_no_answer_can_be_guessed_from_the_last_words(k: int) -> None:
    """By the answer that followed the same k words most often in other stories, where it was said before these."""
    counts: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for words, place, _ in asked(3000, seed=1):
        counts[tuple(words[place - k : place])][words[place]] += 1
    for kind in (COLOURS, NUMBERS):
        far = [(w, p) for w, p, d in asked(1000, seed=2) if d > k and w[p] in kind]
        guesses = [counts[tuple(w[p - k : p])].most_common(1) for w, p in far]
        right = [guess[0][0] == w[p] for guess, (w, p) in zip(guesses, far, strict=True) if guess]
        assert len(right) > 500
        assert abs(np.mean(right) - 1 / len(kind)) < 0.05


def test_a_guess_is_right_as_often_as_what_was_said_is_the_answer_and_elimination_helps_little() -> None:
    random = Random(3)
    shares, left_over = [], []
    for words, known in (story(random, CONTEXT, 6) for _ in range(300)):
        for place, (distance, guess, latest) in enumerate(known):
            if distance:
                alike = next(kind for kind in (NAMES, NUMBERS, COLOURS) if words[place] in kind)
                assert latest == (next(word for word in words[place - 1 :: -1] if word in alike) == words[place])
                offset = next(at for kind, at in ((NAMES, -1), (NUMBERS, 1), (COLOURS, 2)) if words[place] in kind)
                said = [words[i + offset] for i in range(place) if words[i] == "has"]
                assert guess == said.count(words[place]) / len(said)
                before = {words[i] for i, (d, *_) in enumerate(known[:place]) if d}
                fresh = [word for word in said if word not in before]
                shares.append(guess)
                left_over.append(fresh.count(words[place]) / len(fresh) if fresh else guess)
    assert np.mean(left_over) < np.mean(shares) + 0.02


def test_the_same_word_is_asked_for_again_unless_once_is_wanted() -> None:
    def repeated(*, once: bool) -> int:
        words, known = story(Random(4), 400, 3, once=once)
        places = [place for place, (distance, *_) in enumerate(known) if distance]
        return len(places) - len({(words[place], *sentence_at(words, place)) for place in places})

    assert repeated(once=False) > 5
    assert repeated(once=True) == 0


def test_stories_as_a_text() -> None:
    text = Stories(facts=4)
    first, again = text.windows("test", 20, 40), text.windows("test", 20, 40)
    assert np.array_equal(first.tokens, again.tokens)
    assert first.tokens.shape == (20, 41)
    assert first.distances.shape == (20, 40)
    assert (first.tokens[:, 0] == BOS).all()
    assert (first.tokens != UNK).all()
    assert not np.array_equal(first.tokens, text.windows("val", 20, 40).tokens)
    drawn = [text.draw(np.random.default_rng(seed), 3, 40) for seed in (1, 1, 2)]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    row, distances = first.tokens[0], first.distances[0]
    for place in distances.nonzero()[0]:
        assert row[place + 1] == row[place + 1 - distances[place]]
    words = text.decode(row[1:].tolist())
    assert set(words.split()) <= set(EVERY_WORD)
    assert np.array_equal(text.encode(words), row[1:])


@pytest.mark.parametrize("facts", [0, 13])
def test_as_many_facts_as_there_are_names(facts: int) -> None:
    with pytest.raises(ValueError, match=rf"facts is {facts}; it must be from 1 to 12"):
        Stories(facts=facts)
