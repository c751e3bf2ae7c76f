"""Language models: ours next to GPT-2 of Hugging Face's transformers and a tutorial's LSTM, interleaved on one text.

python -m experiments.speed.peers.compare_language --suite full
"""

import os
import sys
from pathlib import Path

import numpy as np

from experiments.launch import command_line
from experiments.speed.peers.compare import Measured, Plan, peers_task, started, train
from experiments.speed.peers.installation import ENVIRONMENT, CannotInstall, build_environment
from experiments.speed.peers.protocol import WorkerFailed
from experiments.speed.record import Rows, Task

TASK = "peers-shakespeare"
SYSTEMS = {"transformer": ("fp32", "bf16", "gpt2"), "lstm": ("fp32", "bf16", "plain", "textbook")}
OURS = ("fp32", "bf16")
PLAN = Plan(updates=40, rounds=7)


def main(suite: str = "full", plan: Plan = PLAN, cache_dir: str = ".cache", root: str = "runs") -> None:
    """Compare, and write one record for each model and variant.

    Args:
        suite: Folder of the record.
        plan: How much to measure.
        cache_dir: Folder of the logs.
        root: Folder of the run store.
    """
    left = [model for model in SYSTEMS if not task_of(suite, model, plan, root).finished()]
    if not left:
        print("already measured with this code on this machine: peers of the language models", flush=True)
        return
    try:
        python = build_environment(ENVIRONMENT)
        for model in left:
            compare(model, plan, python, Path(cache_dir, "peers").absolute(), suite, root)
    except CannotInstall as reason:
        print(f"skipped: transformers could not be installed, so nothing was compared with it ({reason})", flush=True)
    except WorkerFailed as error:
        raise SystemExit(f"error: {error}") from None


def task_of(suite: str, model: str, plan: Plan, root: str) -> Task:
    """The comparison of one model."""
    return peers_task(suite, TASK, model, {variant: {"plan": vars(plan)} for variant in SYSTEMS[model]}, root)


def compare(model: str, plan: Plan, python: Path, folder: Path, suite: str, root: str) -> None:
    """Start every variant, interleave their blocks, and write the records."""
    task, threads = task_of(suite, model, plan, root), os.cpu_count() or 1
    print(f"peers of the {model} as a language model: {', '.join(SYSTEMS[model])}; {threads} threads", flush=True)
    words = ["-W", "ignore", "-m", "experiments.speed.peers.language_worker", model]
    commands = {
        v: [str(python) if v == "gpt2" else sys.executable, *words, v, str(plan.updates)] for v in SYSTEMS[model]
    }
    with started(model, commands, folder / f"log-language-{model}", threads) as (workers, measured):
        train(workers, measured, plan)
    rows = {f"{model}-{variant}": rows_of(variant, found) for variant, found in measured.items()}
    task.write(rows, {"text": "tinyshakespeare, 64 characters, 12 pieces an update", "threads": threads})
    for variant, found in measured.items():
        rate = np.median(found.tokens_per_second)
        print(f"{variant:10} {found.parameters:10,} parameters {rate:12,.0f} characters/s", flush=True)


def rows_of(variant: str, found: Measured) -> Rows:
    """Measurements, and what ran in words."""
    rows = Rows()
    rows.add("parameters", found.parameters, "parameters")
    rows.add_spread("target_tokens_per_second", found.tokens_per_second, "tokens/s")
    rows.kernels |= {
        "implementation": found.name,
        "precision": "bf16-mixed" if variant == "bf16" else "32-true",
        "mode": "eager",
        "training loop": "Trainer" if variant in OURS else "plain loop",
    }
    return rows


if __name__ == "__main__":
    command_line.run(main, positional=True)
