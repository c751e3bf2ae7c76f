from hypothesis import given
from hypothesis import strategies as st

from experiments.record.text import LONGEST, passage, visible


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp", "Cf"])))
def test_what_is_only_shown_stays(text: str) -> None:
    assert visible(text) == text


@given(st.text())
def test_nothing_is_left_that_moves_a_cursor_or_cannot_be_written(text: str) -> None:
    shown = visible(text)
    assert len(shown.encode().decode().splitlines()) <= 1
    assert not any(character < " " or "\x7f" <= character <= "\x9f" for character in shown)
    assert visible(shown) == shown


def test_it_is_spelt_as_programmers_write_it() -> None:
    assert visible("\x1b[31m\r\x00\u202eabc\u2028 👩\u200d👧 שלום") == r"\x1b[31m\r\x00\u202eabc\u2028 👩‍👧 שלום"


def test_a_passage_is_whole_or_says_how_much_follows() -> None:
    assert passage(LONGEST * "w") == LONGEST * "w"
    assert passage((LONGEST + 1234) * "w") == LONGEST * "w" + " … (1,234 more characters)"
