import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from experiments import suite
from experiments.launch import local as launch
from experiments.launch.exit_codes import BUSY
from experiments.planning import grid as plan
from experiments.planning.grid import Planned
from experiments.suite import main
from tests.support.readme import ROOT


def refused(capsys: pytest.CaptureFixture[str], experiment: str = "bleu", **arguments: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(experiment, **arguments)  # type: ignore[arg-type]
    assert stopped.value.code == 2  # a mistake: what failed ends with 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"seeds": "abc"}, ["SEEDS", "'abc'", "0 1 2"]),
        ({"seeds": "0 1.5"}, ["SEEDS", "'0 1.5'"]),
        ({"suite": "nonsense"}, ["SUITE", "'nonsense'", "quick", "full"]),
        ({"models": "nonsense"}, ["MODELS", "'nonsense'", "lstm", "bahdanau", "transformer"]),
        ({"models": "lstm common"}, ["MODELS", "'common'"]),
        ({"direction": "xx"}, ["DIRECTION", "'xx'", "en-de"]),
        ({"direction": "en-"}, ["DIRECTION", "'en-'", "en-de"]),
    ],
)
def test_what_a_user_mistypes_is_one_sentence_and_nothing_is_run(
    arguments: dict[str, str], said: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launch, "run_one", lambda *_: pytest.fail("ran"))
    message = refused(capsys, **arguments)
    assert all(word in message for word in said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"tasks": "recal"}, ["TASKS", "'recal'", "recall", "copy"]),
        ({"models": "lstm-huge"}, ["MODELS", "'lstm-huge'", "lstm", "transformer"]),
        ({"seeds": "-"}, ["SEEDS", "'-'"]),
        ({"jobs": "many"}, ["JOBS", "'many'"]),
        ({"jobs": "0"}, ["JOBS", "'0'"]),
    ],
)
def test_what_a_user_mistypes_about_long_range_is_one_sentence(
    arguments: dict[str, str], said: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launch, "run_one", lambda *_: pytest.fail("ran"))
    message = refused(capsys, "long-range", **arguments)
    assert all(word in message for word in said)


def test_a_suite_without_the_experiment_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plan, "read_suite", lambda _: {"speed": {}})
    assert "speed" in refused(capsys)


def test_a_failure_is_listed_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ran: list[str] = []

    def run(one: Planned, position: str, *_: object) -> int:
        print(position)
        ran.append(one.key.model)
        return int(one.key.model == "lstm")

    monkeypatch.setattr(launch, "run_one", run)
    with pytest.raises(SystemExit) as stopped:
        main("bleu", "smoke", models="lstm transformer", seeds="0 1", root=str(tmp_path))
    assert stopped.value.code == 1
    assert ran == ["lstm", "transformer", "lstm", "transformer"]
    said = capsys.readouterr()
    assert "2 of 4 runs failed" in said.err
    assert "make retry SUITE=smoke" in said.err
    assert str(tmp_path / "smoke" / "bleu" / "embedded-en-de" / "lstm" / "base" / "log-seed1.txt") in said.err
    assert "transformer" not in said.err
    assert "[4/4]" in said.out


def test_a_suite_that_went_well_ends_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(launch, "run_one", lambda *_: 0)
    main("bleu", "smoke", root=str(tmp_path))
    assert capsys.readouterr().err == ""


def test_finished_runs_are_counted_and_not_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ran: list[str] = []
    monkeypatch.setattr(suite, "finished", lambda arguments: "--run.model=lstm" in arguments)
    monkeypatch.setattr(launch, "run_one", lambda one, *_: ran.append(one.key.model) or 0)
    main("bleu", "smoke", root=str(tmp_path))
    assert sorted(ran) == ["bahdanau", "transformer"]
    assert "finished already: 1 of 3 bleu runs" in capsys.readouterr().out


def test_a_suite_announces_its_runs_and_those_left_before_it_runs_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    announced: list[dict[str, object]] = []
    path = tmp_path / "smoke" / "planned-bleu.json"
    monkeypatch.setattr(suite, "finished", lambda arguments: "--run.model=lstm" in arguments)
    monkeypatch.setattr(launch, "run_one", lambda *_: announced.append(json.loads(path.read_text())) or 0)
    begun = datetime.now(UTC).replace(microsecond=0)
    main("bleu", "smoke", seeds="1", root=str(tmp_path))
    first, second = announced
    assert first == second
    assert begun <= datetime.fromisoformat(str(first["started"])) <= datetime.now(UTC)
    folders = {model: f"smoke/bleu/embedded-en-de/{model}/base/seed1" for model in ("lstm", "bahdanau", "transformer")}
    assert first["runs"] == list(folders.values())
    assert first["left"] == [folders["bahdanau"], folders["transformer"]]
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # nothing temporary is left


def test_each_experiment_has_an_announcement_of_its_own_and_a_mistake_leaves_it_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launch, "run_one", lambda *_: 0)
    main("bleu", "smoke", models="lstm", root=str(tmp_path))
    main("long-range", "smoke", root=str(tmp_path))
    paths = [tmp_path / "smoke" / f"planned-{experiment}.json" for experiment in ("bleu", "long-range")]
    before = [path.read_text() for path in paths]
    assert [len(json.loads(text)["runs"]) for text in before] == [
        1,
        len(list(plan.plan_long_range("smoke", [], [], [], "", []))),
    ]
    refused(capsys, models="nonsense", suite="smoke", root=str(tmp_path))
    refused(capsys, jobs="many", suite="smoke", root=str(tmp_path))
    assert [path.read_text() for path in paths] == before


def test_runs_of_another_process_are_listed_and_are_no_failures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    codes = {"lstm": 0, "bahdanau": BUSY, "transformer": BUSY}
    monkeypatch.setattr(launch, "run_one", lambda one, *_: codes[one.key.model])
    with pytest.raises(SystemExit) as stopped:
        main("bleu", "smoke", root=str(tmp_path))
    assert stopped.value.code == BUSY
    said = capsys.readouterr().err
    assert "2 of 3 runs are being run by another process" in said
    assert "failed" not in said
    codes["lstm"] = 1
    with pytest.raises(SystemExit) as stopped:
        main("bleu", "smoke", root=str(tmp_path))
    assert stopped.value.code == 1


def test_two_invocations_at_once_make_each_run_once(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "experiments.suite", "bleu", "--suite", "smoke", "--models", "lstm transformer"]
    environment = {**os.environ, "WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    both = [
        subprocess.Popen(
            [*command, "--root", str(tmp_path)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for _ in range(2)
    ]
    said = [one.communicate(timeout=200)[0].decode() for one in both]
    assert {one.returncode for one in both} <= {0, BUSY}
    for model in ("lstm", "transformer"):
        (folder,) = (
            path for path in tmp_path.glob(f"smoke/bleu/*/{model}/base/*") if path.is_dir() and path.name[0] != "."
        )
        assert folder.name == "seed0"
        steps = [
            json.loads(line)["step"]
            for line in (folder / "metrics.jsonl").read_text().splitlines()
            if "train/loss" in line
        ]
        assert steps == sorted(set(steps))
        assert (folder / "result.json").exists()
        assert sum(text.count(f"{folder}: BLEU") for text in said) == 1
