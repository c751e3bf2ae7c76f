"""How each system is drawn: its colour, marker and dashes, the same in every figure and in the legend."""

from collections.abc import Iterable
from copy import copy

from analysis.page.labels import MODELS, NAMES, ordered
from analysis.store import System

COLOURS = {model: row["colour"] for model, row in MODELS.items()}
FURTHER_COLOURS = ("#B8860B", "#AA4499", "#44AA99", "#999933", "#8C6BB1", "#7F7F7F")  # grey last: chance is grey
MARKERS = {model: row["marker"] for model, row in MODELS.items()}
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


class Look:
    """Colour, marker and dash of each system in one report: colour is the model's, dash the variant's."""

    def __init__(self, systems: Iterable[System]) -> None:
        self.systems = ordered(systems)
        others = [m for m in dict.fromkeys(s.model for s in self.systems) if m not in NAMES]
        self._colours = COLOURS | {m: FURTHER_COLOURS[i % len(FURTHER_COLOURS)] for i, m in enumerate(others)}
        self._markers = MARKERS | {m: FURTHER_MARKERS[i % len(FURTHER_MARKERS)] for i, m in enumerate(others)}

    def among(self, systems: Iterable[System]) -> "Look":
        """The same colours and markers where only these are drawn, so that few share a dash."""
        look = copy(self)
        look.systems = ordered(systems)
        return look

    def colour(self, system: System) -> str:
        return self._colours[system.model]

    def marker(self, system: System) -> str:
        return self._markers[system.model]

    def dash(self, system: System) -> str:
        variants = [s for s in self.systems if s.model == system.model]
        return DASHES[variants.index(system) % len(DASHES)]


class VariantLook(Look):
    """Variants in one figure: a base keeps its model's colour, each other has one of its own."""

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
