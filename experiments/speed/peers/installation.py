"""The peers' environment: JoeyNMT and transformers in front of our packages, so that all compute with one torch."""

import subprocess
import sys
import sysconfig
from pathlib import Path

from experiments.launch import receipts
from experiments.record.write import write_atomically

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
CHECK = "import joeynmt.training, torch; from transformers import GPT2LMHeadModel"
ENVIRONMENT = Path(".venv-peers")


class CannotInstall(Exception):
    """The environment could not be made; the message is the reason in one line."""


def build_environment(folder: Path, packages: str = sysconfig.get_path("purelib")) -> Path:
    """Make the environment once; further calls find it.

    Args:
        folder: Of the environment.
        packages: Folder of the installed packages, torch among them, that both share.

    Returns:
        Its Python interpreter.

    Raises:
        CannotInstall: a package cannot be had, or a peer does not start with what was installed.
    """
    python = folder / "bin" / "python"
    wanted = receipts.of(sys.version, packages, REQUIREMENTS)
    marker = folder / "installed"
    if marker.exists() and marker.read_text() == wanted:
        return python
    print(f"installing JoeyNMT and transformers into {folder}, once", flush=True)
    call([sys.executable, "-m", "venv", "--clear", str(folder)])
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    call([*pip, "--no-deps", "--requirement", str(REQUIREMENTS)])
    own = subprocess.check_output([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True)
    # After pip has run, lest it takes the shared packages for installed ones.
    Path(own.strip(), "shared.pth").write_text(packages + "\n")
    call([str(python), "-W", "ignore", "-c", CHECK])
    write_atomically(marker, wanted)
    return python


def call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("WARNING")]
        raise CannotInstall(said[-1].strip() if said else f"{command[0]} ended with code {done.returncode}")
