"""Made-up runs of language models for the tests of the analysis: round numbers that can be checked by hand."""

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

from tests.support.fakes.runs import result, row, write_json, write_lines

N = 1000
Values = Mapping[int, float]


def folder_of(root: Path, task: str, model: str, variant: str = "base", seed: int = 0, suite: str = "quick") -> Path:
    return root / suite / "language" / task / model / variant / f"seed{seed}"


def with_errors(metric: str, unit: str, x_name: str, values: Values, error: float) -> list[dict[str, Any]]:
    rows = [row(metric, value, unit, N, x_name, x) for x, value in values.items()]
    return rows + [row(f"{metric}_error", error, unit, N, x_name, x) for x in values]


def write_model(
    root: Path,
    task: str,
    model: str,
    loss: float,
    rows: list[dict[str, Any]],
    seed: int = 0,
    variant: str = "base",
    parameters: int = 70_000,
) -> Path:
    """One finished run with a loss over all tokens and `rows`."""
    folder = folder_of(root, task, model, variant, seed)
    measured = [row("loss", loss, "nats", N), row("loss_error", 0.01, "nats", N), row("bits", loss / 0.6931, "bits", N)]
    costs = [row("parameters", parameters, "parameters", 1), row("train_seconds", 30.0, "s", 1)]
    costs += [row("val_loss", loss, "nats", N), row("target_tokens_per_second", 50_000, "tokens/s", 1)]
    position = with_errors("loss", "nats", "position", {8: loss + 1, 16: loss, 64: loss - 0.5}, 0.02)
    record = result("quick", model, variant, seed, [*measured, *costs, *position, *rows])
    write_json(folder / "result.json", record | {"experiment": "language", "task": task})
    history = {"seconds": 1.0, "target_tokens": 1, "metric": "val/loss"}
    write_lines(folder / "metrics.jsonl", [{**history, "step": step, "value": loss + 1 / step} for step in (1, 2)])
    return folder


def write_stories(root: Path, farthest: Mapping[str, float], seed: int = 0, near: float = 0.9) -> None:
    """Models by the share of what was said longest ago that they know; all know as much of what was said last."""
    for model, share in farthest.items():
        rows = with_errors("token_accuracy", "share", "distance", {8: near, 63: share}, 0.01)
        rows += with_errors("loss", "nats", "distance", {8: 0.3, 63: 2 - share}, 0.02)
        rows += [row("chance: guessing", 0.125, "share", 1, "distance", x) for x in (8, 63)]
        write_model(root, "stories", model, 2 - share, [*rows, row("perplexity", 4.0, "words", N)], seed)


SAID = ["ann", "has", "red", "hats", "hats", "are", "red"]
EVEN = [[1 / (i + 1)] * (i + 1) + [0.0] * (6 - i) for i in range(7)]  # each row sees itself and what is before


def write_attention(root: Path, model: str, found_by: int, heads: int = 2, task: str = "stories") -> None:
    """A map in which head number `found_by` alone looks at where a word was said before; the others look evenly."""
    finds = [list(row) for row in EVEN]
    written = ["<s>", *SAID[:-1]]
    for i, word in enumerate(SAID):
        if word in written[: i + 1]:
            finds[i] = [float(column == written.index(word)) for column in range(7)]
    maps = {"decoder layer 1": [finds if head == found_by else EVEN for head in range(heads)]}
    one = {"test_set": "test", "id": 0, "source_tokens": [], "target_tokens": SAID, "maps": maps}
    write_json(folder_of(root, task, model) / "attention.json", [one])


def write_characters(root: Path, gains: Mapping[str, float], losses: Mapping[str, float], seed: int = 0) -> None:
    """Models by what they gain from context beyond 32 characters, and by their loss."""
    for model, gain in gains.items():
        rows = []
        for how in ("cut", "shuffled beyond", "reversed beyond"):
            name = f"context, {how}"
            rows += with_errors("context_gain", "nats", name, {8: gain + 0.3, 32: gain}, 0.005)
            rows += with_errors("loss", "nats", name, {8: losses[model] + gain + 0.3, 32: losses[model] + gain}, 0.02)
        write_model(root, "shakespeare", model, losses[model], rows, seed)


SHARES = {"": 1_000_000, "-half": 500_000, "-quarter": 250_000}
SIZES = {"base": 800_000, "width64": 200_000, "width32": 50_000}


def write_grid(
    root: Path, model: str, exponents: tuple[float, float], off: float = 0.0, seeds: int = 3, more: float = 0.0001
) -> None:
    """Losses that follow a law, but for every second combination, which is off by a share, by `more` with each seed."""
    for seed in range(seeds):
        for place, ((variant, size), (share, length)) in enumerate(product(SIZES.items(), SHARES.items())):
            loss = 2 * (size / 1e6) ** -exponents[0] * (length / 1e6) ** -exponents[1] * (1 + 0.001 * seed)
            loss *= 1 + (off + more * seed) * (place % 2)
            rows = [row("training_tokens", length, "tokens", 1)]
            write_model(root, f"text{share}", model, loss, rows, seed, variant, size)
