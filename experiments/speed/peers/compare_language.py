"""Language models: ours next to GPT-2 of Hugging Face's transformers and a tutorial's LSTM, interleaved on one text.

python -m experiments.speed.peers.compare_language --suite full
"""

import os
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from jsonargparse import auto_cli

from experiments.launch.provenance import machine, provenance
from experiments.record.keys import RunKey, config_hash
from experiments.record.read import is_finished
from experiments.record.write import write_result, write_rows
from experiments.speed.peers.compare import Measured, Plan, environment_of, fingerprint, train
from experiments.speed.peers.installation import CannotInstall, build_environment
from experiments.speed.peers.protocol import Worker, WorkerFailed
from experiments.speed.record import Rows

TASK = "peers-shakespeare"
SYSTEMS = {"transformer": ("fp32", "bf16", "gpt2"), "lstm": ("fp32", "bf16", "plain", "textbook")}
OURS = ("fp32", "bf16")
PLAN = Plan(updates=40, rounds=7)


def main(
    suite: str = "full",
    plan: Plan = PLAN,
    data_dir: str = "",
    cache_dir: str = ".cache",
    environment_dir: str = ".venv-peers",
    root: str = "runs",
) -> None:
    """Compare, and write one record for each model and variant.

    Args:
        suite: Folder of the record.
        plan: How much to measure.
        data_dir: Folder of downloaded texts.
        cache_dir: Folder of the logs.
        environment_dir: Folder of the peers' environment.
        root: Folder of the run store.
    """
    config = configuration(plan)
    left = [model for model in SYSTEMS if not finished(suite, model, config, root)]
    if not left:
        print("already measured with this code on this machine: peers of the language models", flush=True)
        return
    try:
        python = build_environment(Path(environment_dir))
        for model in left:
            compare(model, plan, python, data_dir, Path(cache_dir, "peers").absolute(), suite, root)
    except CannotInstall as reason:
        print(f"skipped: transformers could not be installed, so nothing was compared with it ({reason})", flush=True)
    except WorkerFailed as error:
        raise SystemExit(f"error: {error}") from None


def key_of(suite: str, model: str, variant: str, root: str) -> RunKey:
    return RunKey(suite, "speed", TASK, model, variant, 0, root, f"make speed-peers SUITE={suite}")


def configuration(plan: Plan) -> dict[str, Any]:
    """What a measurement depends on, code and machine included."""
    where = {name: value for name, value in machine().items() if name != "threads"}
    return {"plan": vars(plan), "code": fingerprint(), "machine": where}


def finished(suite: str, model: str, config: dict[str, Any], root: str) -> bool:
    expected = config_hash(config)
    return all(is_finished(key_of(suite, model, variant, root).folder, expected) for variant in SYSTEMS[model])


def compare(model: str, plan: Plan, python: Path, data_dir: str, folder: Path, suite: str, root: str) -> None:
    """Start every variant, interleave their blocks, and write the records."""
    started, threads = datetime.now(UTC), os.cpu_count() or 1
    print(f"peers of the {model} as a language model: {', '.join(SYSTEMS[model])}; {threads} threads", flush=True)
    with ExitStack() as stack:
        workers = {}
        for variant in SYSTEMS[model]:
            interpreter = python if variant == "gpt2" else Path(sys.executable)
            words = ["-W", "ignore", "-m", "experiments.speed.peers.language_worker", model, variant, str(plan.updates)]
            command = [str(interpreter), *words, *([f"--data_dir={data_dir}"] if data_dir else [])]
            log = folder / f"log-language-{model}-{variant}.txt"
            worker = Worker(f"{model} {variant}", command, log, environment_of(variant, threads))
            workers[variant] = stack.enter_context(worker)
        measured = {variant: Measured(**worker.started) for variant, worker in workers.items()}
        train(workers, measured, plan)
    facts = provenance(started)
    for variant, found in measured.items():
        rows = Rows()
        rows.add("parameters", found.parameters, "parameters")
        rows.add_spread("target_tokens_per_second", found.tokens_per_second, "tokens/s")
        key = key_of(suite, model, variant, root)
        write_rows(key.folder / "blocks.jsonl", rows.blocks)
        held_equal = {"text": "tinyshakespeare, 64 characters, 12 pieces an update", "threads": threads}
        signed = {
            "implementation": found.name,
            "precision": "bf16-mixed" if variant == "bf16" else "32-true",
            "mode": "eager",
            "training loop": "Trainer" if variant in OURS else "plain loop",
        }
        write_result(key, configuration(plan), rows.measurements, held_equal, signed, facts)
        rate = np.median(found.tokens_per_second)
        print(f"{variant:10} {found.parameters:10,} parameters {rate:12,.0f} characters/s", flush=True)


if __name__ == "__main__":
    auto_cli(main, as_positional=True)
