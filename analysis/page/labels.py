"""How systems and numbers are shown, the same in every table and figure."""

import math
import re
from collections.abc import Iterable

from analysis.statistics.intervals import Interval
from analysis.store import System

NAMES = {
    "rnn": "plain RNN",
    "gru": "GRU",
    "lstm": "LSTM",
    "bahdanau": "LSTM + attention",
    "transformer": "Transformer",
}
SENTENCES = {
    "rnn": "A tanh cell without gates (Elman 1990) in the LSTM's place: the model that is said to forget.",
    "gru": "A gated cell without a memory of its own (Cho et al. 2014) in the LSTM's place.",
    "lstm": "An encoder and a decoder LSTM (Sutskever et al. 2014): all that the decoder knows of the source is the "
    "encoder's last state.",
    "bahdanau": "The same with additive attention (Bahdanau et al. 2015): at every step the decoder looks at a "
    "weighted sum of all encoder states.",
    "transformer": "Attention in place of recurrence (Vaswani et al. 2017): any two positions are one step apart, and "
    "a whole target is trained on at once.",
}
# Okabe and Ito's palette: told apart with any colour vision, and readable on white and on near-black
COLOURS = {"rnn": "#CC79A7", "gru": "#56B4E9", "lstm": "#D55E00", "bahdanau": "#009E73", "transformer": "#0072B2"}
FURTHER_COLOURS = ("#B8860B", "#AA4499", "#44AA99", "#999933", "#8C6BB1", "#7F7F7F")  # grey last: chance is grey
MARKERS = {"rnn": "D", "gru": "v", "lstm": "o", "bahdanau": "s", "transformer": "^"}
FURTHER_MARKERS = ("P", "X", "*", "h", "<", ">")
# The same markers as paths around the middle of 52 x 18, for the legend
MARKER_PATHS = {
    "o": "M26 3.5a5.5 5.5 0 1 0 .01 0Z",
    "s": "M21 4H31V14H21Z",
    "^": "M26 3L32 14H20Z",
    "v": "M26 15L32 4H20Z",
    "D": "M26 2.5L32.5 9L26 15.5L19.5 9Z",
}
ROUND = MARKER_PATHS["o"]  # for any other marker
DASHES = ("-", "--", ":", "-.")
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


def figure_name(*parts: str) -> str:
    """Parts as a file name and id."""
    return re.sub(r"[^\w-]+", "-", "-".join(part for part in parts if part))


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


class VariantLook(Look):
    """Variants of one model in one figure: the base keeps the model's colour, each other has one of its own."""

    def _variant(self, system: System) -> int:
        return [s for s in self.systems if s.variant != "base"].index(system)

    def colour(self, system: System) -> str:
        if system.variant == "base":
            return super().colour(system)
        return FURTHER_COLOURS[self._variant(system) % len(FURTHER_COLOURS)]

    def marker(self, system: System) -> str:
        if system.variant == "base":
            return super().marker(system)
        return FURTHER_MARKERS[self._variant(system) % len(FURTHER_MARKERS)]


def decimal(value: float, digits: int = 1) -> str:
    return NONE if math.isnan(value) else f"{value:.{digits}f}".replace("-", "−")


def signed(value: float) -> str:
    return NONE if math.isnan(value) else f"{value:+.1f}".replace("-", "−")


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


def together(text: str) -> str:
    """Words between which no line breaks."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def counted(n: float, one: str, many: str) -> str:
    """1 layer, 2 layers"""
    return f"{f'{n:g}' if isinstance(n, float) else n} {one if n == 1 else many}"


def listing(parts: list[str]) -> str:
    """Join as in a sentence: a, b and c."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
