"""The page of a comparison: both sides, their differences by experiment and task, what only one side has."""

import math
from collections import Counter
from collections.abc import Sequence

from analysis.compare.differences import TWO, UNKNOWN, Comparison, Difference, Seeds, mean, source_of
from analysis.compare.figure import drawable, forest, points_of, row_label, system_of
from analysis.compare.sides import Place, Side, named
from analysis.page.blocks import Block, Code, Figures, Heading, Listing, Notice, Paragraph, Section, Table
from analysis.page.canvas import Figure
from analysis.page.labels import NONE, counted, decimal, label, listing, ordered, slug, whole
from analysis.page.look import Look
from analysis.page.prose import PROSE
from analysis.store import System

TITLES = {
    "bleu": "Translation",
    "long-range": "Long range",
    "language": "Language models",
    "speed": "Speed",
    "": "Numbers of no named experiment",
}
# What the page has row by row; of all other metrics it has the largest difference, and compare.csv every row
SHOWN = {
    "bleu": (
        "bleu",
        "bleu_tokenised",
        "chrf",
        "length_ratio",
        "val_bleu",
        "target_tokens_per_second",
        "decode_seconds",
    ),
    "long-range": ("token_accuracy", "control_accuracy", "squared_error", "contrastive_accuracy"),
    "language": ("loss", "token_accuracy", "context_gain", "target_tokens_per_second"),
    "speed": (
        "step_seconds",
        "target_tokens_per_second",
        "peak_memory",
        "greedy_tokens_per_second",
        "beam5_tokens_per_second",
        "strong_tokens_per_second",
        "weak_tokens_per_second",
        "sentences_per_second",
    ),
}
REFUSED = {
    TWO: "not subtracted; B / A shows how the machines compare, not the models or commits.",
    UNKNOWN: "shown side by side, neither subtracted nor divided: one machine may not have made both.",
}
NAMED_ONE_BY_ONE = 20  # more of them are named together, with their number


def build(a: Side, b: Side, found: Comparison) -> list[Section]:
    look = Look(System(place.model, place.variant) for side in (a, b) for place in side.places)
    sections = [sides(a, b, found)]
    for experiment in dict.fromkeys(d.place.experiment for d in found.differences):
        mine = [d for d in found.differences if d.place.experiment == experiment]
        shown = list(dict.fromkeys(d.place.metric for d in mine))
        if experiment in SHOWN and "table" not in (a.kind, b.kind):
            shown = [metric for metric in SHOWN[experiment] if metric in shown]
        sections.append(one_experiment(experiment, mine, shown, look))
    return [*sections, one_sided(a, b, found), reading()]


def summary(a: Side, b: Side, found: Comparison) -> str:
    equal = sum(d.equal for d in found.differences)
    certain = [d for d in found.differences if not math.isnan(d.change.low)]
    return (
        f"A is {a.path}, B is {b.path}. {counted(len(found.differences), 'number is', 'numbers are')} in both, {equal} "
        f"equal to the last digit; of {counted(len(certain), 'difference', 'differences')} with an interval, "
        f"{sum(d.beyond for d in certain)} exclude 0. In A alone: {len(found.only_a)}, in B alone: {len(found.only_b)}."
    )


def sides(a: Side, b: Side, found: Comparison) -> Section:
    """Where both come from, and what that forbids."""
    rows = [
        ["results", *(f"{side.kind} {side.suite}" for side in (a, b))],
        ["path", *(Code(side.path) for side in (a, b))],
        ["numbers", *(whole(len(side.numbers)) for side in (a, b))],
        ["machines", *("; ".join(side.machines) or "unknown" for side in (a, b))],
        ["commits", *(", ".join(commit[:8] for commit in side.commits) or "unknown" for side in (a, b))],
    ]
    blocks: list[Block] = [Table("The two sides.", ["", "A", "B"], rows, left=3, wrap=True)]
    if not found.differences:
        blocks.append(
            Notice("No number is in both: experiment, task, model, variant, metric and x must be named alike.")
        )
    refused = Counter(d.how.removeprefix("refused: ") for d in found.differences if d.how.startswith("refused"))
    for why, consequence in REFUSED.items():
        if refused[why]:
            many = counted(refused[why], "time or rate is", "times and rates are")
            blocks.append(Notice(f"{why.capitalize()}: {many} {consequence}"))
    same = [d for d in found.differences if d.same_origin and not d.timed]
    changed = [d for d in same if d.changed]
    if changed:
        metrics = listing(list(dict.fromkeys(words(d.place.metric) for d in changed)))
        blocks.append(
            Notice(
                f"Same commit and same machine, yet {len(changed)} of {len(same)} numbers other than times differ "
                f"at the same seed ({metrics}): the settings were not the same, or training does not repeat itself."
            )
        )
    for side in (a, b):
        blocks += unfinished(side)
    return Section("sides", "What is compared", blocks)


def unfinished(side: Side) -> list[Block]:
    """Runs without a result, and files that could not be used, by name."""
    if side.store is None:
        return []
    items = [f"{run.name}: {run.status}" for run in side.store.runs if run.status != "finished"]
    items += dict.fromkeys(side.store.problems)
    return [Notice(f"Runs and files of {side.name} that are in no number here:"), Listing(items)] if items else []


def one_experiment(experiment: str, found: Sequence[Difference], shown: Sequence[str], look: Look) -> Section:
    """A figure and a table for each task, then the metrics that are not shown row by row."""
    section = Section(f"compare-{slug(experiment) or 'none'}", TITLES.get(experiment, experiment))
    by_task = {task: [d for d in found if d.place.task == task] for task in dict.fromkeys(d.place.task for d in found)}
    charts = [chart for task, mine in by_task.items() for chart in chart_of(experiment, task, mine, shown, look)]
    if charts:
        section.blocks.append(Figures(PROSE["figures of differences"], charts))
    for task, mine in by_task.items():
        rows = [d for metric in shown for d in mine if d.place.metric == metric]
        if rows:
            section.blocks.append(Heading(task or "no named task"))
            section.blocks.append(rows_table(rows))
    rest = [d for d in found if d.place.metric not in shown]
    section.blocks += [rest_table(rest)] if rest else []
    return section


def chart_of(experiment: str, task: str, found: Sequence[Difference], shown: Sequence[str], look: Look) -> list[Figure]:
    """The first metric of a task that can be drawn; none if no difference is allowed."""
    for metric in shown:
        points = [d for d in found if d.place.metric == metric and drawable(d)]
        if points:
            name = "-".join(["compare", *(slug(part) or "none" for part in (experiment, task))])
            return [forest(name, task or "no named task", look, points)]
    return []


def rows_table(found: Sequence[Difference]) -> Table:
    """One row per place; a column that would be empty is left out."""
    header = ["model", "metric", "at", "A", "B", "B − A", "95 % interval", "B / A", "interval rests on", "source"]
    ranked = ordered(map(system_of, found))
    metrics = list(dict.fromkeys(d.place.metric for d in found))
    rows: list[list[str]] = []
    flagged: set[int] = set()
    for d in [d for metric in metrics for s in ranked for d in points_of(found, s) if d.place.metric == metric]:
        low, high = (shown_value(value, d.unit) for value in (d.change.low, d.change.high))
        flagged |= {len(rows)} if d.beyond else set()
        rows.append(
            [
                label(system_of(d)),
                words(d.place.metric),
                at(d.place),
                with_seeds(d.a, d.unit),
                with_seeds(d.b, d.unit),
                "0" if d.equal and not math.isnan(d.change.value) else signed(d.change.value, d.unit),
                NONE if math.isnan(d.change.low) else f"{low} to {high}",
                decimal(d.ratio, 3),
                f"{d.how}; excludes 0" if d.beyond else d.how,
                source_of(d.a, d.b) or NONE,
            ]
        )
    kept = [i for i in range(len(header)) if i < header.index("95 % interval") or any(row[i] != NONE for row in rows)]
    units = listing([f"{words(m)} in {d.unit}" for m in metrics if (d := first_of(found, m)).unit] or ["no unit"])
    caption = f"A and B are means over seeds ({units}); rows whose interval excludes 0 are marked."
    cells = [[row[i] for i in kept] for row in rows]
    return Table(caption, [header[i] for i in kept], cells, left=3, flagged=frozenset(flagged))


def rest_table(found: Sequence[Difference]) -> Table:
    rows = []
    for metric in dict.fromkeys(d.place.metric for d in found):
        mine = [d for d in found if d.place.metric == metric]
        known = [d for d in mine if not math.isnan(d.change.value)]
        largest = max(known, key=lambda d: abs(d.change.value), default=None)
        row = [words(metric), whole(len(mine)), whole(sum(d.equal for d in mine)), whole(sum(d.beyond for d in mine))]
        if largest is None:
            row += [mine[0].how, NONE]
        elif largest.change.value == 0:
            row += ["0", NONE]
        else:
            place = largest.place
            row += [signed(largest.change.value, largest.unit)]
            row += [", ".join(filter(None, (place.task, row_label(largest, at=False), at(place))))]
        rows.append(row)
    header = ["metric", "in both", "equal", "interval excludes 0", "largest B − A", "where"]
    return Table("All other metrics; every row of them is in compare.csv.", header, rows)


def one_sided(a: Side, b: Side, found: Comparison) -> Section:
    """What cannot be compared, by name: one line for each task and set of metrics."""
    section = Section("alone", "What only one side has")
    for side, places in ((a, found.only_a), (b, found.only_b)):
        title = f"In {side.name} alone: {counted(len(places), 'number', 'numbers')}"
        section.blocks.append(Heading(title))
        section.blocks.append(Listing(names(places)) if places else Paragraph(f"Everything in {side.name} is in both."))
    return section


def names(places: Sequence[Place]) -> list[str]:
    """Places in words; those of one task and system together, systems that lack the same together."""
    if len(places) <= NAMED_ONE_BY_ONE:
        return [named(place) for place in places]
    metrics: dict[tuple[str, str, System], Counter[str]] = {}
    for place in places:
        key = (place.experiment, place.task, System(place.model, place.variant))
        metrics.setdefault(key, Counter())[place.metric] += 1
    lines: dict[tuple[str, str, str], list[System]] = {}
    for (experiment, task, system), counts in metrics.items():
        text = ", ".join(f"{words(metric)}{f' ({n})' if n > 1 else ''}" for metric, n in counts.items())
        lines.setdefault((experiment, task, text), []).append(system)
    return [
        f"{', '.join(filter(None, (experiment, task)))}: {listing([label(s) for s in ordered(systems)])}: {text}"
        for (experiment, task, text), systems in lines.items()
    ]


def reading() -> Section:
    texts = [
        PROSE["Welch"],
        PROSE["Newcombe"],
        PROSE["paired bootstrap"],
        "None: one seed on a side and no test examples to count, or no spread: chance may explain any difference.",
        "Times, rates and shares of a machine's peak are subtracted only if one machine made both sides.",
    ]
    return Section("reading", "How the intervals are made", [Listing(texts), Paragraph(PROSE["number of intervals"])])


def with_seeds(seeds: Seeds, unit: str) -> str:
    """The mean, and of how many seeds if there are several."""
    value = shown_value(mean(seeds), unit)
    return value if len(seeds) == 1 else f"{value} ({len(seeds)} seeds)"


def first_of(found: Sequence[Difference], metric: str) -> Difference:
    return next(d for d in found if d.place.metric == metric)


def shown_value(value: float, unit: str) -> str:
    """BLEU and chrF to hundredths, shares to thousandths, all else to four significant digits."""
    if unit in ("BLEU", "chrF", "share"):
        return decimal(value, 3 if unit == "share" else 2)
    if math.isnan(value) or abs(value) >= 1000:
        return whole(value).replace("-", "−")
    return f"{value:.4g}".replace("-", "−")


def signed(value: float, unit: str) -> str:
    return f"+{shown_value(value, unit)}" if value > 0 else shown_value(value, unit)


def at(place: Place) -> str:
    return f"{words(place.x_name)} {place.x}".strip()


def words(name: str) -> str:
    return name.replace("_", " ")
