"""How systems and numbers are shown, the same in every table and figure."""

import math
import re
from collections.abc import Iterable
from pathlib import Path

import yaml

from analysis.statistics.intervals import Interval
from analysis.store import System

MODELS: dict[str, dict[str, str]] = yaml.safe_load(Path(__file__).with_name("models.yaml").read_text(encoding="utf-8"))
NAMES = {model: row["name"] for model, row in MODELS.items()}
NONE = "–"


def ordered(systems: Iterable[System]) -> list[System]:
    """Known models first, from plain RNN to Transformer, then others; the base variant before the rest."""
    known = list(NAMES)

    def place(system: System) -> tuple[object, ...]:
        rank = known.index(system.model) if system.model in known else len(known)
        return rank, system.model, system.variant != "base", natural(system.variant)

    return sorted(set(systems), key=place)


def natural(text: str) -> list[str | int]:
    """A sorting key by which heads8 comes before heads16."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", text)]


def label(system: System) -> str:
    name = NAMES.get(system.model, system.model)
    return name if system.variant == "base" else f"{name}, {system.variant}"


def decimal(value: float, digits: int = 1) -> str:
    """Zero has no sign."""
    return NONE if math.isnan(value) else f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def signed(value: float) -> str:
    return NONE if math.isnan(value) else f"{round(value, 1) + 0.0:+.1f}".replace("-", "−")


def whole(value: float) -> str:
    return NONE if math.isnan(value) else f"{value:,.0f}"


def span(interval: Interval, digits: int = 1) -> str:
    if math.isnan(interval.low):
        return NONE
    return f"{decimal(interval.low, digits)} to {decimal(interval.high, digits)}"


def with_span(interval: Interval, digits: int) -> str:
    """value (low to high)"""
    value = decimal(interval.value, digits)
    return value if math.isnan(interval.low) else f"{value} ({span(interval, digits)})"


def probability(p: float) -> str:
    if math.isnan(p):
        return NONE
    return "≤ 0.001" if p <= 0.001 else f"{p:.3f}"


def duration(seconds: float) -> str:
    if math.isnan(seconds):
        return NONE
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def shortest(seconds: Iterable[float]) -> str:
    """The shortest time: a longer one may be that of a slower machine, or of one with other work."""
    return duration(min((each for each in seconds if not math.isnan(each)), default=math.nan))


def together(text: str) -> str:
    """Words between which no line breaks."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def counted(n: float, one: str, many: str) -> str:
    """1 layer, 2 layers"""
    return f"{f'{n:g}' if isinstance(n, float) else n} {one if n == 1 else many}"


def listing(parts: list[str]) -> str:
    """Join as in a sentence: a, b and c; with semicolons where a part has a comma."""
    if any(", " in part for part in parts):
        return "; and ".join(filter(None, ("; ".join(parts[:-1]), parts[-1])))
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def slug(*parts: str) -> str:
    """Parts as a file name and id."""
    return re.sub(r"[^\w-]+", "-", "-".join(filter(None, parts)))
