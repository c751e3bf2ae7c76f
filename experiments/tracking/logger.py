"""Weights & Biases: a mirror of the local record that can never stop a run.

One W&B run for each run of the store, made by the process of rank 0. While a run trains, its metrics go there as
`train/...` and `val/...`, over steps, seconds and target tokens of training; when it is finished, the contents
of its folder follow (`experiments.tracking.publish`). Every failure is a line on the terminal.
"""

import contextlib
import json
import os
import sys
from collections.abc import Mapping
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, cast

import wandb
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from experiments.launch.provenance import git_state
from experiments.planning.yaml_files import read_yaml
from experiments.record.keys import HISTORY, KEY, RESULT, RunKey
from experiments.record.read import Stamp, read_history, read_json, read_result
from experiments.record.wandb_names import MODES, PROJECT, UNANSWERED, group, run_id, run_name
from experiments.record.write import write_atomically
from experiments.tracking.publish import model_is_wanted, send
from experiments.training.callbacks import Clock

Mode = Literal["online", "offline", "disabled"]  # as in MODES
MARK = "wandb.json"  # in the folder of a run: W&B has its result
ANSWER = 20.0  # seconds for W&B to answer when a run begins

UPLOAD = 120.0  # seconds for the rest of the uploads when a run ends; what is left then waits for `make sync`


class RunLogger(WandbLogger):
    """Lightning's logger without the one argument that wandb says has no effect; metrics carry time and tokens.

    Args:
        clock: Of the training.
        arguments: Those of Lightning's logger.
    """

    def __init__(self, clock: Clock, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.clock = clock
        self._wandb_init.pop("anonymous", None)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        when = {"train/seconds": self.clock.seconds, "train/target_tokens": int(self.clock.target_tokens)}
        super().log_metrics({**metrics, **when}, step)


@lru_cache
def decide_mode() -> Mode:
    """online, offline or disabled: WANDB_MODE if set, else online only if a login is there. Never asks, never waits."""
    asked = os.environ.get("WANDB_MODE")
    if not asked:
        os.environ.pop("WANDB_MODE", None)  # wandb itself fails on a variable that is set to nothing
        asked = "online" if wandb.login(prompt=False, verify=False) else "offline"
    if asked not in MODES:
        raise ValueError(f"WANDB_MODE is {asked!r}; choose one of {', '.join(MODES)}.")
    os.environ["WANDB_MODE"] = asked  # processes of other devices inherit it
    return cast(Mode, asked)


def wandb_logger(key: RunKey, config: dict[str, Any], clock: Clock) -> WandbLogger | None:
    """The W&B logger of a run, or None when W&B is off or does not answer.

    The run's id follows from its key, so that a resumed run continues in the same place.

    Args:
        key: Names the run.
        config: The part of its configuration that decides its numbers.
        clock: Of its training.
    """
    quiet()
    mode = decide_mode()
    model_is_wanted()  # a mistyped WANDB_LOG_MODEL ends the run before training and not after it
    if mode == "disabled":
        return None
    unanswered = Path(key.root, key.suite, UNANSWERED)
    if mode == "online" and unanswered.exists():
        os.environ["WANDB_MODE"] = mode = "offline"
    config = {**config, "git": git_state()}
    try:
        return new_logger(key, config, mode, clock)
    except Exception as error:
        print(
            f"W&B does not answer ({type(error).__name__}): this run and those after it are kept offline; `make sync` "
            "uploads them later.",
            file=sys.stderr,
        )
        with contextlib.suppress(OSError):
            unanswered.parent.mkdir(parents=True, exist_ok=True)
            unanswered.touch()
        wandb.teardown()
        os.environ["WANDB_MODE"] = "offline"
    try:
        return new_logger(key, config, "offline", clock)
    except Exception as error:
        print(f"W&B is off for this run ({type(error).__name__}: {error}).", file=sys.stderr)
        return None


def quiet() -> None:
    """No telemetry, and no messages of wandb on the terminal."""
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    os.environ.setdefault("WANDB_SILENT", "true")
    if not os.access(os.environ.get("HOME", ""), os.W_OK):  # W&B would say so at length
        for name in ("XDG_CACHE_HOME", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
            os.environ.setdefault(name, str(Path(".cache", "home").absolute()))


def new_logger(key: RunKey, config: Mapping[str, Any], mode: Mode, clock: Clock) -> RunLogger:
    key.folder.mkdir(parents=True, exist_ok=True)
    logger = RunLogger(
        clock,
        project=PROJECT,
        name=run_name(key.identity),
        id=run_id(key.identity),
        save_dir=str(key.folder),
        group=group(key.suite, key.experiment, key.task),
        job_type=key.model,
        tags=[key.suite, key.experiment, key.task, key.model, key.variant],
        settings=wandb.Settings(
            mode=mode,
            init_timeout=ANSWER,
            finish_timeout=UPLOAD,
            finish_timeout_raises=True,
            console="off",
            silent=True,
        ),
    )
    about = {**config, "run": key.identity, "command": key.command}
    logger.experiment.config.update(about, allow_val_change=True)
    return logger


def publish(logger: WandbLogger | None, key: RunKey) -> bool:
    """Send what a finished run's folder holds and end the W&B run; return whether W&B has taken all of it.

    Args:
        logger: From `wandb_logger`.
        key: Names the run; its result.json is written.
    """
    if logger is None:
        return False
    try:
        run = logger.experiment
        url = None if run.offline else run.url
        try:
            send(run, key.folder)
        finally:  # the next run of this process is another
            wandb.finish()
    except Exception as error:  # a mirror must never cost the run it mirrors
        print(
            f"W&B did not take the results ({type(error).__name__}); the local record is complete, `make sync` sends "
            "it later.",
            file=sys.stderr,
        )
        return False
    if url:
        write_atomically(key.folder / MARK, json.dumps({**read_json(key.folder / RESULT, Stamp), "url": url}) + "\n")
    return url is not None


def is_mirrored(folder: Path) -> bool:
    """Whether W&B has the record that a finished run's folder holds now."""
    try:
        return bool(read_json(folder / MARK, Stamp) == read_json(folder / RESULT, Stamp))
    except (FileNotFoundError, ValueError):  # a record that is not whole is sent again, and refused then
        return False


def publish_record(folder: Path) -> bool:
    """Publish a finished run of which W&B has no whole run: one that was not trained, or trained with W&B off.

    Args:
        folder: The run's, with its result.json.

    Returns:
        Whether W&B has taken all of it.
    """
    quiet()
    record = read_result(folder)
    named = {name: record[name] for name in (*KEY, "command")}  # type: ignore[literal-required]
    key = RunKey(**named, root=str(folder.parents[5]))
    history_is_there = any(folder.glob("wandb/run-*"))  # sent while it trained, before something went wrong
    clock = Clock()
    logger = new_logger(key, settings_of(folder, record), "online", clock)
    if not history_is_there:
        replay(logger, clock, folder / HISTORY)
    return publish(logger, key)


def settings_of(folder: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a finished run, and where it was measured."""
    file = folder / "config.yaml"
    trained = read_yaml(file) if file.exists() else {}
    return {**trained, **{name: record[name] for name in ("config_hash", "git", "versions", "machine", "held_equal")}}


def replay(logger: RunLogger, clock: Clock, history: Path) -> None:
    """Send the metrics of a training as they happened; none where nothing was trained."""
    recorded = read_history(history) if history.exists() else []
    for step, rows in groupby(recorded, key=lambda row: row["step"]):
        happened = list(rows)
        clock.seconds, clock.target_tokens = happened[-1]["seconds"], happened[-1]["target_tokens"]
        logger.log_metrics({row["metric"]: row["value"] for row in happened}, step - 1)  # Lightning counts from 0
