"""Where a run's numbers come from: the commit of the code, the versions of its libraries, the machine, the time."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from experiments.launch.receipts import CODE, of_proc

ROOT = Path(__file__).parents[2]
THIS = str(Path(__file__).relative_to(ROOT))
NEW = ("ls-files", "--others", "--exclude-standard", "--", *(f"{top}/*.py" for top in CODE))
STATUS = ("status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)results")
PACKAGES = ("torch", "lightning", "sacrebleu", "sacremoses", "sentencepiece", "torchtext", "wandb", "numpy")


def provenance(started: datetime) -> dict[str, Any]:
    """The facts of a record that do not follow from its configuration, for a run that finishes now."""
    return {
        "git": git_state(),
        "versions": versions(),
        "machine": machine(),
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def git_state() -> dict[str, Any]:
    """Commit of the running code, and whether it was changed since; None where the code is no repository of its own.

    Reports in results/ are rewritten by every suite and run nothing, so they make no difference; new modules do.
    """

    def git(*words: str) -> str:
        # named, the repository is neither an enclosing one nor that of a hook which runs this
        command = ["git", f"--git-dir={ROOT / '.git'}", f"--work-tree={ROOT}", *words]
        outside = {name: value for name, value in os.environ.items() if name != "GIT_INDEX_FILE"}
        done = subprocess.run(command, cwd=ROOT, env=outside, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", THIS)  # the project was copied into the folder of another repository
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git(*STATUS) or git(*NEW))}
    except (FileNotFoundError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": False}


def versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def machine() -> dict[str, Any]:
    """The hardware that the numbers were measured on."""
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": cpu_facts().get("model name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(memory, 1),
        "gpus": gpus,
        "platform": platform.platform(),
    }


def cpu_facts() -> dict[str, str]:
    """What Linux says of the first processor, by name."""
    fields = (line.split(":", 1) for line in reversed(of_proc("cpuinfo")) if ":" in line)
    return {name.strip(): value.strip() for name, value in fields}
