"""Pieces joined to words, and attention between words: rows still sum to one."""

import numpy as np
import pytest

from analysis.page.words import joined, words


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (["▁Fahr", "rad", "▁am", "▁See", ".", "</s>"], ["Fahrrad", "am", "See.", "</s>"]),
        (["<s>", "▁Ein", "en"], ["<s>", "Einen"]),
        (["a", "b", "</s>"], ["a", "b", "</s>"]),  # a vocabulary of words
        (["rad", "▁am"], ["rad", "am"]),  # a hypothesis may begin within a word
        (["▁", "</s>"], ["▁", "</s>"]),
        ([], []),
    ],
)
def test_pieces_are_joined_at_the_marks(tokens: list[str], expected: list[str]) -> None:
    assert words(tokens) == expected


def test_keys_are_summed_and_queries_averaged() -> None:
    weights = np.array([[[0.1, 0.2, 0.7], [0.3, 0.4, 0.3], [0.0, 0.5, 0.5]]])
    sentence = {
        "source_tokens": ["▁Bi", "ke", "▁now"],
        "target_tokens": ["▁Rad", "▁jet", "zt"],
        "maps": {"cross layer 1": weights, "decoder layer 1": weights, "encoder layer 1": weights},
    }
    found = joined(sentence)
    assert (found["source"], found["target"], found["written"]) == (
        ["Bike", "now"],
        ["Rad", "jetzt"],
        ["<s>", "Rad", "jet"],
    )
    np.testing.assert_allclose(found["maps"]["cross layer 1"], [[[0.3, 0.7], [0.6, 0.4]]])
    np.testing.assert_allclose(found["maps"]["encoder layer 1"], [[[0.5, 0.5], [0.5, 0.5]]])
    np.testing.assert_allclose(found["maps"]["decoder layer 1"], [[[0.1, 0.2, 0.7], [0.15, 0.45, 0.4]]])
