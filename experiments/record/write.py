"""The run store: one run, one folder, one record. A run is finished if and only if its result.json is there."""

import hashlib
import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

STATUS = ("status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)results")
HALF = ".half"  # ends the name of a file that is being written
PACKAGES = ("torch", "lightning", "sacrebleu", "sacremoses", "sentencepiece", "torchtext", "wandb", "numpy")


@dataclass(frozen=True)
class RunKey:
    """What names a run: nothing else may distinguish two runs of a suite.

    Args:
        suite: Grid the run belongs to.
        experiment: Question asked: bleu.
        task: Data it is asked on.
        model: Model it is asked of.
        variant: Variant of the model, base unless stated.
        seed: Seed of weights, dropout and data order.
        root: Folder of all suites.
        command: What a user types to make this run again.
    """

    suite: str
    experiment: str
    task: str
    model: str
    variant: str = "base"
    seed: int = 0
    root: str = "runs"
    command: str = ""

    @property
    def folder(self) -> Path:
        parts = (self.suite, self.experiment, self.task, self.model, self.variant, f"seed{self.seed}")
        return Path(self.root, *parts)

    @property
    def log(self) -> Path:
        """What the run said; beside the folder, because a changed configuration moves the folder aside."""
        return self.folder.with_name(f"log-{self.folder.name}.txt")

    @property
    def identity(self) -> dict[str, Any]:
        """The key columns of every measurement."""
        return {name: value for name, value in asdict(self).items() if name not in ("root", "command")}


@dataclass(frozen=True)
class Measurement:
    """One number: `value` of `metric` at `x`, from `n` examples."""

    metric: str
    value: float
    unit: str
    n: int
    x_name: str = ""
    x: str | float | None = None


def config_hash(config: Mapping[str, Any]) -> str:
    """A fingerprint of everything that can change a run's numbers."""
    return hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()[:16]


def digest(measurements: Sequence[Mapping[str, Any]]) -> str:
    """A fingerprint of the numbers themselves, by which a reader notices one that was changed."""
    return hashlib.sha256(json.dumps(measurements, sort_keys=True).encode()).hexdigest()


def is_finished(folder: Path, expected_hash: str) -> bool:
    """Whether a folder holds the result of a run with this configuration."""
    try:
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return False
    return isinstance(result, dict) and result.get("config_hash") == expected_hash


def write_atomically(path: Path, content: str | bytes | memoryview) -> None:
    """Write a whole file or leave the old one: readers never see half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=HALF)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def remove_halves(folder: Path) -> None:
    """Remove what processes that were killed while they wrote left in a folder; nobody may be writing there."""
    for path in folder.rglob(f".*{HALF}"):
        path.unlink()


def write_result(
    key: RunKey,
    config: Mapping[str, Any],
    measurements: Iterable[Measurement],
    held_equal: Mapping[str, Any],
    signatures: Mapping[str, str],
    times: Mapping[str, str],
) -> None:
    """Record a finished run; an earlier failure is then history."""
    rows = [asdict(m) for m in measurements]
    record = {
        **key.identity,
        "config_hash": config_hash(config),
        "command": key.command,
        "git": git_state(),
        "versions": versions(),
        "machine": machine(),
        **times,
        "model_settings": config.get("model", {}),
        "held_equal": dict(held_equal),
        "signatures": dict(signatures),
        "measurements": rows,
        "digest": digest(rows),
    }
    write_atomically(key.folder / "result.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    (key.folder / "failure.json").unlink(missing_ok=True)


def write_failure(key: RunKey, error: str, trace: str, arguments: Sequence[str] = ()) -> None:
    """Record why a run did not finish.

    Args:
        key: Names the run.
        error: What went wrong, in a line.
        trace: Where, as Python tells it, or the last that the run said.
        arguments: What `experiments.run` was given, by which the run can be tried again.
    """
    record = {
        **key.identity,
        "error": error,
        "traceback": trace,
        "log": str(key.log),
        "command": key.command,
        "arguments": list(arguments),
    }
    write_atomically(key.folder / "failure.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line."""
    write_atomically(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def git_state() -> dict[str, Any]:
    """Commit of the code that runs, and whether it was changed since; None where there is no repository.

    Reports in results/ are rewritten by every suite and run nothing, so they make no difference.
    """

    def git(*words: str) -> str:
        here = Path(__file__).parent
        return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git(*STATUS))}
    except (FileNotFoundError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": False}


def versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(memory, 1),
        "gpus": gpus,
        "platform": platform.platform(),
    }


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().split("\n"):
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
