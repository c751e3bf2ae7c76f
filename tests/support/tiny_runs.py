"""Runs small enough for a test: the smoke configurations on a few generated sentences, nothing sent anywhere."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch
import yaml

from datamodules.embedded.corpus import embedded_corpus
from experiments.launch import finished
from experiments.planning.grid import Planned
from experiments.record.keys import RunKey
from experiments.run import main
from experiments.training.callbacks import Clock

CONFIGS = Path(__file__).parents[2] / "experiments" / "configs" / "bleu" / "smoke"
SIZES = {"train": 90, "val": 13, "seen": 11, "unseen": 7}  # `seen` and `unseen` are the test sets
STEPS, VALIDATE_EVERY = 6, 3


def write_corpus(folder: Path) -> dict[str, list[str]]:
    """Sentence pairs of every split as text files, shortest sentence not first."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for split, size in SIZES.items():
        pairs = embedded_corpus(split if split in ("train", "val") else "test", seed=len(split), size=size, longest=10)
        names = [str(folder / f"{split}.{language}") for language in ("en", "de")]
        sides = ([pair.english for pair in pairs], [pair.german for pair in pairs])
        for name, lines in zip(names, sides, strict=True):
            if not Path(name).exists():  # written again, they would be other files to a receipt
                Path(name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        files[split] = names
    return files


def tiny_key(root: Path, model: str = "lstm", seed: int = 0) -> RunKey:
    return RunKey("tiny", "bleu", "files-en-de", model, "base", seed, str(root / "runs"), f"make bleu MODELS={model}")


def tiny_arguments(root: Path, model: str = "lstm", seed: int = 0) -> list[str]:
    """Arguments of experiments.run for a run of a second or two, everything it writes under `root`."""
    corpus = {"name": "files", "files": write_corpus(root / "corpus"), "limit": None}
    tokenizer = {"vocab_size": 150}
    init_args = {"corpus": corpus, "tokenizer": tokenizer, "max_tokens": 60, "cache_dir": str(root / "cache")}
    trainer = {"max_steps": STEPS, "validate_every": VALIDATE_EVERY, "log_every": 1, "accelerator": "cpu"}
    changes: dict[str, Any] = {"data": {"init_args": init_args}, "trainer": {**trainer, "precision": "32-true"}}
    override = root / "tiny.yaml"
    override.write_text(yaml.safe_dump(changes), encoding="utf-8")
    configs = [CONFIGS / "common.yaml", CONFIGS / f"{model}.yaml", override]
    key = tiny_key(root, model, seed)
    named = {**key.identity, "root": key.root, "command": key.command}
    run = [f"--run.{name}={value}" for name, value in named.items()]
    return [*(word for path in configs for word in ("-c", str(path))), *run]


def tiny_run(root: Path, *more: str, model: str = "lstm", seed: int = 0) -> Path:
    """Run it and return its folder; `more` are further arguments."""
    main([*tiny_arguments(root, model, seed), *more])
    return tiny_key(root, model, seed).folder


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def saved(folder: Path, name: str = "last") -> dict[str, Any]:
    """The content of a run's checkpoint."""
    return dict(torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True))


def recorded(folder: Path) -> list[tuple[int, str, float, int]]:
    """Step, metric, value and target tokens of each row of the training record that does not depend on speed."""
    rows = [row for row in read_lines(folder / "metrics.jsonl") if row["metric"] != "train/tokens_per_second"]
    return [(row["step"], row["metric"], row["value"], row["target_tokens"]) for row in rows]


def measured(folder: Path) -> dict[tuple[str, str, object], float]:
    """The measurements of a run that do not depend on speed."""
    rows = read_json(folder / "result.json")["measurements"]
    return {(r["metric"], r["x_name"], r["x"]): r["value"] for r in rows if r["unit"] not in ("s", "tokens/s")}


def assert_same(one: Path, other: Path) -> None:
    """Two runs were trained the same, bit for bit."""
    assert recorded(one) == recorded(other)
    for name in ("best", "last"):
        first, second = saved(one, name), saved(other, name)
        for part in ("state_dict", "current_model_state", "optimizer_states", "lr_schedulers", "global_step"):
            torch.testing.assert_close(first[part], second[part], rtol=0, atol=0)


def finished_here(runs: Sequence[Planned]) -> list[bool]:
    """Which runs have their result; what another process would be asked is answered here, without its imports."""
    with pytest.MonkeyPatch.context() as patch:

        def answer(command: list[str], *, input: str, **_: Any) -> subprocess.CompletedProcess[str]:
            patch.setattr(sys, "stdin", io.StringIO(input))
            with redirect_stdout(io.StringIO()) as said:
                finished.main()
            return subprocess.CompletedProcess(command, 0, said.getvalue())

        patch.setattr(finished, "subprocess", SimpleNamespace(run=answer, PIPE=subprocess.PIPE))
        return finished.finished(runs)


WORST = ("--trainer.monitor=val/loss", "--trainer.monitor_mode=max")


def assert_measured_at_its_worst(folder: Path) -> None:
    """With `WORST` the checkpoint that is kept, the worst by validation loss, is not the last: it was measured."""
    rows = read_json(folder / "result.json")["measurements"]
    found = {row["metric"]: row["value"] for row in rows if row["x_name"] == ""}
    losses = {r["step"]: r["value"] for r in read_lines(folder / "metrics.jsonl") if r["metric"] == "val/loss"}
    assert found["best_step"] == max(losses, key=lambda step: losses[step]) < max(losses)
    assert found["val_loss"] == pytest.approx(losses[found["best_step"]], rel=1e-5)


def before(patch: pytest.MonkeyPatch, hook: str, action: Callable[[L.Trainer], None], callback: type = Clock) -> None:
    """Do something first when a callback's hook is called."""
    original = getattr(callback, hook)

    def both(self: Any, trainer: L.Trainer, *rest: Any) -> None:
        action(trainer)
        original(self, trainer, *rest)

    patch.setattr(callback, hook, both)


def terminate_at(patch: pytest.MonkeyPatch, step: int, rank: int = 0) -> None:
    """Have a run get SIGTERM, in one of its processes, after so many updates."""

    def end(trainer: L.Trainer) -> None:
        if (trainer.global_step, trainer.global_rank) == (step, rank):
            os.kill(os.getpid(), signal.SIGTERM)

    before(patch, "on_train_batch_end", end)
