"""A reader of files, and what it may say of a file that it cannot read."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.record.text import visible

NAMES_A_KEY = r"""([Kk]ey|[Oo]ption) ["']|arguments are required: \w"""
NAMES_A_RUN = r"(bleu|long-range|speed|inspection)/[^ ]+/seed\d+[/:]"
STORE = ("**/*.json", "**/*.jsonl")


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        name: What the program calls it.
        prepare: Writes whole files into an empty folder.
        broken: Patterns of the files to break, one of them each time.
        read: Reads the folder; it may return sentences about what it could not read, or raise one.
    """

    name: str
    prepare: Callable[[Path], None]
    broken: Sequence[str]
    read: Callable[[Path], Sequence[str]]


class Unclear(Exception):
    """What a reader said is no sentence that helps."""


def tried(*readers: Callable[[], Any]) -> list[str]:
    """What readers say of what they cannot read; anything but a sentence goes on up."""
    said = []
    for read in readers:
        try:
            read()
        except (ValueError, FileNotFoundError, SystemExit) as error:
            said.append(sentence_of(error))
    return said


def sentence_of(error: BaseException) -> str:
    """The words of an exception that was raised to be shown; others speak of the program and not of the file."""
    if type(error) not in (ValueError, FileNotFoundError, SystemExit) or not isinstance(error.args[0], str):
        raise error
    return str(error)


def check(sentence: str, folder: Path) -> None:
    """A sentence names the file, or the key where several files make a configuration, and a terminal just shows it.

    Raises:
        Unclear: It does not.
    """
    if str(folder) not in sentence and not re.search(f"{NAMES_A_KEY}|{NAMES_A_RUN}", sentence):
        raise Unclear(f"no file is named\n{sentence[:500]}")
    if len(sentence) > 1_500:
        raise Unclear(f"{len(sentence)} characters\n{sentence[:500]}")
    if visible(sentence) != sentence:
        raise Unclear(f"characters that a terminal would obey\n{sentence!r}")
