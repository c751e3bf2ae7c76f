"""Tables as they may come: what is refused is said in one short line, and what is right is read as it is."""

import csv
import math
from pathlib import Path

import pytest

from analysis.compare.csv_tables import csv_lines, numeric


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


@pytest.mark.parametrize("text", ["x", "nan", "inf", "1e999", "\x1b[2J", "9" * 5_000])
def test_cells_are_numbers_or_named(text: str) -> None:
    path = Path("t.csv")
    assert numeric(path, 3, "value", "1.5") == 1.5
    assert math.isnan(numeric(path, 3, "value", ""))
    with pytest.raises(ValueError, match=r"t\.csv, line 3: value is .*, not a number") as refused:
        numeric(path, 3, "value", text)
    assert len(str(refused.value)) < 300
    for cell in ("1.5", "9" * 400):
        with pytest.raises(ValueError, match="not a whole number"):
            numeric(path, 3, "seed", cell, whole=True)
