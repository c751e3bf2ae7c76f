"""Text from outside as a page or a terminal may show it."""

import re
import reprlib
from typing import Any

LONGEST = 1500  # characters of a sentence that a table shows
BRIEF = 200  # characters of a file that a message repeats
OBEYED = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")  # or not allowed in XML


def visible(text: str) -> str:
    """The text with what is obeyed and not shown (controls, line ends, turns of direction) spelt, as in `\\x1b`."""
    return OBEYED.sub(lambda found: repr(found[0])[1:-1], text)


def passage(text: str) -> str:
    """A sentence for a table: of one that is longer than any sentence is, its beginning and how much follows."""
    more = len(text) - LONGEST
    return text if more <= 0 else f"{text[:LONGEST]} … ({more:,} more characters)"


def brief(value: Any) -> str:
    """A text, or any other value as Python writes it, as a message repeats it: on one line and not at length."""
    text = value if isinstance(value, str) else reprlib.repr(value)
    shown = visible(text[: BRIEF + 1])
    return shown if len(text) <= BRIEF else f"{shown[:BRIEF]} ..."
