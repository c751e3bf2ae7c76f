"""Files as they may come: what is refused is said in one short line, and what is right is read as it is."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.record.files import DEEPEST, LONGEST, brief, csv_lines, is_number, numeric, parsed_json

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**400), 10**400) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


@given(plain, st.booleans())
def test_json_is_read_as_it_was_written(value: Any, ascii_only: bool) -> None:
    assert parsed_json(json.dumps(value, ensure_ascii=ascii_only)) == value


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "Expecting value"),
        ("[" * 100_000, "inside each other"),
        ('{"a":' * (DEEPEST + 1) + "1" + "}" * (DEEPEST + 1), "inside each other"),
        ("9" * 5_000, "4300"),
        (r'["\\", "\ud83d"]', "half a character"),
        (r'{"\uDEAD": 1}', "half a character"),
    ],
)
def test_json_that_cannot_be_worked_with_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parsed_json(text)


def test_json_as_deep_as_it_may_be_and_with_whole_characters_is_read() -> None:
    assert parsed_json("[" * DEEPEST + "]" * DEEPEST)
    assert parsed_json(r'"\ud83d\ude00 \\ud83d"') == "\N{GRINNING FACE} \\ud83d"


@pytest.mark.parametrize("value", [True, None, "1", math.nan, math.inf, 10**400, [1]])
def test_what_no_float_can_hold_is_no_number(value: Any) -> None:
    assert not is_number(value)


@given(st.integers(-(10**300), 10**300) | st.floats(-1e300, 1e300))
def test_everything_else_is(value: float) -> None:
    assert is_number(value)


@given(plain | st.binary())
def test_a_message_repeats_little_and_nothing_that_a_terminal_obeys(value: Any) -> None:
    said = brief(value)
    assert len(said) <= LONGEST + len(" ...")
    assert "\n" not in said
    assert "\x1b" not in said


def test_a_table_is_read_with_the_line_of_each_row(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('\ufeffa,b\n1,"x\ny"\n2,\n', encoding="utf-8")
    assert csv_lines(path) == (["a", "b"], [({"a": "1", "b": "x\ny"}, 3), ({"a": "2", "b": ""}, 4)])
    path.write_text("")
    assert csv_lines(path) == ([], [])


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"a,b\n1\n", "line 2 does not have as many cells"),
        (b"a,b\n1,2,3\n", "line 2 does not have as many cells"),
        (b"a\n\xff\n", "in UTF-8"),
        (b'a\n"1', "CSV table"),
        (b"a\n" + b"x" * (csv.field_size_limit() + 1), "CSV table"),
    ],
)
def test_a_table_that_is_none_is_named_with_the_line(content: bytes, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=complaint) as refused:
        csv_lines(path)
    assert str(path) in str(refused.value)


def test_cells_are_numbers_or_named() -> None:
    path = Path("t.csv")
    assert numeric(path, 3, "value", "1.5") == 1.5
    assert math.isnan(numeric(path, 3, "value", ""))
    for text in ("x", "nan", "inf", "1e999", "\x1b[2J", "9" * 5_000):
        with pytest.raises(ValueError, match=r"t\.csv, line 3: value is .*, not a number") as refused:
            numeric(path, 3, "value", text)
        assert len(str(refused.value)) < LONGEST + 100
    with pytest.raises(ValueError, match="not a whole number"):
        numeric(path, 3, "seed", "1.5", whole=True)
