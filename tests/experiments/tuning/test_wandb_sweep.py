import sys
from pathlib import Path
from typing import Any

import pytest
import wandb
import yaml

from experiments.tuning import wandb_sweep as sweep
from experiments.tuning.space import SPACE
from experiments.tuning.tune import main as tune
from experiments.tuning.wandb_sweep import main
from tests.support.wandb_server import WandbServer

# wandb.sweep of wandb 0.31 calls a function that wandb itself has deprecated
pytestmark = pytest.mark.filterwarnings("ignore:Read the .app_url. setting:DeprecationWarning")


@pytest.fixture(autouse=True)
def no_agents_settings(nobody_logged_in: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_DIR", "WANDB_PROJECT", "WANDB_SWEEP_ID", "WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH"):
        monkeypatch.setenv(name, "")  # wandb's agent sets them for its children; here it is undone
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"trials": 0}, "TRIALS is 0; it must be at least 1"),
        ({"tasks": "copy"}, "one model on one task, not 5: name one in TASKS and one in MODELS"),
        ({"tasks": "nonsense", "models": "lstm"}, "'nonsense'"),
    ],
)
def test_what_a_user_mistypes_is_one_sentence_and_nothing_is_asked(
    arguments: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wandb, "login", lambda **_: pytest.fail("asked"))
    with pytest.raises(SystemExit) as stopped:
        main(**arguments)
    assert str(stopped.value.code).startswith("error: ")
    assert said in str(stopped.value.code)


def test_without_a_login_one_line_says_what_to_do() -> None:
    with pytest.raises(SystemExit, match=r"^a sweep lives on W&B; log in first: .venv/bin/wandb login, then"):
        main(tasks="copy", models="lstm")


def test_a_server_that_refuses_is_one_line(server: WandbServer) -> None:
    server.failing = 403
    with pytest.raises(SystemExit, match=r"^W&B did not take the sweep \("):
        main(tasks="copy", models="lstm")


def test_the_definition_is_that_of_tuning_and_an_agent_is_started(
    tmp_path: Path, server: WandbServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(wandb, "agent", lambda identifier, **more: started.append((identifier, more)))
    main(tasks="copy", models="lstm", trials=3)
    (identifier,) = server.sweeps
    assert started == [(identifier, {"project": sweep.PROJECT, "count": 3})]
    assert f"wandb agent --project {sweep.PROJECT} {identifier}" in capsys.readouterr().out
    tune("quick", "copy", "lstm", 3, sweep=str(tmp_path / "sweep.yaml"))
    written = yaml.safe_load((tmp_path / "sweep.yaml").read_text())
    assert yaml.safe_load(server.sweeps[identifier]) == written
    assert len(written["parameters"]) == len(SPACE)
    assert server.unknown == []


@pytest.mark.slow
def test_an_agent_runs_what_the_server_asks_for_with_this_python(
    tmp_path: Path, server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    definition = {
        "program": "p.py",
        "method": "random",
        "parameters": {"rate": {"values": [1, 2]}},
        "command": ["${env}", "sh", "-c", 'echo "$(command -v python) $1 $WANDB_RUN_ID" > ran', "sh", "${args}"],
    }
    monkeypatch.setattr(sweep, "sweep_definition", lambda *_: definition)
    server.commands = [[{"type": "run", "run_id": "r1", "program": "p.py", "args": {"rate": {"value": 2}}}]]
    main(tasks="copy", models="lstm", trials=1)
    assert (tmp_path / "ran").read_text().split() == [str(Path(sys.executable).parent / "python"), "--rate=2", "r1"]
