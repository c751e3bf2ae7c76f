"""Tables that others made: read from CSV, or refused in one sentence that names the line."""

import csv
import math
from pathlib import Path
from typing import Any

from experiments.record.text import brief


def csv_lines(path: Path) -> tuple[list[str], list[tuple[dict[str, str], int]]]:
    """The columns of a table and its rows, each with the number of its last line.

    Raises:
        ValueError: it is not a table in UTF-8, or a row does not have as many cells as the header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            columns = list(reader.fieldnames or [])
            lines: list[tuple[dict[Any, Any], int]] = [(row, reader.line_num) for row in reader]
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as a CSV table in UTF-8 ({error}); export it again.") from error
    for cells, line in lines:
        if None in cells or None in cells.values():
            raise ValueError(
                f"{path}, line {line} does not have as many cells as the header; quote cells that hold a comma."
            )
    return columns, lines


def numeric(path: Path, line: int, column: str, text: str, *, whole: bool = False) -> float:
    """A cell as a number; NaN if it is empty.

    Raises:
        ValueError: it is something else.
    """
    try:
        value = int(text) if whole else float(text or math.nan)
        if text and not math.isfinite(value):
            raise ValueError
    except (ValueError, OverflowError) as error:
        kind = "a whole number" if whole else "a number"
        raise ValueError(f"{path}, line {line}: {column} is {brief(text)!r}, not {kind}; correct it.") from error
    return value
