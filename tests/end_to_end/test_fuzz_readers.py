"""A little of `make fuzz` on every reader, and readers that are wrong on purpose: each is found out."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pytest

from tests.support.fuzz.mutations import mutated
from tests.support.fuzz.readers import TARGETS, fuzz, main
from tests.support.fuzz.target import Target

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
QUICK = {"corpora": 60, "tokenizers": 60, "configs": 3, "records": 30, "watch": 60, "compare": 3, "speed report": 1}


@pytest.mark.parametrize(("name", "cases"), QUICK.items())
def test_broken_files_are_read_or_named_in_a_sentence(name: str, cases: int) -> None:
    target = next(target for target in TARGETS if target.name == name)
    tally = fuzz(target, seconds=60.0, seed=1, cases=cases)
    assert tally.findings == {}, "\n".join(tally.first.values())
    assert tally.cases == cases


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_many_broken_files_are_read_or_named_in_a_sentence(target: Target) -> None:
    tally = fuzz(target, seconds=20.0, seed=2)
    assert tally.findings == {}, "\n".join(tally.first.values())


def write_number(folder: Path) -> None:
    (folder / "number.json").write_text('{"number": 7}')


def target(read: Callable[[str], Sequence[str]]) -> Target:
    """A reader of the text of one file; the whole file is left in peace."""

    def broken_only(folder: Path) -> Sequence[str]:
        text = (folder / "number.json").read_text(errors="replace")
        return [] if text == '{"number": 7}' else read(text)

    return Target("one", write_number, ["*.json"], broken_only)


def fails(text: str) -> Sequence[str]:
    return [str(1 / 0)]


def ends_the_interpreter(text: str) -> Sequence[str]:
    os._exit(3)


def names_no_file(text: str) -> Sequence[str]:
    return ["something is wrong somewhere."]


@pytest.mark.parametrize(
    ("read", "finding"),
    [
        (fails, "ZeroDivisionError at tests/end_to_end/test_fuzz_readers.py"),
        (ends_the_interpreter, "ends the interpreter, exit code 3"),
        (names_no_file, "unclear: no file is named"),
    ],
)
def test_a_reader_that_is_wrong_is_found_out(read: Callable[[str], Sequence[str]], finding: str) -> None:
    tally = fuzz(target(read), seconds=60.0, seed=0, cases=2)
    assert [signature.startswith(finding) for signature in tally.findings] == [True]
    assert sum(tally.findings.values()) == 2


def test_a_file_is_broken_in_the_same_way_each_time_and_in_many_ways() -> None:
    content = b'{"a": [1, 2, {"b": "text"}], "c": null}\n'
    for name in ("a.json", "a.jsonl", "a.yaml", "a.csv", "a.gz", "a.zip", "a.bin"):
        found = [mutated(name, content, Random(case)) for case in range(200)]
        assert found == [mutated(name, content, Random(case)) for case in range(200)]
        assert len(set(found)) > 100


def test_one_case_can_be_had_again(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--reader", "tokenizers", "--case", "17"])
    assert ended.value.code == 0
    assert capfd.readouterr().out.split()[-5:-3] == ["tokenizers", "1"]
