import sys
from pathlib import Path
from typing import Any

import pytest
import wandb
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from experiments.launch.exit_codes import MISTAKE
from experiments.planning.grid import EXPERIMENTS
from experiments.planning.parser import build_parser
from experiments.tuning import wandb_sweep as sweep
from experiments.tuning.space import OPTIMISATION, SPACES
from experiments.tuning.tune import searches
from experiments.tuning.wandb_sweep import definition, main
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


def test_a_sweep_of_several_models_is_one_sentence_and_nothing_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(wandb, "login", lambda **_: pytest.fail("asked"))
    with pytest.raises(SystemExit) as stopped:
        main(tasks="copy")
    assert stopped.value.code == MISTAKE
    (said,) = capsys.readouterr().err.splitlines()
    assert said == "error: a sweep tunes one model on one task, not 5: name one in TASKS and one in MODELS."


def test_without_a_login_one_line_says_what_to_do() -> None:
    with pytest.raises(SystemExit, match=r"^a sweep lives on W&B; log in first: .venv/bin/python -m wandb login, then"):
        main(tasks="copy", models="lstm")


def test_a_server_that_refuses_is_one_line(server: WandbServer) -> None:
    server.failing = 403
    with pytest.raises(SystemExit, match=r"^W&B did not take the sweep \("):
        main(tasks="copy", models="lstm")


def test_the_definition_is_that_of_tuning_and_an_agent_is_started(
    server: WandbServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(wandb, "agent", lambda identifier, **more: started.append((identifier, more)))
    main(tasks="copy", models="lstm", trials=3)
    (identifier,) = server.sweeps
    assert started == [(identifier, {"project": sweep.PROJECT, "count": 3})]
    assert f"wandb agent --project {sweep.PROJECT} {identifier}" in capsys.readouterr().out
    made = yaml.safe_load(server.sweeps[identifier])
    assert made == definition(*searches("long-range", "quick", ["copy"], ["lstm"], 3, "runs", []))
    assert server.unknown == []


def test_the_sweep_has_the_space_of_the_trials_and_the_keys_of_the_service() -> None:
    """The keys and types of the schema of `wandb/sweeps`, which forbids additional ones."""
    known = {"name": str, "project": str, "program": str, "method": str, "metric": dict, "run_cap": int}
    made = definition(*searches("long-range", "quick", ["copy"], ["lstm"], 8, "runs", []))
    assert set(made) == {*known, "parameters", "command"}
    assert all(isinstance(made[key], kind) for key, kind in known.items())
    assert made["method"] in ("bayes", "random", "grid")
    assert made["parameters"] == {
        values.key: {"distribution": "log_uniform_values", "min": values.low, "max": values.high}
        for values in SPACES["long-range"].values()
    }
    assert made["metric"] == {"name": "val/loss", "goal": "minimize"}
    assert made["run_cap"] == 8
    translation = definition(*searches("bleu", "quick", [], ["lstm"], 8, "runs", []))
    assert translation["metric"] == {"name": "val/bleu", "goal": "maximize"}
    dropout = translation["parameters"]["model.init_args.network.dropout"]
    assert dropout == {"distribution": "uniform", "min": 0.1, "max": 0.5}


def test_an_agent_starts_a_valid_run_in_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """wandb's own code fills in the macros; the shell's part is done by hand."""
    monkeypatch.chdir(EXPERIMENTS.parent)
    made = definition(*searches("long-range", "quick", ["copy"], ["lstm"], 8, "runs", []))
    command = create_sweep_command(made["command"])
    asked = {f"{OPTIMISATION}.learning_rate": {"value": 0.003}, f"{OPTIMISATION}.initialisation_scale": {"value": 1.5}}
    place = command.index("${args}")
    words = [*command[:place], *create_sweep_command_args({"args": asked})["args"]]
    assert words[:3] == ["${env}", "sh", "-c"]
    before, _, after = words[3].partition('"$@"')
    assert before.split() == ["exec", "python", "-m", "experiments.run"]
    arguments = [*words[5:], after.strip().replace('"', "").replace("$WANDB_RUN_ID", "abc123")]
    config = build_parser().parse_args(arguments)
    assert config.run.variant == "sweep-abc123"
    assert config.model.init_args.optimisation.learning_rate == 0.003
    assert config.model.init_args.optimisation.initialisation_scale == 1.5
    assert not config.evaluate_tests
    assert not any(Path(word).is_absolute() for word in words)


@pytest.mark.slow
def test_an_agent_runs_what_the_server_asks_for_with_this_python(
    tmp_path: Path, server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {
        "program": "p.py",
        "method": "random",
        "parameters": {"rate": {"values": [1, 2]}},
        "command": ["${env}", "sh", "-c", 'echo "$(command -v python) $1 $WANDB_RUN_ID" > ran', "sh", "${args}"],
    }
    monkeypatch.setattr(sweep, "definition", lambda _: made)
    server.commands = [[{"type": "run", "run_id": "r1", "program": "p.py", "args": {"rate": {"value": 2}}}]]
    main(tasks="copy", models="lstm", trials=1)
    assert (tmp_path / "ran").read_text().split() == [str(Path(sys.executable).parent / "python"), "--rate=2", "r1"]
