"""Tables of one long-range task: accuracy by value, spread of the seeds, controls and costs."""

import math
from collections.abc import Callable, Mapping, Sequence

from analysis.long_range.axes import Axis, Control, reach, rows_of, share_of
from analysis.long_range.wording import heading, is_kind_of, most, settings
from analysis.page.blocks import Table
from analysis.page.curves import Point
from analysis.page.labels import NONE, decimal, label, shortest, span, together, whole, with_span
from analysis.statistics.intervals import t_interval
from analysis.store import Store, System
from experiments.record.metrics import MASTERED

NAMES = {
    "token_accuracy": "accuracy",
    "exact_match": "exact match",
    "squared_error": "squared error",
    "contrastive_accuracy": "accuracy, judged by total probability",
    "subject_flip": "right with the subject in either number, all other words the same",
    "attention_on_answer": "attention on the answer",
    "sense_probe": "senses read off the noun",
    "sense_attention": "attention on the place",
}
NEAR = "share within 0.04 of the sum"  # what counts as right where the answer is a number
# no shares of examples: their spread is that of the seeds
BY_SEED = ("squared_error", "attention_on_answer", "sense_attention")


def name_of(metric: str, task: str) -> str:
    return NEAR if metric == "token_accuracy" and is_kind_of(task, "adding") else NAMES.get(metric, metric)


def counted(points: Sequence[Point]) -> str:
    """n = 512 test examples per value and seed; 2 seeds"""
    sizes = sorted({point.n for point in points})
    n = whole(sizes[0]) if len(sizes) == 1 else f"{whole(sizes[0])} to {whole(sizes[-1])}"
    seeds = sorted({len(point.seeds) for point in points})
    of = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return f"n = {n} test examples per value and seed; {of} seed{'' if seeds == [1] else 's'}"


def header_of(axis: Axis) -> list[str]:
    return ["model", *(f"{x:g}{' (extrapolation)' if x in axis.beyond else ''}" for x in axis.xs)]


def by_value(axis: Axis) -> Table:
    """A row per system, a column per value; shares with their intervals and the value where 0.9 is lost."""
    header, rows = header_of(axis), grid(axis)
    if axis.metric not in BY_SEED and axis.xs[0] >= 0:
        header.append(f"{together(most(axis.vary))} {together('with ≥ 0.9')}")
        ends = [*(str(reach(curve)) for curve in axis.curves.values()), *(NONE for _ in axis.chance)]
        rows = [[*row, end] for row, end in zip(rows, ends, strict=True)]
    what = name_of(axis.metric, axis.task).capitalize()
    kind = "lowest to highest seed" if axis.metric in BY_SEED else "95 % intervals over test examples"
    caption = f"{what} by {heading(axis.name)}, mean over seeds ({kind}); {counted(axis.points)}."
    return Table(caption, header, rows)


def grid(axis: Axis) -> list[list[str]]:
    """Values with their intervals by system, then the chance lines."""
    digits = 4 if axis.metric == "squared_error" else 3
    rows = by_system(axis, lambda point: with_span(point.interval, digits))
    for name, line in axis.chance.items():
        rows.append([f"chance: {name}", *(decimal(dict(line).get(x, math.nan), digits) for x in axis.xs)])
    return rows


def by_system(axis: Axis, cell: Callable[[Point], str]) -> list[list[str]]:
    rows = []
    for system, curve in axis.curves.items():
        found = {point.x: cell(point) for point in curve}
        rows.append([label(system), *(found.get(x, NONE) for x in axis.xs)])
    return rows


def over_seeds(axis: Axis) -> Table | None:
    """The spread of the seeds, or None if no system has two."""
    if not any(len(point.seeds) > 1 for point in axis.points):
        return None
    caption = (
        f"Seeds of the {name_of(axis.metric, axis.task)}: lowest to highest; after “t” the 95 % t interval of their "
        "mean, an estimate for another training run."
    )
    return Table(caption, header_of(axis), by_system(axis, seed_cell))


def seed_cell(point: Point) -> str:
    values = list(point.seeds.values())
    if len(values) < 2:
        return f"{decimal(values[0], 3)}, one seed"
    return f"{decimal(min(values), 3)} to {decimal(max(values), 3)}; t {span(t_interval(values), 3)}"


def status(control: Control | None) -> str:
    if control is None:
        return "not decided: no control recorded"
    if control.mastered:
        return "mastered"
    if control.unable:
        return f"not learned with ten times the budget (control below {MASTERED})"
    weak = ", ".join(str(seed) for seed, value in control.seeds.items() if value < MASTERED)
    return f"under-trained (control below {MASTERED}, seed {weak})"


def control_table(store: Store, task: str, systems: Sequence[System], controls: Mapping[System, Control]) -> Table:
    """Whether each system learned its control, and what it cost."""
    header = ["model", "status", "control setting", "control accuracy", "each seed", f"steps to {MASTERED}"]
    header += ["parameters", "without embeddings", "steps", "training time"]
    rows = []
    for system in systems:
        control = controls.get(system)
        row = [label(system), status(control), NONE, NONE, NONE, NONE]
        if control:
            steps = [f"{whole(control.steps[s]) if s in control.steps else 'never'} ({s})" for s in control.seeds]
            each = [f"{decimal(value, 3)} ({seed})" for seed, value in control.seeds.items()]
            row[2:] = [settings(control.setting), with_span(control.interval, 3), ", ".join(each), ", ".join(steps)]
        for metric in ("parameters", "parameters_without_embeddings", "steps"):
            row.append(whole(mean_of(store, task, system, metric)))
        rows.append([*row, shortest(rows_of(store, task, "train_seconds", system)["value"])])
    flagged = {i for i, system in enumerate(systems) if system not in controls or controls[system].under_trained}
    caption = (
        f"Control: an easy setting of the same training. A model below {MASTERED} there was not trained enough for "
        "its failures to mean anything. Seeds are in brackets; sizes and steps are means over seeds, times those of "
        "the fastest seed, which compare only on the same machine and threads."
    )
    return Table(caption, header, rows, left=3, flagged=frozenset(flagged))


def mean_of(store: Store, task: str, system: System | None, metric: str, **where: str) -> float:
    return float(rows_of(store, task, metric, system, **where)["value"].mean())


def over_all_pairs(store: Store, task: str, systems: Sequence[System]) -> Table | None:
    """Contrastive accuracy over all pairs; None for a task that has no pairs."""
    recorded = {s: rows_of(store, task, "contrastive_accuracy", s, x_name="all") for s in systems}
    found = {s: share_of(rows) for s, rows in recorded.items() if len(rows)}
    if not found:
        return None
    pairs = max(point.n for point in found.values())
    table = [[label(s), with_span(point.interval, 3)] for s, point in found.items()]
    chance = mean_of(store, task, None, "chance: the more frequent number", x_name="all")
    caption = (
        f"Share of {whole(pairs)} pairs in which the right translation is the more probable; always choosing the "
        f"verb's more frequent number gives {decimal(chance, 3)}."
    )
    return Table(caption, ["model", NAMES["contrastive_accuracy"]], table)
