import errno
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis import report
from analysis.compare import __main__ as compare
from experiments.record import archives, write
from experiments.record.system_errors import ending_in_a_sentence
from tests.support.fakes.runs import write_suite
from tests.support.fuzz.analysis import empty_pictures


def test_a_reader_that_stops_reading_is_no_error() -> None:
    program = (
        "from experiments.record.system_errors import ending_in_a_sentence\n"
        "with ending_in_a_sentence():\n    for _ in range(100_000): print('a line')\n"
    )
    command = f'{shlex.quote(sys.executable)} -c {shlex.quote(program)} | head -1; exit "${{PIPESTATUS[0]}}"'
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "a line\n", "")


@pytest.mark.parametrize(
    ("program", "code", "remedy"),
    [
        ("records", errno.ENOSPC, "free some space"),
        ("records", errno.EROFS, "make the folder writable"),
        ("records", errno.EIO, ""),
        ("report", errno.ENOSPC, "free some space"),
        ("compare", errno.EROFS, "make the folder writable"),
    ],
)
def test_a_program_that_cannot_write_ends_with_one_sentence(
    program: str, code: int, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_suite(tmp_path / "runs", sentences=12)
    write_suite(tmp_path / "other", sentences=12)

    def broken(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(write.os, "fsync", broken)
    runs, results, other = (str(tmp_path / name) for name in ("runs", "results", "other/quick"))
    programs: dict[str, Callable[[], None]] = {
        "report": lambda: report.main(["--suite", "quick", "--runs", runs, "--results", results]),
        "compare": lambda: compare.main(["--a", f"{runs}/quick", "--b", other, "--to", results]),
        "records": lambda: archives.main(["--suite", "quick", "--runs", runs, "--results", results]),
    }
    with pytest.raises(SystemExit) as stopped, empty_pictures():
        programs[program]()
    said = str(stopped.value.code)
    assert said.startswith("error: ")
    assert os.strerror(code) in said
    assert results in said
    assert remedy in said
    assert "\n" not in said
    assert not [path for path in Path(results).rglob("*") if path.is_file()]  # nor a half


def test_what_no_error_of_the_system_is_stays_what_it_is() -> None:
    with pytest.raises(ValueError, match="ours"), ending_in_a_sentence():
        raise ValueError("ours")
