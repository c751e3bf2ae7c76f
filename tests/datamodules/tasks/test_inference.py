from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from datamodules.batch import PAD
from datamodules.tasks.inference import IN_A_PAIR, RELATIONS, VARIABLES, WORDS, Inference
from datamodules.tasks.task import FIRST, Drawn, Split


def draw(operators: int, rows: int = 6, seed: int = 0, split: Split = "train") -> Drawn:
    return Inference().draw(np.random.default_rng(seed), rows, {"operators": operators}, split)


def in_words(drawn: Drawn) -> list[tuple[str, str, str]]:
    """Both formulas and the relation of each example."""
    found = []
    for source, label in zip(drawn.source.tolist(), drawn.labels[:, 0].tolist(), strict=True):
        first, second = " ".join(WORDS[token - FIRST] for token in source if token != PAD).split(" ? ")
        found.append((first, second, WORDS[label - FIRST]))
    return found


def truths(formula: str) -> list[bool]:
    """By Python, whose words for the operators are the same."""
    compiled = compile(formula, "formula", "eval")
    return [eval(compiled, dict(zip(VARIABLES, row, strict=True))) for row in product((False, True), repeat=6)]


def relation(p: list[bool], q: list[bool]) -> str:
    both, either = {(a, b) for a, b in zip(p, q, strict=True)}, [a or b for a, b in zip(p, q, strict=True)]
    if (True, False) not in both:
        return "entails" if (False, True) in both else "equals"
    if (False, True) not in both:
        return "is entailed by"
    if (True, True) not in both:
        return "negates" if all(either) else "excludes"
    return "covers" if all(either) else "is independent of"


@given(st.integers(1, 12), st.integers(0, 2**32))
def test_the_relation_is_that_of_the_truth_tables(operators: int, seed: int) -> None:
    for first, second, answer in in_words(draw(operators, seed=seed)):
        p, q = truths(first), truths(second)
        assert relation(p, q) == answer
        assert 0 < sum(p) < len(p)
        counts = sorted(sum(word in ("not", "and", "or") for word in f.split()) for f in (first, second))
        assert counts[1] == operators
        assert len({*first.split(), *second.split()} & set(VARIABLES)) <= IN_A_PAIR


def test_relations_variables_and_sides_are_uniform() -> None:
    drawn = [draw(3, rows=64, seed=seed) for seed in range(60)]
    answers = [answer for part in drawn for _, _, answer in in_words(part)]
    assert chisquare([answers.count(name) for name in RELATIONS]).pvalue > 1e-3
    used = [word for part in drawn for p, q, _ in in_words(part) for word in f"{p} {q}".split() if word in VARIABLES]
    assert max(used.count(variable) for variable in VARIABLES) < 1.1 * len(used) / len(VARIABLES)
    longer = [len(p) > len(q) for part in drawn for p, q, _ in in_words(part) if len(p) != len(q)]
    assert abs(np.mean(longer) - 0.5) < 0.05


def renamed(first: str, second: str) -> str:
    """A pair with its variables in the order of their first use."""
    text = f"{first} ? {second}"
    order = dict.fromkeys(word for word in text.split() if word in VARIABLES)
    return " ".join(VARIABLES[list(order).index(word)] if word in order else word for word in text.split())


def test_pairs_are_held_out_under_any_names_of_their_variables() -> None:
    seen = {renamed(p, q) for seed in range(100) for p, q, _ in in_words(draw(2, 64, seed))}
    test = {renamed(p, q) for seed in range(20) for p, q, _ in in_words(draw(2, 64, seed, "test"))}
    assert len(test) > 100
    assert not test & (seen | {renamed(*reversed(pair.split(" ? "))) for pair in seen})


def test_impossible_points_are_refused() -> None:
    with pytest.raises(ValueError, match="operators is 0, but a formula without one is a variable: ask for 1 or more"):
        draw(0)


@pytest.mark.parametrize("operators", [2, 4, 6, 12])
def test_no_few_pairs_stand_for_a_relation(operators: int) -> None:
    found = set(in_words(draw(operators, rows=500, split="test")))
    for relation in RELATIONS:
        assert sum(answer == relation for *_, answer in found) >= 10 * min(operators, 4), relation


def test_counting_words_is_no_way_to_the_answer_once_there_are_several_operators() -> None:
    few, many = (Inference().chance({"operators": operators}) for operators in (2, 8))
    assert 0.65 < few["counting words"] < 0.85  # 0.77 when written, and 0.22 at 8
    assert many["guessing"] + 0.05 < many["counting words"] < 0.35
    assert list(few) == ["guessing", "counting words"]
