import itertools
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.launch import local as launch
from experiments.launch import ray_cluster
from experiments.launch import ray_runs as ray_launch
from experiments.launch.exit_codes import BUSY
from experiments.launch.local import Ended, Limits
from experiments.launch.ray_cluster import Machine, Project, Request, marked
from experiments.launch.ray_runs import LogFollower, carry_out, code_of, request_of, run_all
from experiments.planning.grid import Planned, plan_bleu
from tests.support.ray_runs import STEPS, Cluster, cluster, mistake, processes_of, told, use_stand_ins
from tests.support.tiny_runs import read_json
from tests.support.waiting import alive, wait

FAILS = 13  # the seed of a stand-in that fails
pytestmark = pytest.mark.timeout(900)


def planned(root: Path, *seeds: int) -> list[Planned]:
    return list(plan_bleu("smoke", ["lstm"], list(seeds), "", str(root / "runs"), []))


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    use_stand_ins(tmp_path / "stand-ins", monkeypatch)


@pytest.fixture
def two() -> Iterator[Cluster]:
    """Two machines, as they are when a script started them in the background: Ctrl-C does not reach them."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    with cluster("head", "other") as there:
        signal.signal(signal.SIGINT, before)
        yield there


def in_background(what: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=what)
    thread.start()
    return thread


def test_runs_share_out_two_machines_and_say_what_they_say_under_the_local_launcher(
    stand_ins: None, two: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    here, there = planned(tmp_path / "here", 0, FAILS, 1), planned(tmp_path / "there", 0, FAILS, 1)
    codes = [ended.code for ended in sorted(launch.run_all(here, Limits(3)), key=lambda ended: ended.planned.key.seed)]
    said_here = capsys.readouterr().out.splitlines()
    ended = sorted(run_all(there, Limits(), two.address), key=lambda ended: ended.planned.key.seed)
    said_there = capsys.readouterr().out.splitlines()
    assert [one.code for one in ended] == codes == [0, 0, 1]
    assert [one.planned for one in ended] == [there[0], there[2], there[1]]
    more = ["Ray: machines 2, CPUs 2, GPUs 0", *3 * [f"      on {os.uname().nodename}"]]
    assert without_times(said_there) == without_times([*said_here, *more])
    for one, same in zip(here, there, strict=True):
        assert told(one, "failure.json") == [line.replace("/there/", "/here/") for line in told(same, "failure.json")]
        assert same.key.log.read_text().splitlines() == [
            f"on {os.uname().nodename}", *one.key.log.read_text().splitlines()
        ]  # fmt: skip
        assert told(same, "begun")[0].split()[1:4] == [os.getcwd(), "1", "disabled"]
        assert len(told(same, "begun")) == 1  # a failure is no reason to begin again
    assert not list((tmp_path / "there" / "runs").glob(".ray-*"))


def without_times(lines: list[str]) -> list[str]:
    return sorted(re.sub(r"about \d+ min", "about N min", line) for line in lines)


@pytest.mark.slow
def test_runs_of_a_lost_machine_continue_elsewhere_and_each_ends_once(
    stand_ins: None, two: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = planned(tmp_path, *range(6))

    def lose_one() -> None:
        wait(lambda: sum(len(told(one, "steps")) > 2 for one in runs) >= 2, seconds=240)
        two.kill("other")

    losing = in_background(lose_one)
    ended = run_all(runs, Limits(), two.address)
    losing.join()
    assert sorted(one.planned.key.seed for one in ended) == list(range(6))
    assert {one.code for one in ended} == {0}
    assert [len(told(one, "result.json")) for one in runs] == [1] * 6
    assert sorted(len(told(one, "begun")) for one in runs) == [1] * 5 + [2]
    for one in runs:
        steps = told(one, "steps")
        assert len(steps) == STEPS  # it was resumed, and no two processes were at it
        assert [int(pid) for pid, _ in itertools.groupby(steps)] == processes_of(one)
        assert not any(alive(pid) for pid in processes_of(one))
    said = capsys.readouterr().out
    assert "is lost; its runs continue elsewhere" in said
    assert "raylet" not in said


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_lets_runs_finish_their_step_and_begins_nothing_more(
    number: int, code: int, stand_ins: None, two: Cluster, tmp_path: Path
) -> None:
    runs = planned(tmp_path, *range(6))
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]

    def interrupt() -> None:
        wait(lambda: sum(len(told(one, "steps")) > 2 for one in runs) >= 2, seconds=240)
        os.kill(os.getpid(), number)

    interrupting = in_background(interrupt)
    with pytest.raises(SystemExit) as stopped:
        run_all(runs, Limits(), two.address)
    interrupting.join()
    assert stopped.value.code == code
    begun = [one for one in runs if told(one, "begun")]
    assert len(begun) < 6
    assert any(told(one, "saved") for one in begun)
    for one in begun:
        assert told(one, "result.json") or told(one, "saved") == [str(len(told(one, "steps")))]
        assert not any(alive(pid) for pid in processes_of(one))
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before  # Ray has one of its own
    assert {one.code for one in run_all(runs, Limits(), two.address)} == {0}
    assert [len(told(one, "steps")) for one in runs] == [STEPS] * 6
    assert [len(told(one, "result.json")) for one in runs] == [1] * 6


@pytest.mark.slow
def test_a_run_that_its_machine_ends_continues_elsewhere(stand_ins: None, two: Cluster, tmp_path: Path) -> None:
    """As a machine does that is being shut down."""
    one = planned(tmp_path, 0)[0]

    def end() -> None:
        wait(lambda: len(told(one, "steps")) > 2, seconds=240)
        os.kill(processes_of(one)[0], signal.SIGTERM)

    ending = in_background(end)
    assert run_all([one], Limits(), two.address) == [Ended(one, 0)]
    ending.join()
    assert (len(told(one, "saved")), len(processes_of(one)), len(told(one, "steps"))) == (1, 2, STEPS)


@pytest.mark.slow
def test_runs_at_the_same_time_have_a_gpu_each(
    stand_ins: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = planned(tmp_path, 0, 1)
    with cluster() as there:
        there.add("machine", cpus=4, gpus=2)
        assert {one.code for one in run_all(runs, Limits(), there.address)} == {0}
    assert sorted(told(one, "begun")[0].split()[-1] for one in runs) == ["0", "1"]
    assert {told(one, "begun")[0].split()[2] for one in runs} == {"2"}
    assert "Ray: machines 1, CPUs 4, GPUs 2" in capsys.readouterr().out


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """What `carry_out` needs, and what it changes put back."""
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setattr(ray_launch, "POLL", 0.01)
    with marked(tmp_path / "runs") as marked_project:
        yield marked_project
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("patience", "code"), [(60.0, 0), (0.0, BUSY)])
def test_a_run_that_its_lost_machine_still_has_is_waited_for(
    patience: float, code: int, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = [BUSY, BUSY, 0]
    monkeypatch.setattr(ray_launch, "run_one", lambda *_: codes.pop(0))
    monkeypatch.setattr(ray_launch, "LETTING_GO", patience)
    one = planned(tmp_path, 0)[0]
    given = {"OMP_NUM_THREADS": "5"} if code else {}  # what the user set outweighs the share of the cores
    assert carry_out(one, 3, 0.0, project, given) == code
    assert os.environ["OMP_NUM_THREADS"] == ("5" if code else "3")
    assert one.key.log.read_text() == f"on {os.uname().nodename}\n"


def test_no_run_begins_on_a_machine_that_does_not_see_the_store(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has joined since the machines were looked at."""
    monkeypatch.setattr(ray_launch, "run_one", None)
    project.mark.unlink()
    with pytest.raises(ValueError, match="does not see"):
        carry_out(planned(tmp_path, 0)[0], 1, 0.0, project, {})


@pytest.mark.slow
def test_machines_with_other_code_are_refused_before_a_run_begins(
    stand_ins: None, two: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = planned(tmp_path, 0)
    monkeypatch.setattr(ray_cluster, "fingerprint", lambda: "of a later commit")
    with mistake(r"has other code in .*: bring them to the same commit", capsys):
        run_all(runs, Limits(), two.address)
    assert not told(runs[0], "begun")


def test_a_log_is_shown_by_whole_lines_from_where_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = planned(tmp_path, 0)[0]
    one.key.log.parent.mkdir(parents=True)
    one.key.log.write_bytes(b"of an earlier time\n")
    followed = LogFollower(one, "[1/3]")
    followed.show()
    assert capsys.readouterr().out == ""
    with one.key.log.open("ab") as log:
        for text, shown in [
            (b"Stra", ""),
            ("ße\nlo".encode(), f"[1/3] {one.label}\n      Straße\n"),
            (b"ss 1\n\nloss", "      loss 1\n      \n"),
        ]:
            log.write(text)
            log.flush()
            followed.show()
            assert capsys.readouterr().out == shown
    followed.show(to_the_end=True)
    followed.show(to_the_end=True)
    assert capsys.readouterr().out == "      loss\n"


def test_a_run_without_a_word_is_named_when_it_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = planned(tmp_path, 0)[0]
    LogFollower(one, "[1/3]").show(to_the_end=True)
    assert capsys.readouterr().out == f"[1/3] {one.label}\n"


class RayError(Exception):
    """Stands for Ray's own."""


class Unreachable:
    """Stands for Ray where a task has not come to its end."""

    exceptions = type("exceptions", (), {"RayError": RayError})

    def get(self, ref: Exception) -> int:
        raise ref


def test_a_run_that_lost_every_machine_it_got_has_a_record_of_it(tmp_path: Path) -> None:
    one = planned(tmp_path, 0)[0]
    one.key.log.parent.mkdir(parents=True)
    one.key.log.write_text("on machine7\nloss 1\n")
    assert code_of(Unreachable(), RayError("\nits node is dead\nand so on"), LogFollower(one, "[1/1]")) == 1
    record = read_json(one.key.folder / "failure.json")
    assert record["error"] == "RayError: its node is dead"
    assert record["traceback"] == "on machine7\nloss 1\n"


@pytest.mark.parametrize(
    ("settings", "takes"),
    [
        (["--trainer.devices=1"], Request(4, 1)),
        (["--trainer.devices=auto"], Request(4, 1)),
        (["--trainer.devices=2"], Request(8, 2)),
        (["--trainer.accelerator=cpu"], Request(16, 0)),
    ],
)
def test_what_a_run_takes_is_read_from_its_settings(settings: list[str], takes: Request, tmp_path: Path) -> None:
    assert request_of(with_settings(tmp_path, *settings), [Machine("machine", "node", 16, 4)], 1) == takes


def test_a_run_of_several_machines_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with mistake(r"trainer\.num_nodes is 2, but LAUNCHER=ray .* with torchrun", capsys):
        request_of(with_settings(tmp_path, "--trainer.num_nodes=2"), [Machine("machine", "node", 4, 0)], 1)


def with_settings(root: Path, *settings: str) -> Planned:
    (one,) = planned(root, 0)
    return replace(one, overrides=(*one.overrides, *settings))


def test_no_runs_need_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(ray_cluster, "connected")
    assert run_all([], Limits()) == []
