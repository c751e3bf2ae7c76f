"""One suite carried out twice, number by number: what was committed against what has come out now."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import torch

TIMED = ("s", "tokens/s")  # units of what no run repeats


class Tolerance(NamedTuple):
    """How far a number may be from the committed one on another type of machine: the larger of the two."""

    absolute: float = 0.0
    relative: float = 0.0

    def allows(self, expected: float, found: float) -> bool:
        return same(expected, found) or abs(expected - found) <= max(self.absolute, self.relative * abs(expected))

    def __str__(self) -> str:
        parts = [f"{self.absolute:g}"] * bool(self.absolute) + [f"{self.relative:.4g} of it"] * bool(self.relative)
        return " or ".join(parts) or "equal"


# Two to ten times the largest difference found with the AVX2 or SSE kernels of all libraries in place of AVX-512's:
# losses 1e-7 of their value in the first 40 steps and 1e-4 after 120, entropies 1e-4, BLEU and chrF 0.003, gradients
# through 20 steps of a plain RNN 0.4 of their norm. Of the Transformer's hypotheses 0 or 15 % were others, of the
# recurrent models' none. After 400 steps it was two thirds: longer runs would have to be compared more loosely.
EXACT = Tolerance()
EARLY_LOSS = Tolerance(relative=1e-5)
EARLY = 40  # steps
TOLERANCES = {
    "nats": Tolerance(relative=5e-3),
    "share": Tolerance(absolute=0.02),
    "norm": Tolerance(absolute=0.1, relative=0.5),
    "probability": Tolerance(absolute=1e-3),
    "squared sum": Tolerance(relative=0.01),
    "BLEU": Tolerance(absolute=0.2),
    "chrF": Tolerance(absolute=0.5),
    "ratio": Tolerance(absolute=0.01),
}
OTHER_TEXTS = 0.3  # share of a test set's hypotheses
CURVES = {
    "train/loss": "nats",
    "val/loss": "nats",
    "val/smoothed_loss": "nats",
    "val/token_accuracy": "share",
    "val/control_accuracy": "share",
    "val/bleu": "BLEU",
    "train/tokens_per_second": "tokens/s",
}


class Place(NamedTuple):
    """Which number of a run; of a training curve, `x` is the step and `n` the target tokens until then."""

    metric: str
    unit: str
    x_name: str
    x: str | float | None
    n: int

    def __str__(self) -> str:
        return f"{self.metric}, {self.x_name} {self.x}" if self.x_name else self.metric

    @property
    def tolerance(self) -> Tolerance:
        """A number of a unit without one must be equal everywhere: parameters, steps, tokens, what was trained."""
        if self.metric == "train/loss" and isinstance(self.x, int) and self.x <= EARLY:
            return EARLY_LOSS
        return TOLERANCES.get(self.unit, EXACT)


class Hypothesis(NamedTuple):
    """One translation and what the search said of it; the scores are natural logarithms."""

    text: str
    source_tokens: int
    truncated: bool
    score: float
    log_prob: float


@dataclass(frozen=True)
class Outcome:
    """What a run must give again.

    Args:
        config: The settings that decide its numbers, by dotted name.
        numbers: Measurements and training curves, without times.
        hypotheses: By test set and sentence.
        checksums: Of what is too long to be committed: weights and attention maps.
    """

    config: Mapping[str, Any]
    numbers: Mapping[Place, float]
    hypotheses: Mapping[tuple[str, int], Hypothesis]
    checksums: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        return {
            "config": dict(self.config),
            "checksums": dict(self.checksums),
            "numbers": [[*place, value] for place, value in self.numbers.items()],
            "hypotheses": [[*sentence, *found] for sentence, found in self.hypotheses.items()],
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Outcome":
        numbers = {Place(*row[:-1]): row[-1] for row in record["numbers"]}
        hypotheses = {(row[0], row[1]): Hypothesis(*row[2:]) for row in record["hypotheses"]}
        return cls(record["config"], numbers, hypotheses, record["checksums"])


def read_outcome(folder: Path, config: Mapping[str, Any]) -> Outcome:
    """What the finished run in `folder` gave."""
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    measured = (
        (Place(row["metric"], row["unit"], row["x_name"], row["x"], row["n"]), row["value"])
        for row in result["measurements"]
    )
    curves = (
        (Place(row["metric"], CURVES.get(row["metric"], ""), "step", row["step"], row["target_tokens"]), row["value"])
        for row in json_lines(folder / "metrics.jsonl")
    )
    numbers: dict[Place, float] = {}
    for place, value in chain(curves, measured):  # a difference begins in the training curve
        assert place not in numbers, place
        if place.unit not in TIMED:
            numbers[place] = value
    hypotheses = {
        (path.stem, row["id"]): Hypothesis(
            row["hypothesis"], row["source_tokens"], row["truncated"], row["score"], row["log_prob"]
        )
        for path in sorted(folder.glob("hypotheses/*.jsonl"))
        for row in json_lines(path)
    }
    checksums = {"weights": checksum_of_weights(folder / "checkpoints" / "best.ckpt")}
    attention = folder / "attention.json"
    if attention.exists():
        checksums["attention maps"] = hashlib.sha256(attention.read_bytes()).hexdigest()
    return Outcome(config, numbers, hypotheses, checksums)


def json_lines(path: Path) -> Iterator[Any]:
    # Not splitlines: a hypothesis may hold a character that Python takes for the end of a line.
    return (json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line)


def checksum_of_weights(checkpoint: Path) -> str:
    """Of names and bits of all weights that the checkpoint chosen on validation data holds."""
    weights = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].contiguous().numpy().tobytes())
    return digest.hexdigest()


class Difference(NamedTuple):
    """One thing that did not repeat."""

    what: str
    expected: str
    found: str
    allowed: str


@dataclass
class Comparison:
    """One run beside the committed one; `largest` is the largest relative difference of its numbers."""

    run: str
    numbers: int = 0
    hypotheses: int = 0
    unequal: int = 0
    largest: float = 0.0
    outside: list[Difference] = field(default_factory=list)

    def differs(self, what: object, expected: object, found: object, allowed: object) -> None:
        self.outside.append(Difference(str(what), str(expected), str(found), str(allowed)))


def compare(run: str, expected: Outcome, found: Outcome, exact: bool) -> Comparison:
    """Compare everything; `exact`: to the last digit, else within tolerances and without checksums."""
    comparison = Comparison(run)
    compare_numbers(comparison, expected.numbers, found.numbers, exact)
    compare_hypotheses(comparison, expected.hypotheses, found.hypotheses, exact)
    if exact:
        for name in sorted({*expected.checksums, *found.checksums}):
            before, now = expected.checksums.get(name, "missing"), found.checksums.get(name, "missing")
            if before != now:
                comparison.unequal += 1
                comparison.differs(f"checksum of {name}", before, now, EXACT)
    return comparison


def compare_numbers(
    comparison: Comparison, expected: Mapping[Place, float], found: Mapping[Place, float], exact: bool
) -> None:
    for place in dict.fromkeys((*expected, *found)):
        comparison.numbers += 1
        allowed = EXACT if exact else place.tolerance
        if place not in expected or place not in found:
            comparison.unequal += 1
            comparison.differs(place, expected.get(place, "missing"), found.get(place, "missing"), allowed)
            continue
        before, now = expected[place], found[place]
        if same(before, now):
            continue
        comparison.unequal += 1
        comparison.largest = max(comparison.largest, relative_difference(before, now))
        if not allowed.allows(before, now):
            comparison.differs(place, before, now, allowed)


def compare_hypotheses(
    comparison: Comparison,
    expected: Mapping[tuple[str, int], Hypothesis],
    found: Mapping[tuple[str, int], Hypothesis],
    exact: bool,
) -> None:
    """Exactly, or so that few texts of a test set are others and equal texts have nearly the same scores."""
    others: Counter[str] = Counter()
    for sentence in dict.fromkeys((*expected, *found)):
        comparison.hypotheses += 1
        before, now = expected.get(sentence), found.get(sentence)
        if before == now:
            continue
        comparison.unequal += 1
        what = f"hypothesis {sentence[1]} of {sentence[0]}"
        if exact or before is None or now is None:
            comparison.differs(what, before or "missing", now or "missing", EXACT)
        elif before.text != now.text:
            others[sentence[0]] += 1
        elif not nearly(before, now):
            comparison.differs(what, before, now, f"log_prob and score within {TOLERANCES['nats']}")
    for test_set, count in others.items():
        share = count / sum(name == test_set for name, _ in expected)
        if share > OTHER_TEXTS:
            comparison.differs(f"texts of {test_set}", "equal", f"{share:.1%} others", f"{OTHER_TEXTS:.0%} others")


def nearly(before: Hypothesis, now: Hypothesis) -> bool:
    """Whether two hypotheses of one text differ by no more than rounding does."""
    scores = zip(before[3:], now[3:], strict=True)
    return before[:3] == now[:3] and all(TOLERANCES["nats"].allows(a, b) for a, b in scores)


def same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


def relative_difference(a: float, b: float) -> float:
    difference = abs(a - b) / max(abs(a), abs(b))
    return difference if math.isfinite(difference) else math.inf
