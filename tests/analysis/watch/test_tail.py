import json
import math
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.watch.tail import History, Tail
from tests.support.fakes.watched import metric


def append(path: Path, text: bytes) -> None:
    with path.open("ab") as file:
        file.write(text)


def test_every_line_is_read_once_and_a_half_written_one_later(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    tail = Tail(path)
    assert tail.look() == (False, [])
    append(path, b"one\ntwo\nthr")
    assert tail.look() == (False, [b"one", b"two"])
    assert tail.look() == (False, [])
    append(path, b"ee")
    assert tail.look() == (False, [])
    append(path, b"\nfour\n")
    assert tail.look() == (False, [b"three", b"four"])


def test_what_was_read_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    tail = Tail(path)
    append(path, b"x" * 1000 + b"\n")
    tail.look()
    with path.open("r+b") as file:
        file.write(b"\nunseen\n")
    append(path, b"new\n")
    assert tail.look() == (False, [b"new"])


@pytest.mark.parametrize("again", [b"", b"on", b"one\n", b"ONE\ntwo\n", b"ONE\ntwo\nthree\nfour\nfive\n"])
def test_a_file_that_was_rewritten_is_read_anew(again: bytes, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    tail = Tail(path)
    path.write_bytes(b"one\ntwo\nthree\n")
    tail.look()
    path.write_bytes(again)
    os.utime(path, (1, 1))
    assert tail.look() == (True, again.split(b"\n")[:-1])
    append(path, b"!\n")
    assert tail.look() == (False, [(again.split(b"\n")[-1]) + b"!"])


def test_a_file_that_was_deleted_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    tail = Tail(path)
    path.write_bytes(b"one\n")
    tail.look()
    path.unlink()
    assert tail.look() == (True, [])
    assert tail.look() == (False, [])
    path.write_bytes(b"one\n")
    assert tail.look() == (False, [b"one"])


@given(st.lists(st.binary(max_size=30), max_size=12))
def test_whatever_the_portions_the_lines_are_those_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, portions: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("tail") / "metrics.jsonl"
    path.write_bytes(b"")
    tail, lines = Tail(path), []
    for portion in portions:
        append(path, portion)
        anew, new = tail.look()
        assert not anew
        lines += new
    assert lines == b"".join(portions).split(b"\n")[:-1]


def test_metrics_become_curves() -> None:
    history = History()
    for line in (metric("train/loss", 20, 3.0), metric("train/loss", 40, 2.0), metric("val/loss", 40, 2.5)):
        history.add(line.encode())
    assert history.curves == {"train/loss": [(20, 3.0), (40, 2.0)], "val/loss": [(40, 2.5)]}
    assert history.latest == {"train/loss": 2.0, "val/loss": 2.5}
    assert (history.step, history.seconds, history.unreadable) == (40, 4.0, 0)
    assert history.tokens_per_second == pytest.approx(1000)  # 100 tokens a step, 10 steps a second
    history.add(metric("train/tokens_per_second", 40, 1234.5).encode())
    assert history.tokens_per_second == 1234.5


def test_nothing_recorded_has_no_speed() -> None:
    assert math.isnan(History().tokens_per_second)


def test_a_diverged_loss_is_kept() -> None:
    history = History()
    history.add(metric("train/loss", 20, math.nan).encode())
    assert math.isnan(history.latest["train/loss"])


GOOD = {"step": 1, "seconds": 2.0, "target_tokens": 3, "metric": "val/loss", "value": 4.0}


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[1, 2]",
        b"null",
        b'"text"',
        *(json.dumps({k: v for k, v in GOOD.items() if k != name}).encode() for name in GOOD),
        *(json.dumps(GOOD | {name: "x"}).encode() for name in GOOD if name != "metric"),
        *(json.dumps(GOOD | {name: None}).encode() for name in GOOD if name != "metric"),
        json.dumps(GOOD | {"seconds": math.nan}).encode(),
        json.dumps(GOOD | {"step": math.inf}).encode(),
        json.dumps(GOOD | {"target_tokens": 10**400}).encode(),
    ],
)
def test_a_corrupt_line_is_counted_and_changes_nothing_else(line: bytes) -> None:
    history = History()
    history.add(json.dumps(GOOD).encode())
    before = (dict(history.curves), history.step, history.seconds)
    history.add(line)
    assert history.unreadable == 1
    assert (history.curves, history.step, history.seconds) == before


@given(st.binary(max_size=60))
def test_no_line_is_too_odd(line: bytes) -> None:
    history = History()
    history.add(line)
    assert history.unreadable == 1
