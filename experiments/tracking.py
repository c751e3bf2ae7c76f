"""Weights & Biases: a mirror of the local record that can never stop a run."""

import hashlib
import os
import sys
from functools import lru_cache
from typing import Any

import wandb
from lightning.pytorch.loggers import WandbLogger

from experiments.store import RunKey

PROJECT = os.environ.get("WANDB_PROJECT", "recurrence-vs-attention")


class RunLogger(WandbLogger):
    """Lightning's logger without the one argument that wandb says has no effect."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._wandb_init.pop("anonymous", None)


@lru_cache
def decide_mode() -> str:
    """online, offline or disabled: WANDB_MODE if set, else online only if a login is there. Never asks, never waits."""
    mode = os.environ.get("WANDB_MODE", "")
    if mode in ("online", "offline", "disabled", "shared", "dryrun"):
        return mode
    os.environ["WANDB_MODE"] = "online" if wandb.login(prompt=False, verify=False) else "offline"
    return os.environ["WANDB_MODE"]


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
        return _logger(key, config)
    except Exception as error:
        print(
            f"W&B does not answer ({type(error).__name__}): this run is kept offline; `make sync` uploads it later.",
            file=sys.stderr,
        )
        wandb.teardown()
        os.environ["WANDB_MODE"] = "offline"
    try:
        return _logger(key, config)
    except Exception as error:
        print(f"W&B is off for this run ({type(error).__name__}: {error}).", file=sys.stderr)
        return None


def _logger(key: RunKey, config: dict[str, Any]) -> WandbLogger:
    name = "/".join(str(part) for part in key.identity.values())
    logger = RunLogger(
        project=PROJECT,
        name=name,
        id=hashlib.sha256(name.encode()).hexdigest()[:12],
        save_dir=str(key.folder),
        group=f"{key.suite}/{key.experiment}/{key.task}",
        job_type=key.model,
        tags=[key.suite, key.experiment, key.task, key.model, key.variant],
        settings=wandb.Settings(init_timeout=30, console="off"),
    )
    logger.experiment.config.update({"run": key.identity, **config}, allow_val_change=True)
    return logger
