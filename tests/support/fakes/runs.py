"""A made-up run store for the tests of the analysis: invented words, invented models, no training."""

import json
import random
from copy import deepcopy
from pathlib import Path
from typing import Any

from sacrebleu.metrics import BLEU, CHRF

BINS = (1, 6, 11, 16)
WORDS = ["der", "die", "Hund", "Mann", "Frau", "rote", "Ball", "springt", "läuft", "über", "Straße", "Wiese", "zwei"]
ERRORS = {"lstm": 0.35, "bahdanau": 0.22, "transformer": 0.15}


def corpus(sentences: int, seed: int = 7) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=rng.randint(3, 20))) + "." for _ in range(sentences)]


def corrupted(reference: str, rate: float, rng: random.Random) -> str:
    return " ".join(rng.choice(WORDS) if rng.random() < rate else word for word in reference.split())


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def row(metric: str, value: float, unit: str, n: int, x_name: str = "", x: Any = None) -> dict[str, Any]:
    return {"metric": metric, "x_name": x_name, "x": x, "value": value, "unit": unit, "n": n}


def folder_of(root: Path, model: str, *, suite: str = "quick", variant: str = "base", seed: int = 0) -> Path:
    return root / suite / "bleu" / "multi30k" / model / variant / f"seed{seed}"


def write_run(
    root: Path,
    model: str,
    *,
    suite: str = "quick",
    variant: str = "base",
    seed: int = 0,
    sentences: int = 60,
    test_sets: tuple[str, ...] = ("test2016", "test2017"),
    error: float | None = None,
    changes: dict[str, Any] | None = None,
) -> Path:
    """Write one finished run; `changes` replaces top-level entries of its result.json."""
    folder = folder_of(root, model, suite=suite, variant=variant, seed=seed)
    rng = random.Random(f"{model} {variant} {seed}")
    rate = ERRORS.get(model, 0.3) if error is None else error
    measurements = costs(model)
    for test_set in test_sets:
        rows = translations(test_set, sentences, model, rate, rng)
        write_lines(folder / "hypotheses" / f"{test_set}.jsonl", rows)
        measurements += scores(test_set, rows)
    write_lines(folder / "metrics.jsonl", history(model, rng))
    write_json(folder / "attention.json", attention(model, test_sets[0]))
    write_json(folder / "result.json", result(suite, model, variant, seed, measurements) | (changes or {}))
    return folder


def translations(test_set: str, sentences: int, model: str, rate: float, rng: random.Random) -> list[dict[str, Any]]:
    rows = []
    for i, reference in enumerate(corpus(sentences, len(test_set) + ord(test_set[-1]))):
        # one vector: worse the longer the sentence
        grown = rate * (1 + len(reference.split()) / 10) if model == "lstm" else rate
        hypothesis = corrupted(reference, min(grown, 0.9), rng)
        rows.append(translation(i, reference.lower().replace(".", " ."), reference, hypothesis))
    return rows


def translation(number: int, source: str, reference: str, hypothesis: str) -> dict[str, Any]:
    """One line of a file of hypotheses."""
    words = len(reference.split())
    texts = {"id": number, "source": source, "reference": reference, "hypothesis": hypothesis}
    return texts | {"score": -0.5, "log_prob": -0.5 * words, "source_tokens": words + 2, "truncated": False}


def scores(test_set: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    def bleu(part: list[dict[str, Any]]) -> float:
        return BLEU().corpus_score([r["hypothesis"] for r in part], [[r["reference"] for r in part]]).score

    n = len(rows)
    chrf = CHRF().corpus_score([r["hypothesis"] for r in rows], [[r["reference"] for r in rows]]).score
    measured = [
        row("bleu", bleu(rows), "BLEU", n, "test_set", test_set),
        row("chrf", chrf, "chrF", n, "test_set", test_set),
        row("bleu_tokenised", bleu(rows) + 1.2, "BLEU", n, "test_set", test_set),
        row("bleu_torchtext", bleu(rows) + 1.2, "BLEU", n, "test_set", test_set),
        row("length_ratio", 1.01, "ratio", n, "test_set", test_set),
        row("truncated_share", 0.0, "share", n, "test_set", test_set),
        row("decode_seconds", 14.2, "s", n, "test_set", test_set),
    ]
    for low, high in zip(BINS, [*BINS[1:], 1000], strict=True):
        part = [r for r in rows if low <= len(r["source"].split()) < high]
        if part:
            measured.append(row("bleu_by_length", bleu(part), "BLEU", len(part), f"source words, {test_set}", low))
    return measured


def costs(model: str) -> list[dict[str, Any]]:
    speed = {"transformer": 9000.0}.get(model, 4000.0)
    values = [
        ("parameters", 3_200_000, "parameters"),
        ("parameters_without_embeddings", 1_900_000, "parameters"),
        ("steps", 2000, "steps"),
        ("target_tokens", 4_000_000, "tokens"),
        ("source_tokens", 3_900_000, "tokens"),
        ("train_seconds", 4_000_000 / speed, "s"),
        ("target_tokens_per_second", speed, "tokens/s"),
        ("best_step", 1900, "steps"),
        ("val_loss", 1.9, "nats"),
        ("val_bleu", 31.0, "BLEU"),
        ("val_bleu_unaveraged", 30.1, "BLEU"),
    ]
    return [row(metric, value, unit, 1) for metric, value, unit in values]


def history(model: str, rng: random.Random) -> list[dict[str, Any]]:
    rows = []
    speed = 9000 if model == "transformer" else 4000
    for step in range(100, 2001, 100):
        common = {"step": step, "seconds": step * 2000 / speed, "target_tokens": step * 2000}
        loss = 1.5 + ERRORS.get(model, 0.3) + 4 * 0.997 ** (step / 2) + rng.gauss(0, 0.02)
        rows += [common | {"metric": "val/loss", "value": loss}, common | {"metric": "train/lr", "value": 1e-3}]
        rows.append(common | {"metric": "val/bleu", "value": max(0.0, 40 - 9 * loss)})
    return rows


def attention(model: str, test_set: str) -> list[dict[str, Any]]:
    entries = []
    for i in range(5):
        source = [*corpus(5, 3)[i].split()[:8], "$5", "</s>"]
        target = ["a", "<script>alert(1)</script>", *source[2:-2], "R&D", "</s>"]
        diagonal = [
            [0.7 if s == t * len(source) // len(target) else 0.3 / (len(source) - 1) for s in range(len(source))]
            for t in range(len(target))
        ]
        uniform = [[1 / len(source)] * len(source)] * len(target)
        maps = {"cross layer 2": [uniform], "cross layer 10": [diagonal, diagonal]} if model != "lstm" else {}
        entries.append({"test_set": test_set, "id": i, "source_tokens": source, "target_tokens": target, "maps": maps})
    return entries


PROVENANCE: dict[str, Any] = {
    "git": {"commit": "1f2e3d4c5b6a79880123456789abcdef01234567", "dirty": False},
    "versions": {"python": "3.11.9", "torch": "0.0-made-up", "sacrebleu": "2.6.0"},
    "machine": {"cpu": "made-up CPU", "cores": 2, "threads": 2, "memory_gib": 7.8, "gpus": [], "platform": "Linux"},
    "started": "2026-01-02T03:04:05+00:00",
    "finished": "2026-01-02T03:24:05+00:00",
}


def failure(suite: str, model: str, variant: str, seed: int, error: str) -> dict[str, Any]:
    return key(suite, model, variant, seed) | {
        "error": error,
        "traceback": "",
        "log": "runs/log.txt",
        "command": f"make bleu SUITE={suite}",
    }


def key(suite: str, model: str, variant: str, seed: int) -> dict[str, Any]:
    return {"suite": suite, "experiment": "bleu", "task": "multi30k", "model": model, "variant": variant, "seed": seed}


def result(suite: str, model: str, variant: str, seed: int, measurements: list[dict[str, Any]]) -> dict[str, Any]:
    return key(suite, model, variant, seed) | {
        "config_hash": f"0123456789ab{seed:04x}",
        "command": f"make bleu SUITE={suite} MODELS={model} SEEDS={seed}",
        **deepcopy(PROVENANCE),
        "held_equal": {"data order seed": seed, "steps": 2000, "tokens per batch": 2048, "beam size": 5},
        "signatures": {"bleu": "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0", "chrf": "nrefs:1|nc:6"},
        "measurements": measurements,
    }


def write_suite(root: Path, *, seeds: tuple[int, ...] = (0,), **settings: Any) -> None:
    """Write the three models with every seed."""
    for model in ERRORS:
        for seed in seeds:
            write_run(root, model, seed=seed, **settings)
