"""Broken files for every reader: each is read, or named in a sentence; readers that are wrong on purpose are found."""

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pytest

from tests.support.fuzz.mutations import mutated
from tests.support.fuzz.readers import TARGETS, Folder, finding
from tests.support.fuzz.target import Target

QUICK = {"corpora": 60, "tokenizers": 60, "configs": 8, "records": 30, "watch": 60, "compare": 3, "speed report": 1}


def findings(target: Target, folder: Path, cases: int, seed: int) -> list[str]:
    prepared = Folder(target, folder)
    return [found for case in range(cases) if (found := finding(target, prepared, seed, case))]


@pytest.mark.parametrize(("name", "cases"), QUICK.items())
def test_broken_files_are_read_or_named_in_a_sentence(name: str, cases: int, tmp_path: Path) -> None:
    target = next(target for target in TARGETS if target.name == name)
    assert findings(target, tmp_path, cases, seed=1) == []


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_many_broken_files_are_read_or_named_in_a_sentence(target: Target, tmp_path: Path) -> None:
    assert findings(target, tmp_path, 20 * QUICK.get(target.name, 10), seed=2) == []


def write_number(folder: Path) -> None:
    (folder / "number.json").write_text('{"number": 7}')


def fails(folder: Path) -> Sequence[str]:
    return [str(1 / 0)]


def names_no_file(folder: Path) -> Sequence[str]:
    return ["something is wrong somewhere."]


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (fails, "ZeroDivisionError at tests/end_to_end/test_fuzz_readers.py"),
        (names_no_file, "unclear: no file is named"),
    ],
)
def test_a_reader_that_is_wrong_is_found_out(
    read: Callable[[Path], Sequence[str]], expected: str, tmp_path: Path
) -> None:
    found = findings(Target("one", write_number, ["*.json"], read), tmp_path, 2, seed=0)
    assert [expected in each for each in found] == [True, True]
    assert (tmp_path / "number.json").read_text() == '{"number": 7}'


def test_a_file_is_broken_in_the_same_way_each_time_and_in_many_ways() -> None:
    content = b'{"a": [1, 2, {"b": "text"}], "c": null}\n'
    for name in ("a.json", "a.jsonl", "a.yaml", "a.csv", "a.gz", "a.zip", "a.bin"):
        found = [mutated(name, content, Random(case)) for case in range(200)]
        assert found == [mutated(name, content, Random(case)) for case in range(200)]
        assert len(set(found)) > 100
