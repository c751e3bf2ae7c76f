import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonargparse import Namespace

from analysis.page.tuning import way
from experiments import run
from experiments.launch.exit_codes import BUSY, MISTAKE
from experiments.launch.finished import finished
from experiments.launch.local import Ended, Limits
from experiments.planning.grid import Planned, plan_tasks
from experiments.planning.parser import build_parser
from experiments.planning.yaml_files import chosen_values
from experiments.record.read import checked
from experiments.record.schema import Trials
from experiments.tuning import tune as module
from experiments.tuning.space import SEED, SPACES, points
from experiments.tuning.tune import Search, main, searches, tune, unequal
from tests.support.fakes.trials import FakeLauncher, has_result, search


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tuned configurations of the project are out of reach, and no dashboard is switched off for other tests."""
    monkeypatch.setattr(module, "configs_of", lambda *names: tmp_path.joinpath("here", *names))
    monkeypatch.setattr(module, "finished", has_result)
    monkeypatch.setenv("WANDB_MODE", "offline")
    return tmp_path / "here"


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Any:
    def launch(*found: Search, launcher: FakeLauncher | None = None) -> tuple[list[str], FakeLauncher]:
        launcher = launcher or FakeLauncher()
        monkeypatch.setattr(module, "run_all", launcher)
        return tune(found, 1), launcher

    return launch


def values_of(config: Namespace, experiment: str = "long-range") -> dict[str, float]:
    return {name: config[values.key] for name, values in SPACES[experiment].items()}


def record(one: Search) -> dict[str, Any]:
    text = one.tuned.read_text()
    assert checked(text, Trials)  # the report can read it
    content: dict[str, Any] = json.loads(text)
    return content


def test_every_model_is_given_the_same_trials_and_the_best_is_written(tmp_path: Path, launched: Any) -> None:
    found = [search(tmp_path, 6, model) for model in ("lstm", "transformer")]
    problems, launcher = launched(*found)
    assert problems == []
    assert [p.key.model for p in launcher.ran] == ["lstm"] * 6 + ["transformer"] * 6
    for one in found:
        kept = record(one)
        assert [row["values"] for row in kept["trials"]] == points("long-range", 6)
        assert [row["number"] for row in kept["trials"]] == list(range(6))
        losses = [row["validation_loss"] for row in kept["trials"]]
        assert kept["chosen"] == losses.index(min(losses))
        tuned = chosen_values(one.tuned)["model"]["init_args"]["optimisation"]
        assert tuned == kept["trials"][kept["chosen"]]["values"]
    assert not list(tmp_path.rglob("checkpoints"))


def test_the_record_shows_where_the_values_come_from(tmp_path: Path, launched: Any) -> None:
    one = search(tmp_path, 5)
    launched(one, launcher=FakeLauncher(lambda p: math.nan if p.key.variant == "trial2" else 1.0, {"trial1": 1}))
    kept = record(one)
    assert (kept["suite"], kept["task"], kept["model"]) == ("full", "copy", "lstm")
    assert kept["command"] == "make tune SUITE=full TASKS=copy MODELS=lstm TRIALS=5"
    assert (kept["seed"], kept["steps"], kept["share_of_steps"]) == (SEED, 100, 0.25)
    assert [row["outcome"] for row in kept["trials"]] == ["finished", "failed", "diverged", "finished", "finished"]
    assert [row["reports"] for row in kept["trials"][:3]] == [
        [[50, 2.0], [100, 1.0]], [[50, 2.0]], [[50, None], [100, None]]
    ]  # fmt: skip
    assert kept["date"] == "2026-01-02T03:24:05+00:00"
    first = kept["trials"][0]
    assert (first["seconds"], first["machine"]) == (1200.0, "made-up CPU, 2 cores")
    assert first["commit"] == "1f2e3d4c5b6a79880123456789abcdef01234567"
    assert "5 points of a scrambled Sobol sequence" in way(kept)


def test_the_metric_that_chooses_checkpoints_chooses_settings(tmp_path: Path, launched: Any) -> None:
    one = search(tmp_path, 4, monitor="val/bleu", mode="max")
    launched(one)
    kept = record(one)
    scores = [row["validation_bleu"] for row in kept["trials"]]
    assert kept["chosen"] == scores.index(max(scores))
    assert scores == [10 + row["validation_loss"] for row in kept["trials"]]
    assert kept["chosen_by"] == "highest last val/bleu of a finished trial"


def test_a_failed_trial_is_reported_and_run_again_with_its_own_values(tmp_path: Path, launched: Any) -> None:
    one = search(tmp_path, 3)
    problems, _ = launched(one, launcher=FakeLauncher(codes={"trial1": 1}))
    assert problems == [f"copy lstm trial 1: OSError: disk full; see {one.trials[1].key.log}"]
    assert list(tmp_path.rglob("trial1/*/checkpoints"))  # it resumes from them
    assert [row["outcome"] for row in record(one)["trials"]] == ["finished", "failed", "finished"]
    problems, again = launched(one)
    assert (problems, again.ran) == ([], [one.trials[1]])
    assert [row["outcome"] for row in record(one)["trials"]] == ["finished"] * 3


def test_a_diverged_trial_counts_and_is_no_problem(tmp_path: Path, launched: Any) -> None:
    one = search(tmp_path, 2)
    error = "Diverged: The loss is nan at step 31, on training examples 4."
    problems, _ = launched(one, launcher=FakeLauncher(codes={"trial0": 1}, error=error))
    kept = record(one)
    assert (problems, kept["chosen"]) == ([], 1)
    diverged = kept["trials"][0]
    assert (diverged["outcome"], diverged["validation_loss"], diverged["error"]) == ("diverged", None, None)
    assert diverged["steps"] == 50


@pytest.mark.parametrize("codes", [{"trial0": 1, "trial1": 1}, {"trial1": BUSY}])
def test_where_nothing_can_be_chosen_the_earlier_file_stays(
    codes: dict[str, int], tmp_path: Path, launched: Any
) -> None:
    one = search(tmp_path, 2)
    one.tuned.parent.mkdir(parents=True)
    one.tuned.write_text("kept")
    problems, _ = launched(one, launcher=FakeLauncher(codes=codes))
    assert ("another process is running it" in problems[0]) == (BUSY in codes.values())
    assert problems[-1].endswith(f"so {one.tuned} was left as it is")
    assert [p.name for p in one.tuned.parent.iterdir()] == ["lstm.json"]
    assert one.tuned.read_text() == "kept"


def test_trials_resume_and_a_repeated_search_changes_nothing(
    tmp_path: Path, launched: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    one = search(tmp_path, 3)
    launched(one)
    before = one.tuned.read_bytes()
    problems, launcher = launched(one)
    assert (problems, launcher.ran) == ([], [])
    assert "finished already: 3 of 3 trials" in capsys.readouterr().out
    assert before == one.tuned.read_bytes()
    _, launcher = launched(search(tmp_path, 5))
    assert launcher.variants == ["trial3", "trial4"]


def test_an_unequal_number_of_trials_is_reported(tmp_path: Path, launched: Any) -> None:
    lstm, transformer = search(tmp_path, 2, "lstm"), search(tmp_path, 3, "transformer")
    launched(lstm, transformer)
    (sentence,) = unequal([lstm])
    assert sentence.startswith("copy: models differ in their number of trials (lstm 2, transformer 3)")
    launched(search(tmp_path, 3))
    assert unequal([lstm, transformer]) == []


def test_a_trial_is_the_published_run_shortened_and_without_tests(tmp_path: Path) -> None:
    (one,) = searches("long-range", "full", ["parity"], ["lstm"], 4, str(tmp_path), ["--trainer.devices=1"])
    (published,) = plan_tasks("long-range", "full", ["parity"], ["lstm"], [0], str(tmp_path), ["--trainer.devices=1"])
    trial = one.trials[2]
    assert trial.key.folder == tmp_path / "full-tuning" / "long-range" / "parity" / "lstm" / "trial2" / f"seed{SEED}"
    config, whole = (build_parser().parse_args(planned.arguments) for planned in (trial, published))
    assert (config.trainer.max_steps, config.trainer.validate_every, config.evaluate_tests) == (600, 60, False)
    curriculum = whole.data.init_args.curriculum_steps
    assert config.data.init_args.curriculum_steps == round(curriculum * 600 / whole.trainer.max_steps) > 0
    assert values_of(config) == points("long-range", 3)[2]
    for name in ("trainer.max_steps", "trainer.validate_every", "evaluate_tests", "data.init_args.curriculum_steps"):
        config[name] = whole[name]
    for part in ("data.init_args.seed", *(values.key for values in SPACES["long-range"].values())):
        config[part] = whole[part]
    assert (config.model, config.data, config.trainer) == (whole.model, whole.data, whole.trainer)


@pytest.mark.parametrize(
    ("max_steps", "steps", "every"),
    [(1, 1, 1), (3, 3, 1), (41, 40, 4), (100, 100, 10), (800, 600, 60), (4000, 1000, 100), (12345, 3080, 308)],
)
def test_the_last_step_of_a_trial_is_validated(max_steps: int, steps: int, every: int, tmp_path: Path) -> None:
    settings = [f"--trainer.max_steps={max_steps}"]
    (one,) = searches("long-range", "quick", ["copy"], ["lstm"], 1, str(tmp_path), settings)
    assert (one.steps, one.share) == (steps, steps / max_steps)
    assert f"--trainer.validate_every={every}" in one.shorter


def test_a_variant_has_trials_of_its_own_and_a_longer_run_of_the_same_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan(*given: Any) -> Iterator[Planned]:
        for planned in plan_tasks(*given):
            yield replace(planned, configs=(*planned.configs, tmp_path / "tuned" / "copy" / "lstm.json"))
            yield replace(planned, key=replace(planned.key, variant="hidden64"))
            yield replace(planned, key=replace(planned.key, variant="tenfold"))

    monkeypatch.setattr(module, "plan_tasks", plan)
    base, variant = searches("long-range", "quick", ["copy"], ["lstm"], 8, str(tmp_path), [])
    assert (base.label, variant.label) == ("copy lstm", "copy lstm-hidden64")
    assert (base.tuned.name, variant.tuned.name) == ("lstm.json", "lstm-hidden64.json")
    assert not {trial.key.folder for trial in base.trials} & {trial.key.folder for trial in variant.trials}
    assert not any("tuned" in path.parts for path in base.base.configs)


def test_translation_is_tuned_on_validation_bleu_with_a_quarter_of_the_budget(tmp_path: Path, here: Path) -> None:
    found = searches("bleu", "full", [], [], 8, str(tmp_path), [])
    names = ("lstm", "lstm-reversed", "bahdanau", "transformer", "transformer-decoder-only", "transformer-prefix")
    assert [one.label for one in found] == [f"multi30k-en-de {name}" for name in names]
    assert {(one.monitor, one.mode, one.steps) for one in found} == {("val/bleu", "max", 600)}
    assert found[0].command == "make tune SUITE=full EXPERIMENT=bleu MODELS=lstm TRIALS=8"
    assert found[0].tuned == here / "bleu/full/tuned/multi30k-en-de/lstm.json"
    config = build_parser().parse_args(found[3].trials[7].arguments)
    assert values_of(config, "bleu") == points("bleu", 8)[7]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"trials": 0}, ["TRIALS", "0"]),
        ({"models": "lstm-tenfold"}, ["MODELS", "'lstm-tenfold'", "values of lstm: name that"]),
        (
            {"suite": "full", "experiment": "language", "tasks": "shakespeare-half"},
            ["TASKS", "'shakespeare-half'", "values of shakespeare: name that"],
        ),
        ({"models": "nonsense"}, ["MODELS", "'nonsense'", "lstm"]),
        ({"tasks": "nonsense"}, ["TASKS", "'nonsense'", "copy"]),
        ({"tasks": "copy", "models": "lstm", "precision": "nonsense"}, ["precision", "nonsense", "bf16-mixed"]),
        ({"experiment": "bleu", "models": "rnn"}, ["MODELS", "'rnn'", "lstm"]),
        ({"experiment": "bleu", "tasks": "copy"}, ["TASKS", "'copy'", "EXPERIMENT=bleu"]),
    ],
)
def test_a_mistyped_setting_is_one_sentence_and_nothing_is_run(
    arguments: dict[str, Any],
    said: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(module, "run_all", lambda *_: pytest.fail("ran"))
    with pytest.raises(SystemExit) as stopped:
        main(**{"root": str(tmp_path / "runs"), **arguments})
    assert stopped.value.code == MISTAKE
    (sentence,) = capsys.readouterr().err.splitlines()
    assert all(word in sentence for word in ["error: ", *said])
    assert list(tmp_path.iterdir()) == []


def test_the_command_trains_and_the_published_run_reads_what_it_chose(
    tmp_path: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With real runs, in this process, and the launcher's view of which are finished."""

    def run_all(runs: list[Planned], limits: Limits) -> list[Ended]:
        for planned in runs:
            run.main(planned.arguments)
        return [Ended(planned, 0) for planned in runs]

    monkeypatch.setattr(module, "run_all", run_all)
    monkeypatch.setattr(module, "finished", finished)
    arguments = {"suite": "smoke", "tasks": "recall", "models": "lstm", "trials": 2, "root": str(tmp_path)}
    main(**arguments)
    monkeypatch.setattr(module, "run_all", lambda runs, _: [] if not runs else pytest.fail("ran again"))
    main(**arguments)
    (one,) = searches("long-range", "smoke", ["recall"], ["lstm"], 2, str(tmp_path), [])
    kept = record(one)
    assert [(row["outcome"], row["steps"], len(row["reports"])) for row in kept["trials"]] == [("finished", 4, 4)] * 2
    assert not list(one.trials[0].key.folder.glob("wandb*"))
    config = build_parser().parse_args(replace(one.base, configs=(*one.base.configs, one.tuned)).arguments)
    best = kept["trials"][kept["chosen"]]
    assert values_of(config) == best["values"]


def test_the_command_ends_with_1_if_a_trial_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "run_all", FakeLauncher(codes={"trial1": 1}))
    with pytest.raises(SystemExit) as stopped:
        main(tasks="copy", models="lstm gru", trials=2, root=str(tmp_path))
    assert stopped.value.code == 1
    assert capsys.readouterr().err.count("see ") == 2
