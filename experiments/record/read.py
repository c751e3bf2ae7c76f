"""Reading a run's folder: each file whole and as it was written, or one sentence that names it and the remedy."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from reprlib import repr as shortened
from typing import Any

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from experiments.record import schema
from experiments.record.keys import FAILURE, KEY, RESULT
from experiments.record.text import brief

AGAIN = "delete it and run its target again"
WHOLE_RUN = "delete the folder of its run and run its target again"


class Stamp(TypedDict):
    """Distinguishes a result from an earlier or later one in the same folder."""

    config_hash: str
    finished: str


def is_finished(folder: Path, expected_hash: str) -> bool:
    """Whether a folder holds the result of a run with this configuration."""
    try:
        stamp: Stamp = read_json(folder / RESULT, Stamp)
    except (FileNotFoundError, ValueError):
        return False
    return stamp["config_hash"] == expected_hash


def finished_runs(root: Path, suite: str, experiment: str) -> list[Path]:
    """Folders of a suite's runs of an experiment that have a result."""
    return sorted(result.parent for result in (root / suite / experiment).glob(f"*/*/*/seed*/{RESULT}"))


def read_result(folder: Path) -> schema.Finished:
    """The record of a finished run.

    Raises:
        FileNotFoundError: The run is not finished.
        ValueError: Its result.json is not as a run writes it.
    """
    return of_folder(folder / RESULT, read_json(folder / RESULT, schema.Result))


def read_failure(folder: Path) -> schema.Failure:
    """The record of a failed run; raises as `read_result` does."""
    return of_folder(folder / FAILURE, read_json(folder / FAILURE, schema.Failure))


def of_folder(path: Path, record: Any) -> Any:
    """The record, if its key is that of its folder."""
    parts = path.parts[-7:-1]
    for column, found, part in zip(KEY, (record[column] for column in KEY), parts, strict=True):
        if part != (f"seed{found}" if column == "seed" else found):
            raise ValueError(f"{path} is of the {column} {brief(found)}, but its folder is {part}: {AGAIN}.")
    return record


def read_history(path: Path, *, growing: bool = False) -> list[schema.History]:
    """The lines of a metrics.jsonl; raises as `read_rows` does."""
    return list(read_rows(path, schema.History, growing=growing))


def read_translations(path: Path) -> list[schema.Translation]:
    """The hypotheses of a test set, each sentence once; raises as `read_rows` does."""
    rows: list[schema.Translation] = list(read_rows(path, schema.Translation))
    ids = [row["id"] for row in rows]
    if len(set(ids)) < len(ids):
        raise ValueError(f"{path} has two hypotheses of one sentence: {WHOLE_RUN}.")
    return rows


def read_attention(path: Path) -> list[schema.Attended]:
    """The sentences of an attention.json; raises as `read_json` does."""
    sentences: list[schema.Attended] = read_json(path, schema.Attention, WHOLE_RUN)
    return sentences


def read_json(path: Path, kind: Any, remedy: str = AGAIN) -> Any:
    """A file of one JSON value.

    Args:
        path: The file.
        kind: A type of `experiments.record.schema`, or another that pydantic can check.
        remedy: The end of the sentence, if the file is refused.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not JSON in UTF-8, or not of that kind.
    """
    try:
        return checked(content(path, remedy), kind)
    except ValidationError as error:
        raise ValueError(f"{path} cannot be read ({complaint(error)}): {remedy}.") from error


def read_rows(path: Path, kind: Any, *, growing: bool = False) -> Iterator[Any]:
    """The rows of a file of one JSON value a line; raises as `read_json` does.

    Args:
        path: The file.
        kind: Of a row.
        growing: Leave out the end of a line that is still being written, or whose process was killed.
    """
    lines = content(path, WHOLE_RUN).split(b"\n")  # no other line separator ends a line
    for number, line in enumerate(lines[:-1] if growing else lines, 1):
        try:
            if line:
                yield checked(line, kind)
        except ValidationError as error:
            raise ValueError(f"{path} cannot be read (line {number}: {complaint(error)}): {WHOLE_RUN}.") from error


def content(path: Path, remedy: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        remedy = "run its target" if remedy == AGAIN else remedy
        raise FileNotFoundError(f"{path} is not there: {remedy}.") from None


def checked(text: str | bytes, kind: Any) -> Any:
    """The value of a JSON text, if it is of a kind.

    Raises:
        ValidationError: It is not.
    """
    return adapter(kind).validate_json(text, strict=True)


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def complaint(error: ValidationError) -> str:
    """The first thing that is wrong: where, what was expected and what is there."""
    first = error.errors(include_url=False)[0]
    where = f"{' '.join(map(str, first['loc']))}: " if first["loc"] else ""
    value = "" if isinstance(first["input"], dict | bytes) else f", not {shortened(first['input'])}"
    return brief(f"{where}{first['msg']}{value}")
