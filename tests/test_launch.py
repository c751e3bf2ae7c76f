import io
import os
import stat
import sys
import time
from pathlib import Path

import pytest

from experiments import launch
from experiments.environment import KEEP_MEMORY
from experiments.launch import Running, jobs_at_once, run_all, run_one
from experiments.plan import Planned, plan_bleu


def planned(root: str | Path = "runs", seeds: tuple[int, ...] = (0,)) -> list[Planned]:
    return list(plan_bleu("smoke", [], list(seeds), "", str(root), []))


def test_small_runs_take_a_core_each_and_others_the_whole_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert [jobs_at_once("", "bleu"), jobs_at_once("", "long-range"), jobs_at_once("3", "bleu")] == [1, 4, 3]


@pytest.mark.parametrize("code", [130, 143])
def test_an_interruption_ends_the_suite(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Planned] = []

    def run(one: Planned, *_: object) -> int:
        ran.append(one)
        return code

    monkeypatch.setattr(launch, "run_one", run)
    with pytest.raises(SystemExit) as stopped:
        run_all(planned())
    assert stopped.value.code == code
    assert len(ran) == 1


def stand_in(tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another interpreter than Python: what a run would be started with."""
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\n" + script)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(program))


def test_what_a_run_says_is_shown_and_kept_and_its_exit_code_is_that_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(tmp_path, 'echo "$@"; echo "Straße" >&2; echo "$GLIBC_TUNABLES"; exit 3', monkeypatch)
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.check=1")
    one = planned(tmp_path / "runs")[0]
    assert run_one(one, "[1/3]", 2, Running()) == 3
    log = one.key.log.read_text(encoding="utf-8").splitlines()
    assert log[0] == " ".join(["-m", "experiments.run", *one.arguments])
    assert log[1:] == ["Straße", f"glibc.malloc.check=1:{KEEP_MEMORY}"]
    assert capsys.readouterr().out.splitlines() == [f"[1/3] {one.label}", *(f"      {line}" for line in log)]
    assert run_one(one, "[1/3]", 2, Running()) == 3
    assert len(one.key.log.read_text(encoding="utf-8").splitlines()) == 6  # an earlier log is kept


def test_a_line_is_written_at_once_so_that_those_of_other_runs_cannot_come_in_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def write(self, text: str) -> int:
            written.append(text)
            return len(text)

    written: list[str] = []
    stand_in(tmp_path, "echo loss 1; echo loss 2", monkeypatch)
    runs = planned(tmp_path / "runs")
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert run_all(runs, 2) == []
    lines = [text for text in written if text]
    assert all(text.count("\n") == 1 and text.endswith("\n") for text in lines)
    assert len(lines) == 3 * len(runs) + len(runs) - 1  # label, two of its own, and the time left after all but one


def test_a_run_gets_its_share_of_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, 'echo "threads $OMP_NUM_THREADS"', monkeypatch)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    runs = planned(tmp_path / "runs", seeds=(0, 1))
    assert run_all(runs, 4) == []
    assert {one.key.log.read_text() for one in runs} == {"threads 2\n"}


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_terminates_what_runs_waits_for_it_and_starts_nothing_more(
    jobs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"trap 'touch {tmp_path}/ended$$; exit 143' TERM; touch {tmp_path}/begun$$; while :; do sleep 0.05; done"
    stand_in(tmp_path, script, monkeypatch)

    def press(*_: object) -> None:
        while len(list(tmp_path.glob("begun*"))) < jobs:
            time.sleep(0.05)
        raise KeyboardInterrupt

    monkeypatch.setattr(launch, "as_completed", press)
    with pytest.raises(SystemExit) as stopped:
        run_all(planned(tmp_path / "runs"), jobs)
    assert stopped.value.code == 130
    assert len(list(tmp_path.glob("begun*"))) == len(list(tmp_path.glob("ended*"))) == jobs


def test_a_run_is_out_of_reach_of_the_terminals_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the suite that asks the run to end: after a whole step."""
    group = tmp_path / "group"
    stand_in(tmp_path, f'exec {sys.executable} -c "import os; open({str(group)!r}, \'w\').write(str(os.getpgid(0)))"',
             monkeypatch)  # fmt: skip
    assert run_one(planned(tmp_path / "runs")[0], "[1/1]", 1, Running()) == 0
    assert int(group.read_text()) != os.getpgid(0)
