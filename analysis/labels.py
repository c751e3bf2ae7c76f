"""How systems and numbers are shown, the same in every table and figure."""

import math
from collections.abc import Iterable

from analysis.records import System
from analysis.statistics import Interval

NAMES = {"lstm": "LSTM", "bahdanau": "LSTM + attention", "transformer": "Transformer"}
# Okabe and Ito's palette: told apart with any colour vision, and readable on white and on near-black
COLOURS = {"lstm": "#D55E00", "bahdanau": "#009E73", "transformer": "#0072B2"}
FURTHER_COLOURS = ("#CC79A7", "#B8860B", "#56B4E9", "#7F7F7F")
MARKERS = {"lstm": "o", "bahdanau": "s", "transformer": "^"}
FURTHER_MARKERS = ("D", "v", "P", "X")
DASHES = ("-", "--", ":", "-.")
NONE = "–"


def ordered(systems: Iterable[System]) -> list[System]:
    """The three models first, in the order of their invention, then others; the base variant before the rest."""
    known = list(NAMES)
    return sorted(
        set(systems),
        key=lambda s: (known.index(s.model) if s.model in known else len(known), s.model, s.variant != "base", s),
    )


def label(system: System) -> str:
    name = NAMES.get(system.model, system.model)
    return name if system.variant == "base" else f"{name}, {system.variant}"


class Look:
    """Colour, marker and dash of each system in one report: colour is the model's, dash the variant's."""

    def __init__(self, systems: Iterable[System]) -> None:
        self.systems = ordered(systems)
        others = [m for m in dict.fromkeys(s.model for s in self.systems) if m not in NAMES]
        self._colours = COLOURS | {m: FURTHER_COLOURS[i % len(FURTHER_COLOURS)] for i, m in enumerate(others)}
        self._markers = MARKERS | {m: FURTHER_MARKERS[i % len(FURTHER_MARKERS)] for i, m in enumerate(others)}

    def colour(self, system: System) -> str:
        return self._colours[system.model]

    def marker(self, system: System) -> str:
        return self._markers[system.model]

    def dash(self, system: System) -> str:
        variants = [s for s in self.systems if s.model == system.model]
        return DASHES[variants.index(system) % len(DASHES)]


def decimal(value: float, digits: int = 1) -> str:
    return NONE if math.isnan(value) else f"{value:.{digits}f}".replace("-", "−")


def signed(value: float) -> str:
    return NONE if math.isnan(value) else f"{value:+.1f}".replace("-", "−")


def whole(value: float) -> str:
    return NONE if math.isnan(value) else f"{value:,.0f}"


def span(interval: Interval) -> str:
    return NONE if math.isnan(interval.low) else f"{decimal(interval.low)} to {decimal(interval.high)}"


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


def listing(parts: list[str]) -> str:
    """Join as in a sentence: a, b and c."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
