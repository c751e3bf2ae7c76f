"""Upload to Weights & Biases what is not there yet: runs kept offline, and finished runs that never had a W&B run.

python -m experiments.tracking.sync
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import wandb

from experiments.launch import command_line
from experiments.record.keys import TUNING
from experiments.tracking.logger import is_mirrored, publish_record, quiet

STILL = 60.0  # seconds without a change after which an unfinished run's log is no longer being written
PATIENCE = 1800  # seconds for one upload

Upload = Callable[[Path], bool]  # folder -> whether W&B has it now


def main(root: str = "runs") -> None:
    """Upload every run once, the oldest first; a second call finds nothing to do, and an interrupted one continues.

    Args:
        root: Folder of the run store.
    """
    offline = [(folder, upload) for folder in offline_runs(Path(root)) if not is_synced(folder)]
    finished = [(folder, publish_record) for folder in records(Path(root)) if not is_mirrored(folder)]
    waiting: list[tuple[Path, Upload]] = [*offline, *finished]
    if not waiting:
        print(f"nothing to upload under {root}")
        return
    quiet()
    os.environ["WANDB_MODE"] = "online"  # who calls this wants it, whatever the runs were told
    check_login(len(waiting))
    try:
        failed = upload_all(waiting, Path(root))
    except KeyboardInterrupt:
        print("\ninterrupted; the same command continues from here", file=sys.stderr)
        raise SystemExit(130) from None
    print(f"uploaded {len(waiting) - len(failed)} of {len(waiting)} runs and parts of runs")
    if failed:
        raise SystemExit("not uploaded, try again later: " + ", ".join(map(str, failed)))


def check_login(waiting: int) -> None:
    try:
        logged_in = wandb.login(prompt=False, verify=True)
    except wandb.Error as error:
        raise SystemExit(f"W&B does not take the login, nothing was uploaded: {first_line(error)}") from None
    if not logged_in:
        raise SystemExit(
            f"{waiting} runs or parts of runs wait; log in first: .venv/bin/python -m wandb login, then make sync"
        )


def first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def upload_all(waiting: list[tuple[Path, Upload]], root: Path) -> list[Path]:
    """Upload one after another, a line each; return those that W&B did not take."""
    began, failed = time.monotonic(), []
    for number, (folder, send) in enumerate(waiting, 1):
        try:
            done, why = send(folder), ""
        except (wandb.Error, OSError, ValueError) as error:
            done, why = False, f": {first_line(error)}"
        if not done:
            failed.append(folder)
        left = (time.monotonic() - began) / number * (len(waiting) - number)
        outcome = "uploaded" if done else f"not uploaded{why}"
        remaining = f"  about {left / 60:.0f} min left" if number < len(waiting) else ""
        print(f"[{number}/{len(waiting)}] {folder.relative_to(root)}  {outcome}{remaining}", flush=True)
    return failed


def offline_runs(root: Path) -> list[Path]:
    """Offline runs of the store, the oldest first: a resumed run has two, and W&B needs them in order.

    Left out are runs that another configuration has replaced, whose id the newer run has, and what is being written.
    """
    folders = root.glob("*/*/*/*/*/seed*/wandb/offline-run-*")
    return sorted((f for f in folders if not is_being_written(f)), key=lambda folder: folder.name)


def is_being_written(folder: Path) -> bool:
    if (folder.parents[1] / "result.json").exists():
        return False
    return any(time.time() - file.stat().st_mtime < STILL for file in folder.glob("*.wandb"))


def records(root: Path) -> list[Path]:
    """Folders of finished runs that have no offline run, the oldest first; trials of tuning are no dashboard."""
    files = root.glob("*/*/*/*/*/seed*/result.json")
    wanted = [file for file in files if not file.relative_to(root).parts[0].endswith(TUNING)]
    folders = [file.parent for file in sorted(wanted, key=lambda file: file.stat().st_mtime)]
    return [folder for folder in folders if not any(folder.glob("wandb/offline-run-*"))]


def is_synced(folder: Path) -> bool:
    """wandb marks what it has uploaded."""
    return any(folder.glob("*.wandb.synced"))


def upload(folder: Path) -> bool:
    """Let wandb upload an offline run; it says in its own words why it could not."""
    command = [sys.executable, "-m", "wandb", "sync", str(folder)]
    try:
        said = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env={**os.environ, "WANDB_DIR": str(folder.parents[1])},  # where it writes a log of its own
        )
    except subprocess.TimeoutExpired:
        return False
    if not is_synced(folder):
        print((said.stdout + said.stderr).strip(), file=sys.stderr)
    return is_synced(folder)


if __name__ == "__main__":
    command_line.run(main)
