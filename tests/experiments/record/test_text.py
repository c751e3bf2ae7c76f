from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.record.text import BRIEF, LONGEST, brief, passage, visible


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp", "Cf"])))
def test_what_is_only_shown_stays(text: str) -> None:
    assert visible(text) == text


@given(st.text() | st.binary() | st.lists(st.text()))
def test_nothing_is_left_that_moves_a_cursor_or_cannot_be_written(value: Any) -> None:
    for shown in (visible(str(value)), brief(value)):
        assert len(shown.encode().decode().splitlines()) <= 1
        assert not any(character < " " or "\x7f" <= character <= "\x9f" for character in shown)
        assert visible(shown) == shown


def test_it_is_spelt_as_programmers_write_it() -> None:
    assert visible("\x1b[31m\r\x00\u202eabc\u2028 👩\u200d👧 שלום") == r"\x1b[31m\r\x00\u202eabc\u2028 👩‍👧 שלום"


@pytest.mark.parametrize(
    ("shortened", "longest", "end"), [(passage, LONGEST, " … (1,234 more characters)"), (brief, BRIEF, " ...")]
)
def test_a_text_is_whole_or_ends_with_a_sign_of_more(shortened: Any, longest: int, end: str) -> None:
    assert shortened(longest * "w") == longest * "w"
    assert shortened((longest + 1234) * "w") == longest * "w" + end
