"""Tuning by Weights & Biases: register the search of one model on one task as a sweep, and start an agent.

    python -m experiments.tuning.wandb_sweep --suite full --tasks copy --models lstm --trials 8

The space and the command of a trial are those of `experiments.tuning.tune`; W&B proposes the values. Nothing is written
to the tuned configurations.
"""

import os
import sys
from pathlib import Path
from typing import Any, Literal

import wandb

from experiments.launch import command_line
from experiments.launch.exit_codes import mistake
from experiments.planning.grid import EXPERIMENTS
from experiments.record.keys import TUNING
from experiments.record.wandb_names import PROJECT
from experiments.tuning.tune import Search, searches


def main(
    experiment: Literal["long-range", "bleu", "language"] = "long-range",
    suite: str = "quick",
    tasks: str = "",
    models: str = "",
    trials: int = 4,
    devices: str = "",
    precision: str = "",
    root: str = "runs",
) -> None:
    """Register a sweep and run its trials here; further machines join with the command that is printed.

    Args:
        experiment: Whose model.
        suite: Which grid.
        tasks: One task of long-range or of language.
        models: One model.
        trials: Runs after which the sweep ends.
        devices: Devices of a run.
        precision: auto, 32-true or bf16-mixed.
        root: Folder of the run store.
    """
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    given = {"--trainer.devices": devices, "--trainer.precision": precision}
    settings = [f"{option}={value}" for option, value in given.items() if value]
    try:
        found = searches(experiment, suite, tasks.split(), models.split(), trials, root, settings)
        if len(found) != 1:
            raise ValueError(
                f"a sweep tunes one model on one task, not {len(found)}: name one in TASKS and one in MODELS."
            )
    except ValueError as error:
        raise mistake(str(error)) from None
    if not log_in():
        raise SystemExit("a sweep lives on W&B; log in first: .venv/bin/python -m wandb login, then the same command")
    try:
        identifier = wandb.sweep(definition(found[0]), project=PROJECT)
    except Exception as error:  # of the network, the server or the login
        raise SystemExit(f"W&B did not take the sweep ({type(error).__name__}: {error})") from None
    print(
        f"further agents, on any machine: .venv/bin/python -m wandb agent --project {PROJECT} {identifier}", flush=True
    )
    # The trials' command is `python`, and so that of this environment.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    files = Path(root, f"{suite}{TUNING}").absolute()
    files.mkdir(parents=True, exist_ok=True)
    os.environ["WANDB_DIR"] = str(files)  # the agent hands values over in files
    wandb.agent(identifier, project=PROJECT, count=trials)


def definition(search: Search) -> dict[str, Any]:
    """A search as a Weights & Biases sweep, whose trials are runs of the same command.

    Every run gets a folder of its own from the id that the agent gives it, so that several agents can work at once.
    It takes a shell to read that id: an agent fills in its macros before it sets the variable.
    """
    trial = search.trial("sweep", {})
    words = [os.path.relpath(word, EXPERIMENTS.parent) if os.path.isabs(word) else word for word in trial.arguments]
    script = 'exec python -m experiments.run "$@" --run.variant="sweep-$WANDB_RUN_ID"'
    return {
        "name": f"{trial.key.task} {trial.key.model} ({trial.key.suite})",
        "project": PROJECT,
        "program": "experiments/run.py",
        "method": "bayes",
        "metric": {"name": search.monitor, "goal": "minimize" if search.mode == "min" else "maximize"},
        "run_cap": search.number,
        "parameters": {
            values.key: {
                "distribution": "log_uniform_values" if values.distribution == "log-uniform" else "uniform",
                "min": values.low,
                "max": values.high,
            }
            for values in search.space.values()
        },
        "command": ["${env}", "sh", "-c", script, "sh", *words, "${args}"],
    }


def log_in() -> bool:
    """Whether W&B can be used; asks nothing. A sweep needs the server, so nothing else than online makes sense."""
    os.environ["WANDB_MODE"] = "online"
    return bool(wandb.login(prompt=False, verify=False))


if __name__ == "__main__":
    command_line.run(main)
