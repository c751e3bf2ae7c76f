import contextlib
import io
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.launch import local, receipts, stopping
from experiments.launch.local import Limits, jobs_at_once, run_all, run_one
from experiments.launch.stopping import Running
from experiments.planning.grid import Planned, plan_bleu
from experiments.record.write import write_failure
from experiments.training.environment import KEEP_MEMORY
from tests.support.tiny_runs import read_json
from tests.support.waiting import alive, wait

StandIn = Callable[[str], None]
# As a run does: ends when asked, and when the pipe that is its standard input has no other end any more.
SAVES = """
trap 'touch {0}/saved$$; exit 143' TERM
exec 3<&0; (cat <&3 >/dev/null; kill -TERM $$) >/dev/null 2>&1 &
touch {0}/begun$$; while :; do sleep 0.05; done
"""


def planned(root: Path, seeds: tuple[int, ...] = (0,)) -> list[Planned]:
    return list(plan_bleu("smoke", [], list(seeds), "", str(root / "runs"), []))


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Sets a shell script as the interpreter that runs are started with."""

    def write(script: str) -> None:
        program = tmp_path / "python"
        program.write_text("#!/bin/sh\n" + script)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(sys, "executable", str(program))

    return write


def run(tmp_path: Path, **limit: float) -> tuple[int, Planned]:
    one = planned(tmp_path)[0]
    return run_one(one, "[1/3]", 2, Running(), **limit), one


def failure_of(one: Planned) -> Any:
    return read_json(one.key.folder / "failure.json")


def test_small_runs_take_a_core_each_and_others_the_whole_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert [jobs_at_once(None, False), jobs_at_once(None, True), jobs_at_once(3, False)] == [1, 4, 3]


@pytest.mark.parametrize(
    ("done", "of", "jobs", "minutes"),
    [(1, 3, 1, 20), (2, 6, 2, 14), (2, 3, 2, 2), (4, 40, 4, 63)],  # after 10 minutes
)
def test_the_time_left_counts_runs_under_way_as_half_done(
    done: int, of: int, jobs: int, minutes: int, capsys: pytest.CaptureFixture[str]
) -> None:
    local.print_time_left(done, of, 600, jobs)
    assert f"{done} of {of} done, about {minutes} min left for the other {of - done}" in capsys.readouterr().out


@pytest.mark.parametrize("code", [130, 143])
def test_an_interruption_ends_the_suite(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Planned] = []
    monkeypatch.setattr(local, "run_one", lambda one, *_: (ran.append(one), code)[1])
    with pytest.raises(SystemExit) as stopped:
        run_all(planned(tmp_path), Limits())
    assert stopped.value.code == code
    assert len(ran) == 1


def test_what_a_run_prints_is_shown_and_kept_and_its_exit_code_is_that_of_the_run(
    stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    group = (
        f'{sys.executable} -c "import os; print(os.getpgid(0) == {os.getpgid(0)})"'  # Ctrl-C reaches the suite alone
    )
    stand_in(f'echo "$@"; echo "Straße" >&2; echo "$GLIBC_TUNABLES"; {group}; exit 3')
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.check=1")
    code, one = run(tmp_path)
    assert code == 1
    log = one.key.log.read_text(encoding="utf-8").splitlines()
    assert log[0] == " ".join(["-m", "experiments.run", *one.arguments])
    assert log[1:] == ["Straße", f"glibc.malloc.check=1:{KEEP_MEMORY}", "False"]
    assert capsys.readouterr().out.splitlines() == [f"[1/3] {one.label}", *(f"      {line}" for line in log)]
    run(tmp_path)
    assert len(one.key.log.read_text(encoding="utf-8").splitlines()) == 8  # an earlier log is kept


def test_runs_share_the_cores_and_a_line_is_written_at_once_so_that_no_other_comes_in_between(
    stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def write(self, text: str) -> int:
            written.append(text)
            return len(text)

    written: list[str] = []
    stand_in('echo "threads $OMP_NUM_THREADS"; echo loss 2')
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    runs = planned(tmp_path, seeds=(0, 1))
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert [ended.code for ended in run_all(runs, Limits(4))] == [0] * len(runs)
    lines = [text for text in written if text]
    assert all(text.count("\n") == 1 and text.endswith("\n") for text in lines)
    assert len(lines) == 3 * len(runs) + len(runs) - 1  # label, two of its own, and the time left after all but one
    assert {one.key.log.read_text() for one in runs} == {"threads 2\nloss 2\n"}


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("echo nearly there; kill -9 $$", "killed by SIGKILL, as the system does when memory runs out"),
        ("echo nearly there; kill -SEGV $$", "killed by SIGSEGV"),
        ("echo nearly there; exit 7", "exit code 7"),
        ("echo nearly there; exit 255", "exit code 255"),
        ("echo nearly there; exit 1", "nearly there"),
    ],
)
def test_a_run_that_could_not_record_its_failure_has_it_recorded(
    script: str, error: str, stand_in: StandIn, tmp_path: Path
) -> None:
    stand_in(script)
    one = planned(tmp_path)[0]
    write_failure(one.key, "of last week", "")
    os.utime(one.key.folder / "failure.json", (0, 0))
    assert run(tmp_path)[0] == 1
    failure = failure_of(one)
    assert failure["error"].startswith(error)
    assert failure["traceback"] == "nearly there\n"


def test_a_run_that_was_killed_after_its_result_is_finished(stand_in: StandIn, tmp_path: Path) -> None:
    stand_in("kill -9 $$")
    one = planned(tmp_path)[0]
    one.key.folder.mkdir(parents=True)
    (one.key.folder / "result.json").write_text("{}")
    receipts.of_run(one.key.folder, receipts.of_arguments(one.arguments, receipts.of_code())).write()
    assert run(tmp_path)[0] == 0
    assert not (one.key.folder / "failure.json").exists()


def test_what_a_run_recorded_of_its_failure_is_left_as_it_is(stand_in: StandIn, tmp_path: Path) -> None:
    record = planned(tmp_path)[0].key.folder / "failure.json"
    stand_in(f"mkdir -p {record.parent}; echo '{{}}' > {record}; exit 1")
    code, one = run(tmp_path)
    assert (code, failure_of(one)) == (1, {})


@pytest.mark.parametrize("trap", ["touch {}/saved; exit 143", ""])
def test_a_run_that_takes_too_long_is_asked_to_end_then_killed_and_counts_as_failed(
    trap: str, stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "GRACE", 5 if trap else 0.2)
    stand_in(f"trap '{trap.format(tmp_path)}' TERM; while :; do sleep 0.05; done")
    minutes = 0.03 if trap else 0.01  # a busy machine takes a while to begin
    code, one = run(tmp_path, minutes=minutes)
    assert code == 1
    assert (tmp_path / "saved").exists() == bool(trap)
    assert failure_of(one)["error"] == f"TimeoutError: it took more than {minutes} min (TIMEOUT)"


def test_what_outlives_a_run_that_ends_in_time_does_not_keep_the_suite_waiting(
    stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(f"sleep 600 & echo $! > {tmp_path}/pid; exit 0")
    monkeypatch.setattr(local, "LINGER", 0.1)
    code, one = run(tmp_path, minutes=5)
    assert code == 0
    assert not (one.key.folder / "failure.json").exists()
    wait(lambda: not alive(int((tmp_path / "pid").read_text())))


SUITE = """
import sys
from pathlib import Path
from experiments.launch import local
from experiments.planning.grid import plan_bleu
sys.executable = sys.argv[1]
local.run_all(list(plan_bleu("smoke", [], [0], "", sys.argv[2], [])), local.Limits(2))
"""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)]
)
def test_however_a_suite_ends_its_runs_may_save_and_no_other_begins(
    number: signal.Signals, code: int, stand_in: StandIn, tmp_path: Path
) -> None:
    python = sys.executable
    stand_in(SAVES.format(tmp_path))
    command = [python, "-c", SUITE, str(tmp_path / "python"), str(tmp_path / "runs")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as suite:
        try:
            wait(lambda: len([*tmp_path.glob("begun*")]) == 2)
            suite.send_signal(number)
            assert suite.wait(30) == code
            wait(lambda: len([*tmp_path.glob("saved*")]) == 2)
            assert len([*tmp_path.glob("begun*")]) == 2
        finally:
            suite.kill()
            for begun in tmp_path.glob("begun*"):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(int(begun.name.removeprefix("begun")), signal.SIGKILL)


def test_under_nohup_a_closed_terminal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping.interruptions():
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.01)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_terminal_that_is_gone_and_a_log_that_cannot_be_written_cost_no_run(
    stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    stand_in("echo loss 1; echo loss 2")
    monkeypatch.setattr(sys, "stdout", Gone())
    first, second, _ = planned(tmp_path)
    assert run_one(first, "[1/2]", 1, Running()) == 0
    assert first.key.log.read_text() == "loss 1\nloss 2\n"
    second.key.log.mkdir(parents=True)
    assert run_one(second, "[2/2]", 1, Running()) == 0
