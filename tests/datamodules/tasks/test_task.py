"""Every task: answers follow from the source, and random choices are uniform."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from datamodules.batch import BOS, EOS, PAD
from datamodules.language.stories import COLOURS, NUMBERS
from datamodules.tasks.adding import Adding
from datamodules.tasks.agreement import Agreement
from datamodules.tasks.associative_recall import AssociativeRecall
from datamodules.tasks.copying import Copy, Reverse
from datamodules.tasks.inference import ID, RELATIONS, Inference
from datamodules.tasks.masked_word import WORDS, MaskedWord
from datamodules.tasks.parity import Parity
from datamodules.tasks.recall import Recall
from datamodules.tasks.selective_copy import SelectiveCopy
from datamodules.tasks.senses import Senses
from datamodules.tasks.task import FIRST, Drawn, Split, Task
from datamodules.tasks.two_keys import TwoKeys


class Case(NamedTuple):
    """A task at a point; `answer` finds the labels in a source."""

    task: Task
    point: dict[str, int]
    answer: Callable[[Any, list[int]], list[int]]


def sum_of_marked(task: Adding, source: list[int]) -> list[int]:
    marked = [place for place, token in enumerate(source) if (token - FIRST) % 2]
    first, second = marked
    assert first < len(source) // 2 <= second
    total = sum(((source[place] - FIRST) // 2 + 0.5) / task.levels for place in marked)
    return [int(np.abs(task.values[FIRST:] - total).argmin()) + FIRST]


def symbols(task: Recall, source: list[int]) -> list[int]:
    places = [place for place, token in enumerate(source) if token < FIRST + task.alphabet]
    assert places == list(range(places[0], places[0] + len(places)))
    assert task.anywhere or places[0] == 0
    return [source[place] for place in places]


def parity(task: Parity, source: list[int]) -> list[int]:
    return [FIRST + source.count(FIRST + 1) % 2]


def content(task: SelectiveCopy, source: list[int]) -> list[int]:
    return [token for token in source if token != task.blank]


def copied(task: Copy, source: list[int]) -> list[int]:
    return [*(reversed(source) if isinstance(task, Reverse) else source), EOS]


sizes = st.integers(1, 20)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A task of any size at any point, all but agreement and associative recall, which have tests of their own."""
    length, size = draw(st.integers(1, 40)), draw(sizes)
    kind = draw(st.sampled_from([Adding, Copy, Reverse, Parity, Recall, SelectiveCopy]))
    if kind is Adding:
        return Case(Adding(size), {"length": length + 1}, sum_of_marked)
    if kind is Parity:
        return Case(Parity(), {"length": length}, parity)
    if kind is Recall:
        task = Recall(size, draw(sizes), draw(st.booleans()))
        return Case(task, {"gap": length - 1, "symbols": draw(st.integers(1, 6))}, symbols)
    if kind is SelectiveCopy:
        return Case(SelectiveCopy(size), {"length": length, "content": draw(st.integers(1, length))}, content)
    return Case(kind(size), {"length": length}, copied)


def draw(task: Task, point: dict[str, int], seed: int = 0, rows: int = 5, split: Split = "train") -> Drawn:
    return task.draw(np.random.default_rng(seed), rows, point, split)


@given(cases(), st.integers(0, 2**32))
@settings(max_examples=300)
def test_the_answer_is_found_in_the_source_and_the_decoder_is_fed_the_answers_before(case: Case, seed: int) -> None:
    task, point = case.task, case.point
    drawn = draw(task, point, seed)
    assert {part.dtype for part in drawn} == {np.dtype(np.int64)}
    assert drawn.source.shape == (5, sum(value for name, value in point.items() if name != "content"))
    assert FIRST <= drawn.source.min() <= drawn.source.max() < task.source_vocab_size
    assert drawn.labels.max() < task.target_vocab_size
    for source, decoder_input, labels in zip(*(part.tolist() for part in drawn), strict=True):
        assert labels == case.answer(task, source)
        assert decoder_input == [BOS, *labels[:-1]]
        assert PAD not in source


POINTS: list[tuple[Task, dict[str, int]]] = [
    (Adding(20, tolerance=0.1), {"length": 6}),
    (AssociativeRecall(12, 10, 3), {"pairs": 5, "gap": 1, "keys": 12}),
    (Agreement(), {"distance": 20, "nouns": 5, "attractors": 2}),
    (Copy(6), {"length": 3}),
    (Reverse(6), {"length": 10}),
    (Parity(), {"length": 25}),
    (TwoKeys(6, 4), {"pairs": 5}),
    (Recall(5, anywhere=True), {"gap": 4, "symbols": 4}),
    (SelectiveCopy(5), {"length": 9, "content": 4}),
    (MaskedWord(words=24), {"clue": 12}),
    (Senses(), {"clue": 12}),
    (Inference(), {"operators": 3}),
]
every_task = pytest.mark.parametrize(("task", "point"), POINTS, ids=[type(task).__name__ for task, _ in POINTS])


@every_task
def test_the_seed_fixes_the_examples(task: Task, point: dict[str, int]) -> None:
    point = point | {name: 12 for name in ("length", "gap") if name in point}
    first, again, other = (draw(task, point, seed, rows=9) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.source, other.source)
    assert not np.array_equal(first.labels, other.labels)
    assert [len(part) for part in draw(task, point, rows=0)] == [0, 0, 0]


def guesses(task: Task, drawn: Drawn, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The answers of the strategies whose accuracy `chance` gives."""
    labels = drawn.labels
    match task:
        case AssociativeRecall():
            known = np.take_along_axis(drawn.source, 2 * rng.integers(0, 5, labels.shape) + 1, axis=1)
            return {"guessing": rng.integers(FIRST + 12, FIRST + 22, labels.shape), "values without their keys": known}
        case TwoKeys():
            first = FIRST + task.keys**2
            one, two = np.divmod(labels - first, task.answers)
            swapped = np.where(rng.random(labels.shape) < 0.5, labels, first + two * task.answers + one)
            return {
                "guessing": rng.integers(first, task.target_vocab_size, labels.shape),
                "one of the values": first + one * task.answers + rng.integers(0, task.answers, labels.shape),
                "both values, not which is which": swapped,
            }
        case Adding():
            near = np.abs(task.values[labels] - 1) < task.tolerance + 1e-9
            return {"answering the mean": np.where(near, labels, 0)}
        case Parity():
            return {"guessing": rng.integers(FIRST, FIRST + 2, labels.shape)}
        case Recall():
            return {"guessing": rng.integers(FIRST, FIRST + task.alphabet, labels.shape)}
        case Copy() | SelectiveCopy():
            guessed = rng.integers(FIRST, FIRST + task.symbols, labels.shape)
            return {"guessing": np.where(labels == EOS, EOS, guessed)}
        case Inference():
            return {"guessing": rng.choice([ID[relation] for relation in RELATIONS], labels.shape)}
        case MaskedWord():
            colours, numbers = ([WORDS[word] for word in kind] for kind in (COLOURS, NUMBERS))
            guessed = rng.choice(colours, labels.shape), rng.choice(numbers, labels.shape)
            return {"guessing": np.where(np.isin(labels, colours), *guessed)}
        case Senses():
            first = labels - Senses.sense(labels)[:, None]  # a noun's verbs have neighbouring ids
            return {"the noun alone": first + rng.integers(0, 2, labels.shape)}
    raise NotImplementedError


@pytest.mark.parametrize(("task", "point"), [case for case in POINTS if not isinstance(case[0], Agreement)])
def test_chance_is_what_its_strategies_score(task: Task, point: dict[str, int]) -> None:
    few = isinstance(task, Inference | MaskedWord | Senses)  # whose examples take long to draw
    drawn = draw(task, point, rows=3_000 if few else 30_000)
    found = guesses(task, drawn, np.random.default_rng(9))
    near = 0.02 if few else 0.009
    scores = {name: pytest.approx((guess == drawn.labels).mean(), abs=near) for name, guess in found.items()}
    learned = {
        "counting words",
        "the nearest in a sentence like the clue's",
        "the nearest place",
    }  # each tested with its task
    assert {name: value for name, value in task.chance(point).items() if name not in learned} == scores


@pytest.mark.parametrize(
    ("task", "point", "part", "first", "size"),
    [
        (Copy(16), {"length": 4}, "source", FIRST, 16),
        (Reverse(16), {"length": 4}, "labels", FIRST, 16),
        (Parity(), {"length": 4}, "source", FIRST, 2),
        (Recall(8, 5), {"gap": 0, "symbols": 3}, "labels", FIRST, 8),
        (Recall(8, 5), {"gap": 3, "symbols": 1}, "source", FIRST + 8, 5),
        (SelectiveCopy(7), {"length": 9, "content": 3}, "labels", FIRST, 7),
    ],
)
def test_symbols_are_uniform_at_every_place(
    task: Task, point: dict[str, int], part: str, first: int, size: int
) -> None:
    for column in getattr(draw(task, point, rows=8000), part).T:
        inside = column[(column >= first) & (column < first + size)]
        assert len(inside) in (0, 8000)
        assert not len(inside) or chisquare(np.bincount(inside - first, minlength=size)).pvalue > 1e-3


def test_added_numbers_and_markers_are_uniform_and_independent() -> None:
    tokens = draw(Adding(10), {"length": 7}, rows=9000).source - FIRST
    for marked in (0, 1):
        assert chisquare(np.bincount(tokens[tokens % 2 == marked] // 2, minlength=10)).pvalue > 1e-3
    counts = (tokens % 2).sum(axis=0)
    assert chisquare(counts[:3]).pvalue > 1e-3
    assert chisquare(counts[3:]).pvalue > 1e-3


def test_special_tokens_of_adding_stand_for_the_mean_and_every_sum_occurs() -> None:
    task = Adding(3)
    assert set(draw(task, {"length": 2}, rows=500).labels.flatten().tolist()) == set(range(FIRST, FIRST + 5))
    assert task.values.tolist() == pytest.approx([1, 1, 1, 1, 1 / 3, 2 / 3, 1, 4 / 3, 5 / 3])
    assert (task.target_vocab_size, task.shared_vocabulary) == (FIRST + 5, False)


def test_symbols_of_recall_start_at_every_place_alike() -> None:
    source = draw(Recall(anywhere=True), {"gap": 9, "symbols": 2}, rows=8000).source
    starts = np.bincount((source < FIRST + 8).argmax(axis=1))
    assert len(starts) == 10
    assert chisquare(starts).pvalue > 1e-3


def test_content_of_selective_copy_takes_every_set_of_places_alike() -> None:
    task = SelectiveCopy()
    places = draw(task, {"length": 6, "content": 3}, rows=20_000).source != task.blank
    counts = np.bincount(places @ (1 << np.arange(6)))
    assert chisquare(counts[counts > 0]).pvalue > 1e-3
    assert (counts > 0).sum() == 20


@pytest.mark.parametrize(
    ("task", "point", "message"),
    [
        (Adding(), {"length": 1}, "length is 1, but each half of a source holds a marked number: ask for 2 or more"),
        (Copy(), {"length": 0}, "length is 0, but the shortest source has one token: ask for 1 or more"),
        (Parity(), {"length": 0}, "length is 0, but the shortest source has one bit: ask for 1 or more"),
        (Recall(), {"gap": -1, "symbols": 4}, "gap is -1, but it is a number of filler tokens: ask for 0 or more"),
        (Recall(), {"gap": 8, "symbols": 0}, "symbols is 0, but at least one symbol has to be recalled"),
        (SelectiveCopy(), {"length": 8, "content": 9}, "content is 9, but it is how many of the 8 tokens"),
        (SelectiveCopy(), {"length": 8, "content": 0}, "ask for at least 1 and at most length"),
    ],
)
def test_impossible_points_are_refused(task: Task, point: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw(task, point)
