"""Which model remembers longer: accuracy on copying, or on the first task with a curve, within training and beyond."""

from collections.abc import Mapping

from analysis.claims.verdict import CENTRAL
from analysis.long_range.axes import EXPERIMENT, HELD, Axis, axes, controls, main_axis, tasks_of
from analysis.long_range.wording import at, heading, title
from analysis.page.blocks import Answer
from analysis.page.curves import Point, by_x
from analysis.page.labels import counted, label, listing, ordered
from analysis.page.look import Look
from analysis.store import Store, System

QUESTION = "Which remembers longer?"
TASK = "copy"


def answer(store: Store, look: Look) -> Answer:
    curves = {task: [axis.bases for axis in axes(store, task)] for task in tasks_of(store)}
    drawn = {task: found for task, found in curves.items() if any(axis.curves for axis in found)}
    if not drawn:
        ran = store.ran(EXPERIMENT)
        missing = "no long-range run has finished yet" if ran else f"the suite {store.suite} has no long-range runs"
        return Answer(QUESTION, f"No answer: {missing}.")
    task = TASK if TASK in drawn else next(iter(drawn))
    axis = main_axis(drawn[task])
    weak = {system: control for system, control in controls(store, task).items() if not control.mastered}
    notes = {s: f"({'not learned' if weak[s].unable else 'under-trained'})" for s in axis.curves if s in weak}
    name = f"answer-{axis.figure}"
    shown = by_x(name, title(task), look, axis.curves, axis.chance, heading(axis.name), "share right", notes=notes)
    seeds = counted(max(len(point.seeds) for point in axis.points), "seed", "seeds")
    caption = f"Share of the answer's tokens that are right ({seeds})."
    caption += " Hollow points are longer than anything trained on." if axis.beyond else ""
    caption += " Dashed: chance." if axis.chance else ""
    return Answer(QUESTION, in_words(axis, notes), [shown], caption)


def in_words(axis: Axis, weak: Mapping[System, str]) -> str:
    """The Transformer and the LSTM with attention at the longest trained value, the rest, and beyond training."""
    trained = max([point.x for point in axis.points if point.trained is not False] or axis.xs)
    here = points_at(axis, trained)
    where = f"On {title(axis.task).lower()} {at(axis.vary, trained)}{', the longest trained' if axis.beyond else ''}"
    sentences = []
    if all(system in here for system in CENTRAL):
        sentences.append(f"{where}, {central(here)}.")
        here = {system: point for system, point in here.items() if system not in CENTRAL}
    if here:
        notes = {system: f" {weak[system]}" if system in weak else "" for system in here}
        each = listing([f"{label(system)} {share(point)}{notes[system]}" for system, point in here.items()])
        sentences.append(f"Others: {each}." if sentences else f"{where}: {each}.")
    farthest = points_at(axis, max(axis.beyond, default=0))
    far = [f"{label(system)} {share(farthest[system])}" for system in CENTRAL if system in farthest]
    if far:
        sentences.append(f"Beyond training, {at(axis.vary, max(axis.beyond))}: {listing(far)}.")
    return " ".join(sentences)


def central(points: Mapping[System, Point]) -> str:
    """The Transformer against the LSTM with attention."""
    first, second = sorted(CENTRAL, key=lambda system: -points[system].value)
    one, other = points[first], points[second]
    if other.value >= HELD:
        return f"the {label(first)} and the {label(second)} both remember: {share(one)} and {share(other)} right"
    if one.interval.low > other.interval.high:
        return f"the {label(first)} remembers more than the {label(second)}: {share(one)} against {share(other)} right"
    return f"the {label(first)} and the {label(second)} do not clearly differ: {share(one)} and {share(other)} right"


def points_at(axis: Axis, x: float) -> dict[System, Point]:
    """By system, the Transformer first."""
    found = {system: point for system, curve in axis.curves.items() for point in curve if point.x == x}
    return {system: found[system] for system in reversed(ordered(found))}


def share(point: Point) -> str:
    return f"{100 * point.value:.0f} %"
