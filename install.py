"""Install the locked packages into .venv: what `make setup` runs. It needs the standard library alone."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from threading import Thread
from time import sleep
from urllib.request import Request, urlopen

LOCK = Path("requirements.lock")
PYTHON = Path(".venv/bin/python")
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
PATIENCE = 8  # seconds for the index to answer
EVERY = 20  # packages between two lines
LARGE = re.compile(r"Downloading \S*?([\w.]+)-\d\S* \((\d{2,}(?:\.\d+)? MB|[\d.]+ GB)\)")


def main() -> int:
    choice = os.environ.get("TORCH", "")
    if choice not in ("", "cpu", "cuda"):
        print(f"TORCH is {choice!r}; choose cpu or cuda.", file=sys.stderr)
        return 2
    pins = [line for line in LOCK.read_text(encoding="utf-8").splitlines() if "==" in line and not line.startswith("#")]
    print(f"Installing {len(pins)} packages into .venv, once (about 2 minutes).", flush=True)
    if code := subprocess.run([sys.executable, "-m", "venv", ".venv"]).returncode:
        return code
    if choice == "cpu" or (not choice and sys.platform == "linux" and not shutil.which("nvidia-smi")):
        (torch,) = (pin for pin in pins if pin.startswith("torch=="))
        cpu_build(torch)
    code = pip(len(pins), "-r", str(LOCK), "-c", str(LOCK))
    print("Installed." if code == 0 else "Not installed: see above. The same command tries again.", flush=True)
    return code


def cpu_build(torch: str) -> None:
    """Install PyTorch without CUDA, which the default build for Linux brings; where that fails, the lock's follows."""
    if not answers(CPU_INDEX, PATIENCE):
        print(f"{CPU_INDEX} cannot be reached: PyTorch's default build instead of the CPU build.", flush=True)
        return
    print("PyTorch: the CPU build, for a machine without an NVIDIA GPU (otherwise: make setup TORCH=cuda).", flush=True)
    if pip(1, "--no-deps", "--index-url", CPU_INDEX, torch):
        print("PyTorch's default build instead of the CPU build.", flush=True)


def answers(url: str, seconds: float) -> bool:
    """Whether a server answers in time. A thread asks, because looking up a name has no time limit."""
    found = []

    def ask() -> None:
        try:
            with urlopen(Request(url, method="HEAD"), timeout=seconds):
                found.append(url)
        except OSError:
            pass

    asking = Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds)
    return bool(found)


def pip(total: int, *words: str) -> int:
    """Run `pip install` with a line for every few packages and every large download; if it fails, show what it said."""
    quiet = ["--disable-pip-version-check", "--progress-bar", "off"]
    # Python compiles what it imports, a small part of the packages: 54 s instead of 81 s on two cores.
    command = [str(PYTHON), "-m", "pip", "install", "--no-compile", *quiet, *words]
    printed, collected = [], 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            printed.append(line)
            if line.startswith(("Collecting ", "Processing ", "Requirement already satisfied: ")):
                collected += 1
                show("found", collected, total)
            elif large := LARGE.search(line):
                print(f"  downloading {large[1]}, {large[2]}", flush=True)
            elif line.startswith("Installing collected packages"):
                follow(process, total)
    if process.returncode:
        print("".join(printed[-20:]), file=sys.stderr, end="", flush=True)
    return process.returncode


def follow(process: "subprocess.Popen[str]", total: int) -> None:
    """Count the packages that are there while pip, which says nothing meanwhile, unpacks them."""
    shown = 0
    while process.poll() is None:
        count = sum(1 for _ in PYTHON.parent.parent.glob("lib/python*/site-packages/*.dist-info"))
        if count >= shown + EVERY:
            shown = count - count % EVERY
            show("installed", shown, total)
        sleep(0.5)


def show(what: str, count: int, total: int) -> None:
    if count % EVERY == 0:
        print(f"  {what} {count} of {total}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
