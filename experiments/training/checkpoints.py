"""Checkpoints: the best on validation and the last, whole or not there, of nothing but tensors and plain values."""

import io
import lzma
import math
import pickle
import sys
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor

from experiments.record.write import write_atomically

BEST, LAST = "best.ckpt", "last.ckpt"
LOSS = "val/loss"  # decides between checkpoints that the monitored metric finds equal, such as two of BLEU 0

# What reading a broken archive raises; OSError where it points to a place before the beginning of the file.
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    RuntimeError,
    EOFError,
    ValueError,
    OSError,
)


class BrokenCheckpoint(ValueError):
    """A file is not a whole checkpoint."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is not a whole checkpoint: run its target again.")


class AtomicCheckpoints(TorchCheckpointIO):
    """Writes next to the file it replaces; Lightning's own way copies it from the system's temporary folder."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_atomically(Path(path), content.getbuffer())


def best_and_last(folder: Path, monitor: str, mode: Literal["min", "max"]) -> list[Callback]:
    """Keep the best checkpoint on validation, and the last for resuming, also when interrupted.

    One callback each: a single one would put the interrupted weights over the best, and renew the last only when
    there is a new best.
    """
    common: dict[str, Any] = {"dirpath": folder, "enable_version_counter": False}
    best = BestCheckpoint(filename=Path(BEST).stem, monitor=monitor, mode=mode, **common)
    return [best, LastCheckpoint(filename=Path(LAST).stem, save_on_exception=True, **common)]


class BestCheckpoint(ModelCheckpoint):
    """That of the best monitored metric, and among equals that of the least loss."""

    loss = math.inf  # of the checkpoint kept

    def check_monitor_top_k(self, trainer: L.Trainer, current: Tensor | None = None) -> bool:
        loss = float(trainer.callback_metrics[LOSS])
        tied = current is not None and current == self.best_model_score and loss < self.loss
        better = bool(tied) or super().check_monitor_top_k(trainer, current)
        if better:
            self.loss = loss
        return better

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "loss": self.loss}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.loss = state_dict["loss"]


class LastCheckpoint(ModelCheckpoint):
    """Saved at each validation and, when training is terminated, after the step that is being taken.

    Other exceptions come in the middle of a step, and in a validation the module holds the averaged weights: neither
    state can be resumed from.
    """

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        if isinstance(exception, SIGTERMException) and not trainer.validating:
            super().on_exception(trainer, pl_module, exception)


class StopEarly(EarlyStopping):
    """Stops where validation has not improved for `patience` times, also when resumed after that: nothing is added."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.wait_count >= self.patience:
            trainer.should_stop = True


def read_checkpoint(path: Path, model_class: str) -> dict[str, Any]:
    """The content of a checkpoint.

    Raises:
        BrokenCheckpoint: The file is not whole.
        ValueError: It is of another model, or holds more than tensors and plain values.
    """
    if not is_whole(path):
        raise BrokenCheckpoint(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} holds more than tensors and plain values, so it is not loaded: it could run any program. "
            "No run of ours wrote it; remove it."
        ) from error
    except (RuntimeError, EOFError) as error:
        raise BrokenCheckpoint(path) from error
    saved = content.get("model_class") if isinstance(content, dict) else None
    if saved != model_class:
        raise ValueError(f"{path} is a checkpoint of {saved}, not of {model_class}: remove it or its folder.")
    return content


def is_whole(path: Path) -> bool:
    """Whether a file is the archive that torch writes, with the content it was written with, by its checksums."""
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return archive.testzip() is None
        except UNREADABLE:
            return False


def resume_from(folder: Path, model_class: str) -> Path | None:
    """The checkpoint that training resumes from: the last, else the best, else none.

    A file that is not whole is renamed, and training resumes from what is left: it ends the same, only later.

    Raises:
        ValueError: A checkpoint is of another model, or holds more than tensors and plain values.
    """
    last, best = (whole(folder / name, model_class) for name in (LAST, BEST))
    if last and (best or not validated(last)):
        return folder / LAST
    if last:  # resuming from it could end without a best one
        print(f"{folder / BEST} is gone, although {LAST} followed it: training starts again.", file=sys.stderr)
    return folder / BEST if best else None


def whole(path: Path, model_class: str) -> dict[str, Any] | None:
    """The content of a checkpoint; None if there is none, or if it is not whole, and was renamed."""
    if not path.exists():
        return None
    try:
        return read_checkpoint(path, model_class)
    except BrokenCheckpoint:
        broken = path.with_name(f"{path.name}.broken")
        path.replace(broken)
        print(f"{path} is not a whole checkpoint: it is now {broken.name}", file=sys.stderr)
        return None


def validated(content: Mapping[str, Any]) -> bool:
    """Whether a best checkpoint had been saved when this one was."""
    return any(state.get("best_model_score") is not None for state in content["callbacks"].values())
