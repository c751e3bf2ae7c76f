"""Files as they may come, from another machine or half written: read, or refused in words that say what is wrong."""

import csv
import json
import math
import reprlib
from pathlib import Path
from typing import Any

from experiments.record.text import visible

LONGEST = 200  # characters of a file that a message repeats
DEEPEST = 50  # lists and objects inside each other; the run store has six
MOST = 1.7e308  # nearly what a float can hold


def parsed_json(text: str) -> Any:
    """The value that a JSON text holds.

    Raises:
        ValueError: it is not JSON, nested deeper than anybody writes, or has half a character in a string.
    """
    try:
        value = json.loads(text)
        deep = is_deep(value)
    except RecursionError:
        deep = True
    if deep:
        raise ValueError(f"it has more than {DEEPEST} lists and objects inside each other")
    if "\\ud" in text.lower():  # how half of a surrogate pair is written: it could be written into no file again
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"it has half a character, {error.object[error.start]!r}") from error
    return value


def is_deep(value: Any) -> bool:
    """Whether it is so deep that what walks through it might not come back."""
    level: list[Any] = [[value]]
    for _ in range(DEEPEST + 1):
        held = (part for each in level for part in (each.values() if isinstance(each, dict) else each))
        level = [part for part in held if isinstance(part, dict | list)]
        if not level:
            return False
    return True


def is_number(value: Any) -> bool:
    """Whether it is a number that a float can hold: neither true, NaN, infinite nor longer than 308 digits."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MOST


def brief(value: Any) -> str:
    """A value as a message shows it: on one line and not at length."""
    return shortened(reprlib.repr(value))


def shortened(text: str) -> str:
    """A text as a message repeats it: on one line and not at length."""
    shown = visible(text[: LONGEST + 1])
    return shown if len(text) <= LONGEST else f"{shown[:LONGEST]} ..."


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
        if text and not is_number(value):
            raise ValueError
    except ValueError as error:
        kind = "a whole number" if whole else "a number"
        raise ValueError(f"{path}, line {line}: {column} is {shortened(text)!r}, not {kind}; correct it.") from error
    return value
