"""Upload what Weights & Biases could not take when it happened.

python -m experiments.sync
"""

import subprocess
import sys
from pathlib import Path

import wandb
from jsonargparse import auto_cli


def main(root: str = "runs") -> None:
    """Upload every offline run once; a second call finds nothing to do.

    Args:
        root: Folder of the run store.
    """
    waiting = [folder for folder in sorted(Path(root).glob("**/wandb/offline-run-*")) if not is_synced(folder)]
    if not waiting:
        print(f"nothing to upload under {root}")
        return
    if not wandb.login(prompt=False, verify=False):
        raise SystemExit(f"{len(waiting)} runs wait; log in first: .venv/bin/wandb login, then make sync")
    failed = [folder for folder in waiting if upload(folder) != 0]
    print(f"uploaded {len(waiting) - len(failed)} of {len(waiting)} runs")
    if failed:
        raise SystemExit("not uploaded, try again later: " + ", ".join(map(str, failed)))


def is_synced(folder: Path) -> bool:
    """wandb marks what it has uploaded."""
    return any(folder.glob("*.wandb.synced"))


def upload(folder: Path) -> int:
    return subprocess.run([sys.executable, "-m", "wandb", "sync", str(folder)], check=False).returncode


if __name__ == "__main__":
    auto_cli(main)
