"""What a long-range figure shows, in sentences made from its numbers."""

from collections.abc import Mapping, Sequence

from analysis.long_range.evidence import HELD, Axis, Control, reach
from analysis.long_range.wording import at, at_most, one_value, quantity, starting_at
from analysis.page.labels import decimal, label, listing
from analysis.store import System
from experiments.record.metrics import MASTERED

DIP = 0.2  # of accuracy; more is no noise


def seen(axis: Axis) -> str:
    """One paragraph: where accuracy stays at 0.9 or above, and what happens beyond the range of training."""
    return " ".join([*held(axis), *beyond(axis)])


def seen_at(axis: Axis) -> str:
    """The same for an axis that was measured at one value."""
    name = named(list(axis.curves))
    found: dict[str, list[str]] = {"at least": [], "below": []}
    for system, (point, *_) in axis.curves.items():
        found["at least" if point.value >= HELD else "below"].append(f"{name[system]} ({decimal(point.value, 2)})")
    parts = [f"{side} {HELD} for {listing(models)}" for side, models in found.items() if models]
    where = one_value(axis.name, axis.xs[0])
    return f"{where[0].upper()}{where[1:]}: {', '.join(parts)}."


def errors(axis: Axis) -> str:
    """Squared errors at the largest value of training, or of all if none was recorded as trained, against chance."""
    edge = max([p.x for p in axis.points if p.trained] or axis.xs)
    name = named(list(axis.curves))
    each = [f"{name[s]} {p.value:.2g}" for s, curve in axis.curves.items() for p in curve if p.x == edge]
    levels = [f"answering {s} gives {y:.4f}" for s, line in axis.chance.items() for x, y in line if x == edge]
    against = f"; always {listing(levels)}" if levels else ""
    return f"Squared error {at(axis.vary, edge)}: {listing(each)}{against}."


def named(systems: Sequence[System]) -> dict[System, str]:
    """A name for each system: the variant alone where all are variants of one model."""
    one_model = len({system.model for system in systems}) == 1 and len(systems) > 1
    return {system: system.variant if one_model else label(system) for system in systems}


def held(axis: Axis) -> list[str]:
    """Within the trained range, or wherever it was measured if the range was not recorded."""
    name = named(list(axis.curves))
    inside = {s: [point for point in curve if point.trained is not False] for s, curve in axis.curves.items()}
    reaches = {name[system]: reach(points) for system, points in inside.items() if points}
    where = " within the range of training" if axis.beyond else ""
    everywhere = {system: r.x for system, r in reaches.items() if r.relation == ">"}
    nowhere = [system for system, r in reaches.items() if r.relation == "<"]
    falling = [f"{starting_at(axis.vary, r.x)} ({system})" for system, r in reaches.items() if not r.relation]
    sentences = []
    if everywhere:
        edge = f"{at_most(axis.vary)}{where} ({max(everywhere.values()):g})"
        sentences.append(f"Still at {HELD} or above {edge}: {listing(list(everywhere))}.")
    if falling:
        sentences.append(f"Below {HELD}{where} from {listing(falling)}.")
    if nowhere:
        sentences.append(f"Below {HELD} at every {quantity(axis.vary)}{where}: {listing(nowhere)}.")
    return sentences


def under_trained(systems: Sequence[System], controls: Mapping[System, Control]) -> str:
    """Models whose failures mean nothing; empty if all mastered the control."""
    name = named(systems)
    weak = {s: controls[s] for s in systems if s in controls and controls[s].under_trained}
    without = [name[s] for s in systems if s not in controls]
    sentences = []
    if weak:
        names = listing([f"{name[s]} (control {decimal(min(c.seeds.values()), 3)})" for s, c in weak.items()])
        cause = "failures there may be due to training, not to the model"
        sentences.append(f"Under-trained, below {MASTERED} even at the easiest setting: {names}; {cause}.")
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


def beyond(axis: Axis) -> list[str]:
    """Accuracy at the value farthest beyond training, against that at the edge of training."""
    parts, name = [], named(list(axis.curves))
    farthest = 0.0
    for system, curve in axis.curves.items():
        inside = [point for point in curve if point.trained]
        outside = [point for point in curve if point.trained is False]
        if inside and outside:
            side = -1 if outside[-1].x > inside[-1].x else 0
            edge, far = inside[side], outside[side]
            farthest = far.x
            parts.append(f"{name[system]} {decimal(far.value, 2)} (from {decimal(edge.value, 2)} at {edge.x:g})")
    if parts:
        return [f"Beyond the range of training, {at(axis.vary, farthest)}: {listing(parts)}."]
    if any(point.trained is None for point in axis.points) and not axis.metric.startswith("contrastive"):
        return ["Which values lie beyond training was not recorded."]
    return []
