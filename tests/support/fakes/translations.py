"""Made-up translations whose BLEU is chosen: each sentence is right as a whole or wrong as a whole."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.fakes.inspection import write_inspection
from tests.support.fakes.runs import WORDS, folder_of, result, row, translation, write_json, write_lines

SENTENCES = 200
FEWEST, MOST = 4, 20  # words
GOLDEN = 0.618034  # its multiples spread evenly over 0 to 1


def references(sentences: int = SENTENCES) -> list[str]:
    rng = random.Random(3)
    return [" ".join(rng.choices(WORDS, k=rng.randint(FEWEST, MOST))) for _ in range(sentences)]


def is_right(number: int, share: float, phase: float) -> bool:
    return (number * GOLDEN + phase) % 1 < share


def write_translated(
    root: Path,
    model: str,
    share: float,
    *,
    long_share: float | None = None,
    phase: float = 0.0,
    seed: int = 0,
    rise: float = 0.0,
    sentences: int = SENTENCES,
    test_set: str = "test",
    variant: str = "base",
    end: float = 30.0,
) -> Path:
    """Write one finished run; BLEU is about 100 times the share of right sentences.

    Args:
        share: Of right sentences, among those of more than 12 words `long_share`.
        phase: Which ones are right: with equal phases those of a lower share are right with a higher one too.
        rise: Validation BLEU gained in the last fifth of training.
        end: Validation BLEU at the end of training.
    """
    folder = folder_of(root, model, variant=variant, seed=seed)
    rows = []
    for i, reference in enumerate(references(sentences)):
        words = len(reference.split())
        here = share if words <= 12 or long_share is None else long_share
        hypothesis = reference if is_right(i, here, phase) else " ".join(["nichts"] * words)
        rows.append(translation(i, reference.lower(), reference, hypothesis))
    write_lines(folder / "hypotheses" / f"{test_set}.jsonl", rows)
    write_lines(folder / "metrics.jsonl", validations(end, rise))
    scores = [row("bleu", 100 * share, "BLEU", sentences, "test_set", test_set)]
    write_json(folder / "result.json", result("quick", model, variant, seed, scores))
    return folder


def validations(end: float, rise: float) -> list[dict[str, Any]]:
    """Ten validations that end at `end`; `rise` is gained in the last fifth."""
    when = [{"step": step, "seconds": step / 10, "target_tokens": step * 100} for step in range(100, 1001, 100)]
    return [at | {"metric": "val/bleu", "value": end if at["step"] > 800 else end - rise} for at in when]


def write_heads(root: Path, maps: Sequence[tuple[float, ...]], *, seed: int = 0) -> Path:
    """Inspection of a Transformer: for each map the weight of each head on the token before."""
    rows = [
        row("head_previous", weight, "share", 200, f"encoder layer {number}", head)
        for number, heads in enumerate(maps, start=1)
        for head, weight in enumerate(heads, start=1)
    ]
    return write_inspection(root, "transformer", seed=seed, measurements=rows)
