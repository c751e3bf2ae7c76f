"""Names of tasks and words for axes: counts and measures are worded differently."""

import pytest

from analysis.long_range.wording import (
    amount,
    at,
    at_most,
    heading,
    most,
    one_value,
    quantity,
    question,
    settings,
    starting_at,
    title,
)


@pytest.mark.parametrize(
    ("vary", "words"),
    [
        ("gap", ("gap", "gap 4", "at gap 4", "longest gap", "at the longest gap")),
        ("pairs", ("number of pairs", "4 pairs", "with 4 pairs", "most pairs", "with the most pairs")),
        ("content", ("number of symbols", "4 symbols", "with 4 symbols", "most symbols", "with the most symbols")),
        ("depth", ("depth", "depth 4", "at depth 4", "largest depth", "at the largest depth")),
    ],
)
def test_every_kind_of_axis_has_its_words(vary: str, words: tuple[str, ...]) -> None:
    assert (quantity(vary), amount(vary, 4), at(vary, 4), most(vary), at_most(vary)) == words


def test_one_is_singular() -> None:
    assert (at("symbols", 1), at("attractors", 1.0)) == ("with 1 symbol", "with 1 attractor")


def test_axes_are_read_as_they_are_recorded() -> None:
    assert heading("length") == "length"
    assert heading("gap, symbols 4") == "gap (4 symbols)"
    assert heading("pairs, gap 52, keys 512") == "number of pairs (gap 52, 512 keys)"
    assert one_value("pairs, gap 52, keys 512", 4) == "4 pairs, gap 52, 512 keys"
    assert one_value("length", 8.0) == "length 8"


@pytest.mark.parametrize(
    ("recorded", "words"),
    [
        ("gap 1, symbols 4", "gap 1, 4 symbols"),
        ("distance 1, attractors 0", "distance 1, 0 attractors"),
        ("at initialisation", "at initialisation"),
        ("easy", "easy"),
        ("", ""),
    ],
)
def test_settings_in_words_keep_what_they_do_not_know(recorded: str, words: str) -> None:
    assert settings(recorded) == words


def test_a_count_starts_at_a_whole_number() -> None:
    assert [starting_at("attractors", 0.719), starting_at("gap", 12.34567)] == ["1 attractor", "gap 12.3"]


def test_kinds_of_a_task_are_called_after_it() -> None:
    assert title("associative-recall-9-keys") == "Associative recall, 9 keys"
    assert question("associative-recall-of-words").startswith("The source lists pairs of a key and a value")
    assert (title("a-new-task"), question("a-new-task")) == ("a-new-task", "")
