"""Made-up counts of the words of the training text, as an inspection run leaves them."""

from pathlib import Path

from tests.support.fakes.runs import WORDS, result, write_json

COUNTS = {word: times for word, times in zip(WORDS, (0, 1, 2, 4, 5, 9, 10, 99, 100, 999, 1000, 5000, 3), strict=True)}
COUNTS["."] = 20_000


def write_counts(root: Path, model: str, counts: dict[str, int] | None = None, *, seed: int = 0) -> Path:
    """Write a finished inspection run; without counts those that cover all made-up translations."""
    folder = root / "quick" / "inspection" / "multi30k" / model / "base" / f"seed{seed}"
    write_json(folder / "result.json", result("quick", model, "base", seed, []) | {"experiment": "inspection"})
    path = folder / "target_word_counts.json"
    write_json(path, {"tokeniser": "13a", "counts": COUNTS if counts is None else counts})
    return path
