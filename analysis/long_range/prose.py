"""What a reader must know of a long-range figure before its numbers: who was under-trained, and dips in between."""

from collections.abc import Mapping, Sequence

from analysis.long_range.axes import Axis, Control
from analysis.long_range.wording import at
from analysis.page.labels import decimal, label, listing
from analysis.store import System
from experiments.record.metrics import MASTERED

DIP = 0.2  # of accuracy; more is no noise


def named(systems: Sequence[System]) -> dict[System, str]:
    """A name for each system: the variant alone where all are variants of one model."""
    one_model = len({system.model for system in systems}) == 1 and len(systems) > 1
    return {system: system.variant if one_model else label(system) for system in systems}


def under_trained(systems: Sequence[System], controls: Mapping[System, Control]) -> str:
    """Models whose failures mean nothing; empty if all mastered the control."""
    name = named(systems)
    weak = {s: controls[s] for s in systems if s in controls and controls[s].under_trained}
    without = [name[s] for s in systems if s not in controls]
    sentences = []
    if weak:
        names = listing([f"{name[s]} (control {decimal(min(c.seeds.values()), 3)})" for s, c in weak.items()])
        cause = "failures there may be due to training, not to the model"
        sentences.append(f"Under-trained, below {MASTERED} even on the control: {names}; {cause}.")
    if without:
        sentences.append(f"No control was recorded for {listing(without)}, so a failure there decides nothing.")
    return " ".join(sentences)


def dips(axis: Axis) -> str:
    """Values within training where a model is far worse than at the values around them; empty without any."""
    name, parts = named(list(axis.curves)), []
    for system, curve in axis.curves.items():
        inside = [point for point in curve if point.trained]
        for before, point, after in zip(inside, inside[1:], inside[2:], strict=False):
            if min(before.value, after.value) - point.value > DIP:
                around = (
                    f"between {decimal(before.value, 2)} at {before.x:g} and {decimal(after.value, 2)} at {after.x:g}"
                )
                parts.append(f"{name[system]} {decimal(point.value, 2)} {at(axis.vary, point.x)}, {around}")
    return f"Far worse between trained values: {'; '.join(parts)}." if parts else ""
