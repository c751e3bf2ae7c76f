"""Long range: one section of the page for each task, from the question to curves, tables, controls and verdicts."""

import math
import re
from collections.abc import Sequence
from functools import partial

from analysis.long_range import networks as network_settings
from analysis.long_range import prose as words
from analysis.long_range import tables
from analysis.long_range.axes import (
    EXPERIMENT,
    TENFOLD,
    Axis,
    Control,
    axes,
    cells,
    controls,
    rows_of,
    systems_of,
    tasks_of,
)
from analysis.long_range.senses import attention
from analysis.long_range.wording import heading, is_kind_of, quantity, question, title
from analysis.page.blocks import Block, Figures, Heading, Notice, Paragraph, Section
from analysis.page.canvas import Figure, learning_curve, lines
from analysis.page.curves import by_x
from analysis.page.labels import NAMES, listing, ordered, slug
from analysis.page.look import Look, VariantLook
from analysis.page.run_sources import behind
from analysis.store import Store, System

DRAWN = ("token_accuracy", "exact_match", "squared_error", "contrastive_accuracy", "sense_probe")
METRICS = (*DRAWN, "subject_flip", "sense_attention")
JUDGED = ("token_accuracy", "contrastive_accuracy", "sense_probe", "sense_attention")  # what ablations speak of
LEARNING = {"val/token_accuracy": "validation accuracy", "val/control_accuracy": "accuracy on the control"}
GROUPS = {
    "position encodings": r"none|sinusoidal|learned|rotary|alibi",
    "hidden size": r"hidden\d+",
    "number of heads": r"heads\d+.*",
    "residual connections by depth": r"(no-)?residual.*|depth\d+|layers\d+",
    "forget-gate bias": r"forget.*|chrono",
    "one stack or two": r"(en|de)coder-only|prefix",
    "scaling by head size": r"(un)?scaled-.*|d\d+",
    "training budget": r"(.*-)?(tenfold|doubled)",
}


def build(store: Store, look: Look) -> list[Section]:
    sections = [task_section(store, look, task) for task in tasks_of(store)]
    nothing = Notice("No long-range run has finished yet: there is nothing to compare.")
    return sections or [Section("long-range", "Long range", [nothing])]


def task_section(store: Store, look: Look, task: str) -> Section:
    known, systems = controls(store, task), systems_of(store, task)
    repeated = one_answer(store, task)
    metrics = [metric for metric in METRICS if not (repeated and metric == "exact_match")]
    measured = [axis for metric in metrics for axis in axes(store, task, metric)]
    main = [axis.bases for axis in measured if axis.bases.curves]
    evidence = axis_blocks(look, main)
    evidence += [table for table in [tables.over_all_pairs(store, task, systems)] if table]
    evidence += ablations(measured, known)
    evidence += attention(store, task) if is_kind_of(task, "senses") else []
    texts = [question(task), *in_words(task, main, known)]
    texts += ["Exact match equals accuracy everywhere, so it is not shown."] if repeated else []
    blocks: list[Block] = [Paragraph(text) for text in texts if text]
    if not measured:
        blocks.append(Notice("The finished runs of this task recorded no accuracy."))
    blocks += evidence
    settings = network_settings.table(store, task, systems)
    blocks += [Heading("What was compared"), settings] if settings else []
    if not task.startswith("contrastive-") or known:
        blocks += [
            Heading("Was it trained enough, and at what cost?"),
            tables.control_table(store, task, systems, known),
        ]
        blocks += learning_curves(store, look, task)
    return Section(slug("task", task), title(task), blocks, behind(store, EXPERIMENT, task))


def one_answer(store: Store, task: str) -> bool:
    """Whether an answer is one token, as far as numbers tell: exact match is the accuracy, in every run everywhere."""
    exact, tokens = (cells(rows_of(store, task, metric)) for metric in ("exact_match", "token_accuracy"))
    return bool(exact) and all(
        key in tokens and math.isclose(value, tokens[key].get(seed, math.nan), abs_tol=1e-9)
        for key, seeds in exact.items()
        for seed, value in seeds.items()
    )


def in_words(task: str, main: Sequence[Axis], known: dict[System, Control]) -> list[str]:
    """Dips between trained values, and who was not trained enough."""
    dips = [(axis, words.dips(axis)) for axis in main if axis.metric == "exact_match"]
    texts = [f"Exact match by {heading(axis.name)}: {said}" for axis, said in dips if said]
    if known or not task.startswith("contrastive-"):
        texts.append(words.under_trained(ordered(s for axis in main for s in axis.curves), known))
    return texts


def axis_blocks(look: Look, measured: Sequence[Axis]) -> list[Block]:
    """For each axis its figures side by side, then a table for each metric."""
    blocks: list[Block] = []
    for name in dict.fromkeys(axis.name for axis in measured):
        here = [axis for axis in measured if axis.name == name]
        figures = [draw(axis, look, axis.figure) for axis in here if axis.metric in DRAWN]
        blocks += [Heading(f"By {heading(name)}")]
        if figures:
            blocks.append(Figures(caption(here), figures))
        blocks += [tables.by_value(axis) for axis in here]
        blocks += [table for table in [tables.over_seeds(here[0])] if table]
    return blocks


def draw(axis: Axis, look: Look, name: str, title: str = "") -> Figure:
    what = tables.name_of(axis.metric, axis.task)
    errors = axis.metric == "squared_error"
    levels = [y for line in axis.chance.values() for _, y in line]
    positive = min([*levels, *(point.interval.low for point in axis.points)]) > 0
    title = title or f"{what[0].upper()}{what[1:]} by {quantity(axis.vary)}".replace(
        ", judged by total probability", ""
    )
    log_y, x = errors and positive, heading(axis.name)
    return by_x(name, title, look, axis.curves, axis.chance, x, what, share=not errors, log_y=log_y)


def caption(measured: Sequence[Axis]) -> str:
    """What lines, bands, dots and shades mean in the figures of one axis."""
    axis = measured[0]
    text = f"By {heading(axis.name)}: lines are means over seeds, bands 95 % intervals over the test examples"
    if any(axis.metric == "squared_error" for axis in measured):
        text += " (of a squared error: lowest to highest seed)"
    text += ", dots single seeds. " if any(len(point.seeds) > 1 for point in axis.points) else ". "
    if axis.beyond:
        values = listing([f"{x:g}" for x in axis.beyond])
        text += (
            f"Shaded: from the smallest to the largest value of training, not all between. Hollow: beyond ({values}). "
        )
    text += "Dashed: chance level. " if axis.chance else ""
    return f"{text}{tables.counted(axis.points)}."


def group_of(variant: str) -> str:
    known = variant.removesuffix(f"-{TENFOLD}")
    return next((group for group, pattern in GROUPS.items() if re.fullmatch(pattern, known)), "other variants")


def ablations(measured: Sequence[Axis], known: dict[System, Control]) -> list[Block]:
    """Variants of a model against its base, by kind of change: a figure and a table for each axis."""
    blocks: list[Block] = []
    judged = [axis for axis in measured if axis.metric in JUDGED]
    kinds = [(s.model, group_of(s.variant)) for axis in judged for s in axis.curves if s.variant != "base"]
    for model, group in dict.fromkeys(kinds):
        parts = [axis.only(partial(belongs, model, group)) for axis in judged]
        parts = [part for part in parts if any(s.variant != "base" for s in part.curves)]
        systems = ordered(s for part in parts for s in part.curves)
        look = VariantLook(systems)
        weak = words.under_trained(systems, known) if known else ""
        blocks.append(Heading(f"Ablations: {group} ({NAMES.get(model, model)})"))
        blocks += [Paragraph(weak)] if weak else []
        for part in parts:
            name = slug(part.metric, part.task, part.name, model, group)
            figure = draw(part, look, name, f"{group[0].upper()}{group[1:]} by {quantity(part.vary)}")
            blocks += [Figures(caption([part]), [figure]), tables.by_value(part)]
    return blocks


def belongs(model: str, group: str, system: System) -> bool:
    return system.model == model and (system.variant == "base" or group_of(system.variant) == group)


def learning_curves(store: Store, look: Look, task: str) -> list[Block]:
    runs = [run for run in store.finished(EXPERIMENT, task) if run.variant == "base"]
    figures = []
    for metric, what in LEARNING.items():
        found = lines(store, runs, metric)
        if found:
            name = slug("curve", task, metric)
            title = f"{what[0].upper()}{what[1:]} by step"
            figures.append(learning_curve(name, title, look, found, "step", what))
    above: list[Block] = [Heading("Learning curves")]
    if not figures:
        return [*above, Paragraph("No finished run recorded its accuracy during training.")] if runs else []
    text = (
        "Accuracy on validation examples of all trained settings and on the control, one line per run. A long flat "
        "start and a sudden rise are typical: a run that ends on a flat curve may have been stopped before its rise."
    )
    if is_kind_of(task, "adding"):
        text += " On validation examples only the exact token of the sum counts as right."
    return [*above, Figures(text, figures)]
