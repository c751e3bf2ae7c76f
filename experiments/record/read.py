"""The run store, read: every file whole and as it was written, or one sentence that names it and says what to do."""

import json
import reprlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from experiments.record.keys import digest
from experiments.record.text import visible

Types = type | tuple[type, ...]
NUMBER = (int, float)
AGAIN = "delete it and run its target again"
RESULT: Mapping[str, Types] = {
    "suite": str,
    "experiment": str,
    "task": str,
    "model": str,
    "variant": str,
    "seed": int,
    "config_hash": str,
    "command": str,
    "git": dict,
    "versions": dict,
    "machine": dict,
    "started": str,
    "finished": str,
    "held_equal": dict,
    "measurements": list,
}
MACHINE: Mapping[str, Types] = {"cpu": str, "threads": int, "gpus": list}
MEASUREMENT: Mapping[str, Types] = {
    "metric": str,
    "x_name": str,
    "x": (str, int, float, type(None)),
    "value": NUMBER,
    "unit": str,
    "n": int,
}
HISTORY: Mapping[str, Types] = {
    "step": int,
    "seconds": NUMBER,
    "target_tokens": NUMBER,
    "metric": str,
    "value": NUMBER,
}


def read_result(folder: Path) -> dict[str, Any]:
    """The record of a finished run.

    Raises:
        FileNotFoundError: The run is not finished.
        ValueError: Its result.json is not what a run writes.
    """
    path = folder / "result.json"
    record = read_object(path, RESULT)
    check(path, "machine: ", record["machine"], MACHINE)
    for number, row in enumerate(record["measurements"]):
        check(path, f"measurement {number}: ", row, MEASUREMENT)
    if record.get("digest", found := digest(record["measurements"])) != found:
        raise ValueError(f"{path}: its measurements are not those that the run wrote, by their digest: {AGAIN}.")
    return record


def is_finished(folder: Path, expected_hash: str) -> bool:
    """Whether a folder holds the result of a run with this configuration."""
    try:
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return False
    return isinstance(result, dict) and result.get("config_hash") == expected_hash


def read_object(path: Path, fields: Mapping[str, Types]) -> dict[str, Any]:
    """The JSON object of a file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not JSON in UTF-8, no object, or lacks a field.
    """
    value = parsed(path, read_text(path))
    check(path, "", value, fields)
    return dict(value)


def read_list(path: Path) -> list[Any]:
    """The JSON list of a file; raises as `read_object` does."""
    value = parsed(path, read_text(path))
    if not isinstance(value, list):
        raise ValueError(f"{path} holds a {type(value).__name__}, not a list: {AGAIN}.")
    return value


def read_rows(path: Path, fields: Mapping[str, Types], having: str = "") -> Iterator[dict[str, Any]]:
    """The JSON objects of a file that holds one a line; what a process that was killed left behind is no line.

    Args:
        path: The file.
        fields: What each line must have.
        having: Other lines than those with this text are passed over.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line is not JSON in UTF-8, no object, or lacks a field.
    """
    for number, line in enumerate(read_text(path).split("\n")[:-1], 1):  # splitlines would also cut at U+2028
        if line and having in line:
            row = parsed(path, line, f"line {number}: ")
            check(path, f"line {number}: ", row, fields)
            yield row


def read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is not there: run its target first.") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8: {AGAIN}.") from error


def parsed(path: Path, text: str, where: str = "") -> Any:
    try:
        value = json.loads(text)
        if "\\ud" in text.lower():  # half a character, which could be written into no file again
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON ({where}{visible(str(error))[:200]}): {AGAIN}.") from error
    return value


def check(path: Path, where: str, value: Any, fields: Mapping[str, Types]) -> None:
    if not isinstance(value, dict):
        raise ValueError(f"{path} ({where}a {type(value).__name__}, not an object): {AGAIN}.")
    for name, types in fields.items():
        if name not in value:
            raise ValueError(f"{path} ({where}it has no {name}): {AGAIN}.")
        if not isinstance(value[name], types) or not is_possible(value[name]):
            raise ValueError(f"{path} ({where}its {name} is {visible(reprlib.repr(value[name]))}): {AGAIN}.")


def is_possible(value: Any) -> bool:
    """Whether a float can hold it, if it is a number; a training may have told of infinity or NaN."""
    return not isinstance(value, int) or abs(value) < 10**308
