import io
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from experiments.launch import local as launch
from experiments.launch.local import Limits, Running, jobs_at_once, minutes_of, run_all, run_one
from experiments.planning.grid import Planned, plan_bleu
from experiments.record.write import write_failure, write_result
from experiments.run import build_parser, identity
from experiments.training.environment import KEEP_MEMORY


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
        run_all(planned(), Limits())
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
    assert run_one(one, "[1/3]", 2, Running()) == 1
    log = one.key.log.read_text(encoding="utf-8").splitlines()
    assert log[0] == " ".join(["-m", "experiments.run", *one.arguments])
    assert log[1:] == ["Straße", f"glibc.malloc.check=1:{KEEP_MEMORY}"]
    assert capsys.readouterr().out.splitlines() == [f"[1/3] {one.label}", *(f"      {line}" for line in log)]
    assert run_one(one, "[1/3]", 2, Running()) == 1
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
    assert [ended.code for ended in run_all(runs, Limits(2))] == [0] * len(runs)
    lines = [text for text in written if text]
    assert all(text.count("\n") == 1 and text.endswith("\n") for text in lines)
    assert len(lines) == 3 * len(runs) + len(runs) - 1  # label, two of its own, and the time left after all but one


def test_a_run_gets_its_share_of_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, 'echo "threads $OMP_NUM_THREADS"', monkeypatch)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    runs = planned(tmp_path / "runs", seeds=(0, 1))
    assert [ended.code for ended in run_all(runs, Limits(4))] == [0] * len(runs)
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
        run_all(planned(tmp_path / "runs"), Limits(jobs))
    assert stopped.value.code == 130
    assert len(list(tmp_path.glob("begun*"))) == len(list(tmp_path.glob("ended*"))) == jobs


def test_a_run_is_out_of_reach_of_the_terminals_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the suite that asks the run to end: after a whole step."""
    group = tmp_path / "group"
    stand_in(tmp_path, f'exec {sys.executable} -c "import os; open({str(group)!r}, \'w\').write(str(os.getpgid(0)))"',
             monkeypatch)  # fmt: skip
    assert run_one(planned(tmp_path / "runs")[0], "[1/1]", 1, Running()) == 0
    assert int(group.read_text()) != os.getpgid(0)


def failure_of(one: Planned) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((one.key.folder / "failure.json").read_text(encoding="utf-8"))
    return record


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("echo nearly there; kill -9 $$", "killed by SIGKILL, as the system does when memory runs out"),
        ("echo nearly there; kill -SEGV $$", "killed by SIGSEGV"),
        ("echo nearly there; exit 7", "exit code 7"),
        ("echo nearly there; exit 1", "nearly there"),
    ],
)
def test_a_run_that_could_not_record_its_failure_has_it_recorded(
    script: str, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, script, monkeypatch)
    one = planned(tmp_path / "runs")[0]
    write_failure(one.key, "of last week", "")
    os.utime(one.key.folder / "failure.json", (0, 0))
    assert run_one(one, "[1/1]", 1, Running()) == 1
    failure = failure_of(one)
    assert failure["error"].startswith(error)
    assert failure["traceback"] == "nearly there\n"
    assert failure["arguments"] == one.arguments


def test_a_run_that_was_killed_after_its_result_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, "kill -9 $$", monkeypatch)
    one = planned(tmp_path / "runs")[0]
    config = build_parser().parse_args(one.arguments)
    write_result(one.key, identity(config), [], {}, {}, {})
    assert run_one(one, "[1/1]", 1, Running()) == 0
    assert not (one.key.folder / "failure.json").exists()


def test_what_a_run_recorded_of_its_failure_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = planned(tmp_path / "runs")[0]
    record = one.key.folder / "failure.json"
    stand_in(tmp_path, f"mkdir -p {record.parent}; echo '{{}}' > {record}; exit 1", monkeypatch)
    assert run_one(one, "[1/1]", 1, Running()) == 1
    assert failure_of(one) == {}


def test_a_run_that_takes_too_long_is_asked_to_end_and_counts_as_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"trap 'touch {tmp_path}/saved; exit 143' TERM; echo begun; while :; do sleep 0.05; done"
    stand_in(tmp_path, script, monkeypatch)
    one = planned(tmp_path / "runs")[0]
    assert run_one(one, "[1/1]", 1, Running(), minutes=0.01) == 1
    assert (tmp_path / "saved").exists()
    assert failure_of(one)["error"] == "TimeoutError: it took more than 0.01 min (TIMEOUT)"


def test_a_run_that_does_not_end_when_asked_is_taken_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, "trap '' TERM; while :; do sleep 0.05; done", monkeypatch)
    monkeypatch.setattr(launch, "GRACE", 0.2)
    one = planned(tmp_path / "runs")[0]
    assert run_one(one, "[1/1]", 1, Running(), minutes=0.005) == 1
    assert "TimeoutError" in failure_of(one)["error"]


def test_what_outlives_a_run_does_not_keep_the_suite_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, f"(sleep 600; touch {tmp_path}/survived) & exit 0", monkeypatch)
    monkeypatch.setattr(launch, "LINGER", 0.1)
    assert run_one(planned(tmp_path / "runs")[0], "[1/1]", 1, Running()) == 0


def test_a_run_that_ends_in_time_is_not_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, "exit 0", monkeypatch)
    one = planned(tmp_path / "runs")[0]
    assert run_one(one, "[1/1]", 1, Running(), minutes=5) == 0
    assert not (one.key.folder / "failure.json").exists()


@pytest.mark.parametrize("text", ["-1", "an hour", "inf", "nan"])
def test_a_time_limit_that_is_none_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        minutes_of(text)
    assert "TIMEOUT" in capsys.readouterr().err
    assert [minutes_of(""), minutes_of("1.5")] == [0, 1.5]


SUITE = """
import sys
from pathlib import Path
from experiments.launch import local as launch
from experiments.planning.grid import plan_bleu
sys.executable = sys.argv[1]
launch.run_all(list(plan_bleu("smoke", ["lstm"], [0], "", sys.argv[2], [])), launch.Limits())
"""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)]
)
def test_however_a_suite_ends_its_run_is_told_and_may_save(
    number: signal.Signals, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = sys.executable
    # As a run does: ends when asked, and when the pipe that is its standard input has no other end any more.
    run = (
        f"trap 'echo told > {tmp_path}/saved; exit 143' TERM\n"
        f"exec 3<&0; (cat <&3 >/dev/null; kill -TERM $$) >/dev/null 2>&1 &\n"
        f"touch {tmp_path}/begun; while :; do sleep 0.05; done"
    )
    stand_in(tmp_path, run, monkeypatch)
    command = [python, "-c", SUITE, str(tmp_path / "python"), str(tmp_path / "runs")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as suite:
        wait_for(tmp_path / "begun")
        suite.send_signal(number)
        assert suite.wait(30) == code
    wait_for(tmp_path / "saved")


def wait_for(path: Path) -> None:
    for _ in range(600):
        if path.exists():
            return
        time.sleep(0.05)
    pytest.fail(f"{path} never came")


def test_a_terminal_that_is_gone_and_a_log_that_cannot_be_written_cost_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    stand_in(tmp_path, "echo loss 1; echo loss 2", monkeypatch)
    monkeypatch.setattr(sys, "stdout", Gone())
    first, second, _ = planned(tmp_path / "runs")
    assert run_one(first, "[1/2]", 1, Running()) == 0
    assert first.key.log.read_text() == "loss 1\nloss 2\n"
    second.key.log.mkdir(parents=True)
    assert run_one(second, "[2/2]", 1, Running()) == 0
