"""A made-up suite in progress, its files dated as a test needs them."""

import json
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from experiments.record.keys import KEY
from tests.support.fakes.runs import failure, result

NOW = 1_800_000_000.0


def folder_of(suite: Path, model: str, task: str = "recall", experiment: str = "long-range", seed: int = 0) -> Path:
    name, _, variant = model.partition("-")
    return suite / experiment / task / name / (variant or "base") / f"seed{seed}"


def write(path: Path, text: str, when: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    os.utime(path, (when, when))
    return path


def iso(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="seconds")


def plan(suite: Path, runs: list[Path], started: float, left: list[Path] | None = None) -> Path:
    names = {"runs": runs, "left": runs if left is None else left}
    record = {name: [str(run.relative_to(suite.parent)) for run in some] for name, some in names.items()}
    return write(suite / "planned-long-range.json", json.dumps({"started": iso(started), **record}), started)


def metric(name: str, step: int, value: float) -> str:
    when = {"step": step, "seconds": step / 10, "target_tokens": step * 100}
    return json.dumps({**when, "metric": name, "value": value}) + "\n"


def training(steps: Iterable[int]) -> str:
    """Loss at every step, a validation at every hundredth."""
    lines = []
    for step in steps:
        lines.append(metric("train/loss", step, 100 / step))
        if step % 100 == 0:
            lines += [metric("val/loss", step, 90 / step), metric("val/token_accuracy", step, step / 1000)]
    return "".join(lines)


def begin(folder: Path, when: float, metrics: str = "", heard: float | None = None, max_steps: int = 1000) -> Path:
    write(folder / "config.yaml", f"trainer:\n  max_steps: {max_steps}\n", when)
    if metrics:
        write(folder / "metrics.jsonl", metrics, when if heard is None else heard)
    return folder


def key_of(folder: Path) -> dict[str, Any]:
    *names, seed = folder.parts[-6:]
    return {**dict(zip(KEY, names, strict=False)), "seed": int(seed.removeprefix("seed"))}


def finish(folder: Path, when: float, seconds: float = 60.0) -> None:
    record = result("", "", "", 0, []) | key_of(folder) | {"started": iso(when - seconds), "finished": iso(when)}
    write(folder / "result.json", json.dumps(record), when)


def fail(folder: Path, when: float, error: str = "ValueError: first\nbecause of\nthe last line\n") -> None:
    log = folder.with_name(f"log-{folder.name}.txt")
    record = failure("", "", "", 0, error) | key_of(folder) | {"log": str(log)}
    write(folder / "failure.json", json.dumps(record), when)
