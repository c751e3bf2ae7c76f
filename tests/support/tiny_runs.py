"""Runs small enough for a test: the smoke configurations on a few generated sentences, nothing sent anywhere."""

import json
from pathlib import Path
from typing import Any

import yaml

from datamodules.embedded.corpus import embedded_corpus
from experiments.record.keys import RunKey
from experiments.run import main

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
