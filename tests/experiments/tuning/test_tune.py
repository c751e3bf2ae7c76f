import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from experiments.planning.grid import Planned, plan_long_range
from experiments.run import build_parser
from experiments.tuning import trials, tune
from experiments.tuning.space import SEED, SPACE
from experiments.tuning.trials import Report, Search, Subject
from experiments.tuning.tune import alone, main, subjects, unequal, write_sweep, write_tuned
from tests.support.fakes.trials import FakeRunner, subject


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of 400 steps is enough for a made-up run."""
    monkeypatch.setattr(trials, "FEWEST", 1)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tuned configurations of the project are out of reach."""
    monkeypatch.setattr(trials, "HERE", tmp_path / "here")
    return tmp_path / "here"


def searches(root: Path, count: int, models: tuple[str, ...] = ("lstm", "transformer")) -> list[Search]:
    return [Search(subject(root, model), count) for model in models]


def run(found: list[Search], runner: trials.Runner, jobs: int = 1) -> list[str]:
    return tune.tune(found, jobs, runner, threading.Event())


def record(search: Search) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(search.subject.tuned.with_suffix(".trials.json").read_text())
    return content


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_model_is_given_as_many_trials_and_the_best_is_written(tmp_path: Path, jobs: int) -> None:
    found = searches(tmp_path, 6)
    runner = FakeRunner()
    assert run(found, runner, jobs) == []
    assert sorted(p.key.model for p in runner.ran) == ["lstm"] * 6 + ["transformer"] * 6
    for search in found:
        kept = record(search)
        assert [row["number"] for row in kept["trials"]] == list(range(6))
        finished = {r["number"]: r["validation_loss"] for r in kept["trials"] if r["outcome"] == "finished"}
        assert kept["chosen"] == min(finished, key=finished.__getitem__)
        tuned = yaml.safe_load(search.subject.tuned.read_text())["model"]["init_args"]["optimisation"]
        assert tuned == {name: kept["trials"][kept["chosen"]][name] for name in SPACE}


def test_the_record_says_where_the_values_come_from(tmp_path: Path) -> None:
    search = searches(tmp_path, 5)[0]
    run([search], FakeRunner(lambda p: float("nan") if p.key.variant == "trial2" else 1.0, codes={"trial1": 1}))
    kept = record(search)
    assert (kept["suite"], kept["task"], kept["model"]) == ("full", "copy", "lstm")
    assert kept["command"] == "make tune SUITE=full TASKS=copy MODELS=lstm TRIALS=5"
    assert search.subject.tuned.read_text().startswith(f"# {kept['command']}\n")
    assert (kept["seed"], kept["steps"], kept["share_of_steps"]) == (SEED, 100, 0.25)
    assert set(kept["space"]) == set(SPACE)
    outcomes = [row["outcome"] for row in kept["trials"]]
    assert outcomes == ["finished", "failed", "diverged", "finished", "finished"]
    assert kept["date"] == max(row["date"] for row in kept["trials"])
    for row in kept["trials"]:
        assert row["machine"].endswith("cores")
        assert {"commit", "seconds", "steps", "reports", "error", *SPACE} < set(row)


def test_a_failed_trial_is_told_of_and_the_others_go_on(tmp_path: Path) -> None:
    found = searches(tmp_path, 3)
    problems = run(found, FakeRunner(codes={"trial1": 1}))
    assert len(problems) == 2
    assert problems[0].startswith("copy lstm trial 1: exit code 1; see ")
    assert all(search.subject.tuned.exists() for search in found)


def test_where_no_trial_finishes_the_earlier_file_stays(tmp_path: Path) -> None:
    search = searches(tmp_path, 2)[0]
    search.subject.tuned.parent.mkdir(parents=True)
    search.subject.tuned.write_text("kept")
    problems = run([search], FakeRunner(codes={"trial0": 1, "trial1": 1}))
    assert "no trial finished" in problems[-1]
    assert search.subject.tuned.read_text() == "kept"
    assert [p.name for p in search.subject.tuned.parent.iterdir()] == ["lstm.yaml"]


def test_an_interrupted_search_writes_nothing_and_ends_the_others(tmp_path: Path) -> None:
    found = searches(tmp_path, 3)
    stopped, runner = threading.Event(), FakeRunner(codes={"trial1": 143})
    assert tune.tune(found, 1, runner, stopped) == []
    assert stopped.is_set()
    assert runner.variants == ["trial0", "trial1"]
    assert not any(search.subject.tuned.exists() for search in found)


def test_resuming_runs_what_is_missing_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(searches(tmp_path, 3), FakeRunner(codes={"trial1": 130}))
    again = FakeRunner()
    found = searches(tmp_path, 3)
    run(found, again)
    assert [(p.key.model, p.key.variant) for p in again.ran] == [
        ("lstm", "trial1"), ("lstm", "trial2"),
        ("transformer", "trial0"), ("transformer", "trial1"), ("transformer", "trial2"),
    ]  # fmt: skip
    before = [search.subject.tuned.read_bytes() + json.dumps(record(search)).encode() for search in found]
    capsys.readouterr()
    rest = FakeRunner()
    run(searches(tmp_path, 3), rest)
    assert rest.ran == []
    assert capsys.readouterr().out.count("all 3 trials were run already") == 2
    assert before == [search.subject.tuned.read_bytes() + json.dumps(record(search)).encode() for search in found]


def test_a_line_for_each_trial_names_its_values_the_best_and_the_time_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search = searches(tmp_path, 2)[0]
    run([search], FakeRunner(lambda p: 2.0 if p.key.variant == "trial0" else 3.0))
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("copy lstm trial 1/2  learning rate 0.00")
    assert "finished at validation loss 2.0000  best 2.0000  about 0 min left" in first
    assert "finished at validation loss 3.0000  best 2.0000" in second


def test_an_unequal_number_of_trials_is_told_of(tmp_path: Path) -> None:
    lstm, transformer = Search(subject(tmp_path, "lstm"), 2), Search(subject(tmp_path, "transformer"), 3)
    run([lstm, transformer], FakeRunner())
    (sentence,) = unequal([lstm.subject])
    assert sentence.startswith("copy: models differ in their number of trials (lstm 2, transformer 3)")
    run([Search(lstm.subject, 3)], FakeRunner())
    assert unequal([lstm.subject, transformer.subject]) == []


def test_a_tuned_configuration_is_read_by_the_published_run_of_the_model(tmp_path: Path) -> None:
    one = next(iter(plan_long_range("quick", ["copy"], ["lstm"], [0], "runs", [])))
    search = Search(subject(tmp_path), 2)
    for number in search.missing:
        search.attempt(number, FakeRunner())
    write_tuned(search)
    assert search.best is not None
    configs = tuple(path for path in one.configs if "tuned" not in path.parts)
    config = build_parser().parse_args(replace(one, configs=(*configs, search.subject.tuned)).arguments)
    optimisation = config.model.init_args.optimisation
    assert {name: optimisation[name] for name in SPACE} == {name: search.best[name] for name in SPACE}
    untuned = build_parser().parse_args(replace(one, configs=configs).arguments).model
    for name in SPACE:
        untuned.init_args.optimisation[name] = optimisation[name]
    assert untuned == config.model


def test_a_task_that_takes_anothers_values_has_no_trials_of_its_own(tmp_path: Path) -> None:
    named = {one.base.key.task for one in subjects("full", [], ["lstm"], str(tmp_path), [])}
    assert "associative-recall-16-keys" in named
    assert "associative-recall" not in named
    with pytest.raises(ValueError, match="takes its values from associative-recall-16-keys: name that"):
        subjects("full", ["associative-recall"], ["lstm"], str(tmp_path), [])


def test_subjects_are_the_models_of_the_suite_without_variants_and_without_tuned_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan(*given: Any) -> Iterator[Planned]:
        for one in plan_long_range(*given):
            yield replace(one, configs=(*one.configs, tmp_path / "tuned" / "copy" / "lstm.yaml"))
            yield replace(one, key=replace(one.key, variant="hidden64"))

    monkeypatch.setattr(tune, "plan_long_range", plan)
    (one,) = subjects("quick", ["copy"], ["lstm"], str(tmp_path), ["--trainer.devices=1"])
    assert (one.base.key.variant, one.label) == ("base", "copy lstm")
    assert not any("tuned" in path.parts for path in one.base.configs)
    config = build_parser().parse_args(one.trial("trial0", (), 8).arguments)
    assert (config.trainer.max_steps, config.trainer.validate_every) == (one.steps, one.report_every)
    assert config.run.suite == "quick-tuning"
    assert not config.evaluate_tests


def test_the_fingerprint_knows_what_trials_have_in_common_alone(tmp_path: Path) -> None:
    def fingerprint(*settings: str, root: str = "runs") -> str:
        return subjects("quick", ["copy"], ["lstm"], root, settings)[0].fingerprint

    same = fingerprint()
    assert same == fingerprint(root=str(tmp_path))
    assert same == fingerprint("--model.init_args.optimisation.learning_rate=0.5")
    assert same != fingerprint("--trainer.gradient_clip=0.5")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"trials": 0}, ["TRIALS", "0"]),
        ({"models": "lstm-hidden64"}, ["MODELS", "'lstm-hidden64'", "variant"]),
        ({"models": "nonsense"}, ["MODELS", "'nonsense'", "lstm"]),
        ({"tasks": "nonsense"}, ["TASKS", "'nonsense'", "copy"]),
        ({"tasks": "copy", "models": "lstm", "precision": "nonsense"}, ["precision", "nonsense", "bf16-mixed"]),
        ({"tasks": "copy", "sweep": "sweep.yaml"}, ["TASKS", "MODELS", "one model on one task"]),
    ],
)
def test_what_a_user_mistypes_is_one_sentence_and_nothing_is_run(
    arguments: dict[str, Any], said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune, "run_trial", lambda *_, **__: pytest.fail("ran"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(**{"root": str(tmp_path / "runs"), **arguments})
    assert isinstance(stopped.value.code, str)
    assert "\n" not in stopped.value.code
    assert all(word in stopped.value.code for word in ["error: ", *said])
    assert list(tmp_path.iterdir()) == []


def test_the_command_tunes_and_ends_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def losses(planned: Planned, report: Report, threads: int, stopped: threading.Event) -> int:
        steps = next(int(w.split("=")[1]) for w in planned.overrides if w.startswith("--trainer.max_steps="))
        report(steps, 1.0)
        return 0

    monkeypatch.setattr(tune, "run_trial", losses)
    main("quick", "copy", "lstm gru", 2, root=str(tmp_path))
    folder = tmp_path / "here" / "configs" / "long_range" / "quick" / "tuned" / "copy"
    assert sorted(path.name for path in folder.iterdir()) == [
        "gru.trials.json", "gru.yaml", "lstm.trials.json", "lstm.yaml"
    ]  # fmt: skip


@pytest.mark.parametrize(("code", "ends"), [(1, 1), (143, 130)])
def test_the_command_ends_with_what_went_wrong(
    code: int, ends: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tune, "run_trial", lambda *_, **__: code)
    with pytest.raises(SystemExit) as stopped:
        main("quick", "copy", "lstm", 2, root=str(tmp_path))
    assert stopped.value.code == ends
    assert ("see " if code == 1 else "goes on") in capsys.readouterr().err


def test_two_processes_do_not_share_a_search(tmp_path: Path) -> None:
    one = subject(tmp_path)
    with alone(one):
        with pytest.raises(ValueError, match="another process is tuning copy lstm"):
            alone(one)
        with alone(subject(tmp_path, "gru")):
            pass
    with alone(one):
        pass


def test_a_sweep_is_written_instead_of_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "run_trial", lambda *_, **__: pytest.fail("ran"))
    path = tmp_path / "sweep.yaml"
    main("quick", "copy", "lstm", 8, sweep=str(path))
    made = yaml.safe_load(path.read_text())
    assert path.read_text().startswith("# The search of make tune SUITE=quick TASKS=copy MODELS=lstm TRIALS=8\n")
    assert len(made["parameters"]) == len(SPACE)
    assert "--evaluate_tests=false" in made["command"]
    with pytest.raises(ValueError, match="not 2"):
        write_sweep([subject(tmp_path), subject(tmp_path, "gru")], 8, path)


def test_subjects_do_not_depend_on_the_published_seeds(tmp_path: Path) -> None:
    one: Subject = subjects("quick", ["copy"], ["lstm"], str(tmp_path), [])[0]
    assert one.trial("trial0", (), 1).key.seed == SEED


def test_a_mistyped_number_of_jobs_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main("quick", "copy", "lstm", jobs="many", root=str(tmp_path))
    assert capsys.readouterr().err == "error: JOBS is 'many'; write a whole number above 0.\n"
    assert not list(tmp_path.iterdir())
