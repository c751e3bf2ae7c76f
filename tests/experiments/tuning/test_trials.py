import json
import math
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from experiments.launch import local as launch
from experiments.planning.grid import Planned
from experiments.tuning import trials
from experiments.tuning.space import SEED, SHARED_POINTS, rounded, shared_point
from experiments.tuning.trials import Search, end, run_trial, validation_losses, why_it_failed
from tests.support.fakes.trials import FakeRunner, bowl, setting, subject


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of 400 steps is enough for a made-up run."""
    monkeypatch.setattr(trials, "FEWEST", 1)


def run_all(search: Search, run: FakeRunner) -> list[dict[str, Any]]:
    return [search.attempt(number, run) for number in search.missing]


def test_a_trial_is_the_published_run_with_a_quarter_of_its_steps_and_no_tests(tmp_path: Path) -> None:
    one = subject(tmp_path)
    assert (one.steps, one.report_every) == (100, 10)
    run = FakeRunner()
    Search(one, 1).attempt(0, run)
    planned = run.ran[0]
    assert planned.key.folder == tmp_path / "full-tuning" / "long-range" / "copy" / "lstm" / "trial0" / f"seed{SEED}"
    assert planned.configs == one.base.configs
    assert {
        "--trainer.devices=1",
        "--trainer.max_steps=100",
        "--trainer.validate_every=10",
        "--data.init_args.curriculum_steps=50",
        "--evaluate_tests=false",
    } < set(planned.overrides)
    assert planned.key.command == "make tune SUITE=full TASKS=copy MODELS=lstm TRIALS=1"


@pytest.mark.parametrize("max_steps", [1, 3, 39, 40, 41, 600, 12345])
def test_the_last_step_of_a_trial_is_validated(tmp_path: Path, max_steps: int) -> None:
    one = trials.Subject(subject(tmp_path).base, max_steps, 0, "")
    assert one.steps % one.report_every == 0
    assert 1 <= one.steps <= max_steps
    assert one.steps == pytest.approx(max_steps / 4, rel=0.1, abs=1)


@pytest.mark.parametrize(("max_steps", "steps"), [(100, 100), (800, 600), (4000, 1000)])
def test_a_trial_has_steps_enough_to_leave_a_plateau(
    max_steps: int, steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "FEWEST", 600)
    assert trials.Subject(subject(tmp_path).base, max_steps, 0, "").steps == steps


def test_models_are_given_the_same_first_points_and_as_many_trials(tmp_path: Path) -> None:
    tried = {}
    likes = {"lstm": 0.001, "transformer": 0.01}
    for model in likes:
        run = FakeRunner(lambda p: math.log(setting(p, "learning_rate") / likes[p.key.model]) ** 2)
        search = Search(subject(tmp_path, model), 8)
        rows = run_all(search, run)
        assert len(rows) == len(run.ran) == 8
        assert search.missing == []
        tried[model] = [(row["learning_rate"], row["initialisation_scale"]) for row in rows]
    first = [tuple(rounded(shared_point(number)).values()) for number in range(SHARED_POINTS)]
    assert tried["lstm"][:SHARED_POINTS] == tried["transformer"][:SHARED_POINTS] == first
    assert tried["lstm"][SHARED_POINTS:] != tried["transformer"][SHARED_POINTS:]


def test_the_best_is_the_lowest_last_loss_of_a_finished_trial(tmp_path: Path) -> None:
    search = Search(subject(tmp_path), 6)
    run = FakeRunner()
    rows = run_all(search, run)
    finished = {row["number"]: bowl(run.ran[row["number"]]) for row in rows if row["outcome"] == "finished"}
    assert search.best is not None
    assert search.best["number"] == min(finished, key=finished.__getitem__)
    assert search.best["validation_loss"] == pytest.approx(min(finished.values()))


def test_a_hopeless_trial_is_pruned_in_its_second_half_and_counts(tmp_path: Path) -> None:
    search = Search(subject(tmp_path), 4)
    rows = run_all(search, FakeRunner(lambda p: 9.0 if p.key.variant == "trial3" else 1.0))
    assert [row["outcome"] for row in rows] == ["finished", "finished", "finished", "pruned"]
    assert 50 <= rows[3]["steps"] < 100
    assert rows[3]["validation_loss"] == 18.0
    assert search.missing == []
    assert search.best == rows[0]


def test_nothing_is_pruned_before_three_trials_are_complete(tmp_path: Path) -> None:
    losses = iter([1.0, 5.0, 9.0])
    worse: dict[str, float] = {}
    run = FakeRunner(lambda p: worse.setdefault(p.key.variant, next(losses, 0.0)))
    assert [row["outcome"] for row in run_all(Search(subject(tmp_path), 3), run)] == ["finished"] * 3


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_diverged_trial_is_ended_recorded_and_counts(tmp_path: Path, loss: float) -> None:
    search = Search(subject(tmp_path), 3)
    rows = run_all(search, FakeRunner(lambda p: loss if p.key.variant == "trial0" else 1.0))
    assert rows[0]["outcome"] == "diverged"
    assert rows[0]["validation_loss"] is None
    assert rows[0]["reports"] == [[10, None]]
    assert search.missing == []
    assert search.best == rows[1]
    json.dumps(rows, allow_nan=False)


def test_a_trial_whose_run_ended_at_a_loss_that_is_no_number_counts_as_diverged(tmp_path: Path) -> None:
    """Such a run fails by itself, before a validation could show it."""

    class Diverging(FakeRunner):
        def __call__(self, planned: Planned, report: trials.Report) -> int:
            if planned.key.variant in self.codes:
                failure = planned.key.folder / "failure.json"
                failure.parent.mkdir(parents=True)
                failure.write_text(
                    json.dumps({"error": "Diverged: The loss is nan at step 31, on training examples 4."})
                )
            return super().__call__(planned, report)

    search = Search(subject(tmp_path), 3)
    rows = run_all(search, Diverging(lambda _: 1.0, codes={"trial1": 1}))
    assert [row["outcome"] for row in rows] == ["finished", "diverged", "finished"]
    assert (rows[1]["validation_loss"], rows[1]["error"], rows[1]["steps"]) == (None, None, 20)
    assert search.missing == []
    json.dumps(rows, allow_nan=False)


def test_a_failed_trial_is_recorded_and_tried_again_with_its_own_values(tmp_path: Path) -> None:
    first = Search(subject(tmp_path), 6)
    rows = run_all(first, FakeRunner(lambda _: 1.0, codes={"trial1": 1, "trial5": 1}))
    assert [row["number"] for row in rows if row["outcome"] == "failed"] == [1, 5]
    assert "exit code 1" in rows[1]["error"]
    assert "log-seed100.txt" in rows[1]["error"]
    assert len(first.rows()) == 6
    again, run = Search(subject(tmp_path), 6), FakeRunner(lambda _: 1.0)
    assert again.missing == [1, 5]
    repeated = run_all(again, run)
    assert run.variants == ["trial1", "trial5"]
    for row in repeated:
        assert row["outcome"] == "finished"
        assert row["learning_rate"] == rows[row["number"]]["learning_rate"]
        assert row["initialisation_scale"] == rows[row["number"]]["initialisation_scale"]
    assert [row["number"] for row in again.rows()] == list(range(6))


@pytest.mark.parametrize(("last", "code"), [(100, 1), (90, 0), (None, 0)])
def test_a_trial_has_finished_if_its_run_ended_well_at_its_last_step(
    tmp_path: Path, last: int | None, code: int
) -> None:
    def run(planned: Planned, report: trials.Report) -> int:
        if last is not None:
            report(last, 1.0)
        return code

    search = Search(subject(tmp_path), 1)
    assert search.attempt(0, run)["outcome"] == "failed"
    assert search.best is None


@pytest.mark.parametrize("cut", [1, 4, 6])
def test_an_interrupted_search_goes_on_as_if_it_had_not_been(tmp_path: Path, cut: int) -> None:
    whole = run_all(Search(subject(tmp_path / "whole"), 7), FakeRunner())
    begun = Search(subject(tmp_path / "cut"), 7)
    for number in range(cut):
        begun.attempt(number, FakeRunner())
    assert begun.attempt(cut, FakeRunner(codes={f"trial{cut}": 143}))["outcome"] == "interrupted"
    resumed, run = Search(subject(tmp_path / "cut"), 7), FakeRunner()
    run_all(resumed, run)
    assert run.variants == [f"trial{number}" for number in range(cut, 7)]
    measured = ("number", "learning_rate", "initialisation_scale", "outcome", "validation_loss", "steps", "reports")
    assert [[row[m] for m in measured] for row in resumed.rows()] == [[row[m] for m in measured] for row in whole]


def test_a_search_whose_process_was_killed_repeats_the_trial_that_was_running(tmp_path: Path) -> None:
    def killed(planned: Planned, report: trials.Report) -> int:
        report(10, 1.0)
        raise SystemError("killed")

    begun = Search(subject(tmp_path), 3)
    with pytest.raises(SystemError):
        begun.attempt(0, killed)
    begun.study.enqueue_trial(shared_point(1))  # killed between asking for a trial and beginning it
    resumed, run = Search(subject(tmp_path), 3), FakeRunner()
    assert not resumed.study.get_trials(states=(TrialState.RUNNING, TrialState.WAITING))
    assert resumed.missing == [0, 1, 2]
    rows = run_all(resumed, run)
    assert [row["learning_rate"] for row in rows] == [rounded(shared_point(i))["learning_rate"] for i in range(3)]


def test_more_trials_go_on_and_fewer_look_at_the_first_alone(tmp_path: Path) -> None:
    run_all(Search(subject(tmp_path), 5), FakeRunner(lambda p: 1.0 / (1 + int(p.key.variant[5:]))))
    assert Search(subject(tmp_path), 7).missing == [5, 6]
    fewer = Search(subject(tmp_path), 2)
    assert (fewer.missing, len(fewer.rows())) == ([], 2)
    assert fewer.best is not None
    assert fewer.best["number"] == 1


def test_trials_of_another_configuration_are_moved_aside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_all(Search(subject(tmp_path), 2), FakeRunner())
    other = Search(subject(tmp_path, fingerprint="two"), 2)
    assert other.missing == [0, 1]
    aside = list(other.subject.folder.parent.glob("until-*-lstm"))
    assert [path.name for path in aside[0].iterdir()] == ["study.journal"]
    assert str(aside[0]) in capsys.readouterr().err


def test_checkpoints_of_settled_trials_are_not_kept(tmp_path: Path) -> None:
    def leave_checkpoint(planned: Planned) -> float:
        (planned.key.folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        return 1.0

    run_all(Search(subject(tmp_path), 2), FakeRunner(leave_checkpoint, codes={"trial1": 130}))
    assert not list(tmp_path.rglob("trial0/*/checkpoints"))
    assert list(tmp_path.rglob("trial1/*/checkpoints"))


def test_why_a_trial_failed_is_what_its_run_recorded(tmp_path: Path) -> None:
    planned = subject(tmp_path).trial("trial0", (), 1)
    planned.key.folder.mkdir(parents=True)
    (planned.key.folder / "failure.json").write_text('{"error": "ValueError: too long"}')
    assert why_it_failed(planned, 1) == f"ValueError: too long; see {planned.key.log}"


def test_a_line_that_is_being_written_is_left_for_later(tmp_path: Path) -> None:
    record = tmp_path / "metrics.jsonl"
    assert list(validation_losses(record)) == []
    whole = (
        '{"step": 10, "metric": "val/loss", "value": 2.5}\n{"step": 10, "metric": "val/smoothed_loss", "value": 1}\n'
    )
    record.write_text(
        whole + '{"step": 20, "metric": "val/loss", "value": NaN}\n{"step": 30, "metric": "val/loss", "val'
    )
    (step, loss), (_, last) = validation_losses(record)
    assert (step, loss) == (10, 2.5)
    assert math.isnan(last)


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Planned:
    """A trial that is started with another interpreter than Python: see `stand_in`."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(trials, "POLL", 0.01)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    one = subject(tmp_path).trial("trial0", (), 1)
    one.key.folder.mkdir(parents=True)
    return one


def stand_in(script: str) -> None:
    program = Path(sys.executable)
    program.write_text("#!/bin/sh\n" + script)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def validated(planned: Planned, step: int, loss: float) -> str:
    row = json.dumps({"step": step, "metric": "val/loss", "value": loss})
    return f"echo '{row}' >> {planned.key.folder / 'metrics.jsonl'}\n"


def test_a_run_is_watched_to_its_end(planned: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    said = 'echo "$@"; echo "$WANDB_MODE $OMP_NUM_THREADS"\n'
    stand_in(said + validated(planned, 1, 4.0) + "sleep 0.1\n" + validated(planned, 2, 3.0) + "exit 5\n")
    heard: list[tuple[int, float]] = []

    def report(step: int, loss: float) -> bool:
        heard.append((step, loss))
        return True

    assert run_trial(planned, report, threads=1, stopped=threading.Event()) == 5
    assert heard == [(1, 4.0), (2, 3.0)]
    arguments = " ".join(["-m", "experiments.run", *planned.arguments])
    assert planned.key.log.read_text().splitlines() == [arguments, "disabled 3"]


def obedient(planned: Planned) -> str:
    """Validates once, goes on for ever, and ends with 143 when it is asked to."""
    return "trap 'exit 143' TERM\n" + validated(planned, 1, 4.0) + "while :; do sleep 0.02; done\n"


def test_a_run_that_is_no_longer_wanted_is_asked_to_end(planned: Planned) -> None:
    stand_in(obedient(planned))
    heard: list[int] = []

    def report(step: int, loss: float) -> bool:
        heard.append(step)
        return False

    assert run_trial(planned, report, threads=1, stopped=threading.Event()) == 143
    assert heard == [1]


def test_an_interruption_reaches_the_run(planned: Planned) -> None:
    stand_in(obedient(planned))
    stopped = threading.Event()

    def report(step: int, loss: float) -> bool:
        stopped.set()
        return True

    assert run_trial(planned, report, threads=1, stopped=stopped) == 143


def test_a_mistake_in_watching_leaves_no_process_behind(planned: Planned, tmp_path: Path) -> None:
    stand_in(f"trap 'touch {tmp_path}/ended; exit 143' TERM\n" + obedient(planned).partition("\n")[2])

    def report(step: int, loss: float) -> bool:
        raise RuntimeError("mistake")

    with pytest.raises(RuntimeError, match="mistake"):
        run_trial(planned, report, threads=1, stopped=threading.Event())
    assert (tmp_path / "ended").exists()


def test_a_run_that_does_not_end_is_killed_with_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "GRACE", 0.1)
    deaf = ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.02; done"]
    with subprocess.Popen(deaf, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        end(process)
    assert process.returncode == -signal.SIGKILL


def test_a_search_that_died_before_its_first_entry_begins_again(tmp_path: Path) -> None:
    one = subject(tmp_path)
    one.folder.mkdir(parents=True)
    (one.folder / "study.journal").touch()
    search = Search(one, 2)
    run_all(search, FakeRunner())
    assert search.missing == []
    assert len(list(one.folder.parent.iterdir())) == 1
