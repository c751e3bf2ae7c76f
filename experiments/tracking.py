"""Weights & Biases: a mirror of the local record that can never stop a run."""

import hashlib
import json
import os
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast, get_args

import wandb
from lightning.pytorch.loggers import WandbLogger

from experiments.store import Measurement, RunKey

TABLE_ROWS = 50
CURVES = ("token_accuracy", "exact_match")
Mode = Literal["online", "offline", "disabled"]
PROJECT = os.environ.get("WANDB_PROJECT", "recurrence-vs-attention")


class RunLogger(WandbLogger):
    """Lightning's logger without the one argument that wandb says has no effect."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._wandb_init.pop("anonymous", None)


@lru_cache
def decide_mode() -> Mode:
    """online, offline or disabled: WANDB_MODE if set, else online only if a login is there. Never asks, never waits."""
    asked = os.environ.get("WANDB_MODE")
    if not asked:
        os.environ.pop("WANDB_MODE", None)  # wandb itself fails on a variable that is set to nothing
        asked = "online" if wandb.login(prompt=False, verify=False) else "offline"
    if asked not in get_args(Mode):
        raise ValueError(f"WANDB_MODE is {asked!r}; choose one of {', '.join(get_args(Mode))}.")
    os.environ["WANDB_MODE"] = asked  # processes of other devices inherit it
    return cast(Mode, asked)


def wandb_logger(key: RunKey, config: dict[str, Any]) -> WandbLogger | None:
    """The W&B logger of a run, or None when W&B is off or does not answer.

    The run's id follows from its key, so that a resumed run goes on in the same place.
    """
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    os.environ.setdefault("WANDB_SILENT", "true")
    mode = decide_mode()
    if mode == "disabled":
        return None
    try:
        return _logger(key, config, mode)
    except Exception as error:
        print(
            f"W&B does not answer ({type(error).__name__}): this run is kept offline; `make sync` uploads it later.",
            file=sys.stderr,
        )
        wandb.teardown()
        os.environ["WANDB_MODE"] = "offline"
    try:
        return _logger(key, config, "offline")
    except Exception as error:
        print(f"W&B is off for this run ({type(error).__name__}: {error}).", file=sys.stderr)
        return None


def _logger(key: RunKey, config: dict[str, Any], mode: Mode) -> WandbLogger:
    name = "/".join(str(part) for part in key.identity.values())
    key.folder.mkdir(parents=True, exist_ok=True)
    logger = RunLogger(
        project=PROJECT,
        name=name,
        id=hashlib.sha256(name.encode()).hexdigest()[:12],
        save_dir=str(key.folder),
        group=f"{key.suite}/{key.experiment}/{key.task}",
        job_type=key.model,
        tags=[key.suite, key.experiment, key.task, key.model, key.variant],
        settings=wandb.Settings(mode=mode, init_timeout=30, console="off", silent=True),
    )
    logger.experiment.config.update({"run": key.identity, **config}, allow_val_change=True)
    return logger


def publish(logger: WandbLogger | None, measurements: Iterable[Measurement], hypotheses: Path | None) -> None:
    """Send a finished run's final numbers and some of its translations, and end the W&B run.

    Args:
        logger: From `wandb_logger`.
        measurements: Those of result.json; single numbers become summary values.
        hypotheses: A file of the run's `hypotheses` folder; none where nothing was translated.
    """
    if logger is None:
        return
    try:
        run = logger.experiment
        for m in measurements:
            if m.x_name in ("", "test_set"):
                run.summary["/".join(filter(None, ("final", m.metric, str(m.x or ""))))] = m.value
            elif isinstance(m.x, int | float) and m.metric in CURVES:
                run.summary[f"{m.metric}/{m.x_name}/{m.x}"] = m.value
        if hypotheses is not None:
            columns: list[str | int] = ["id", "source", "reference", "hypothesis", "score"]
            lines = hypotheses.read_text(encoding="utf-8").split("\n")[:TABLE_ROWS]
            rows: list[Any] = [[json.loads(line)[column] for column in columns] for line in lines if line]
            run.log({"translations": wandb.Table(columns=columns, data=rows)})
        wandb.finish()
    except Exception as error:  # a mirror must never cost the run it mirrors
        print(f"W&B did not take the results ({type(error).__name__}); the local record is complete.", file=sys.stderr)
