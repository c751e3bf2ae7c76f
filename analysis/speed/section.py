"""Speed: how fast each model trains and decodes, and how its cost grows with length, size and devices."""

from collections.abc import Sequence
from typing import NamedTuple

from analysis.page.blocks import Block, Figures, Heading, Notice, Paragraph, Section
from analysis.page.canvas import Figure
from analysis.page.labels import label
from analysis.page.look import Look, VariantLook
from analysis.page.run_sources import behind
from analysis.speed import decoding as speed_parts
from analysis.speed import machine as speed_machine
from analysis.speed import tables as speed_tables
from analysis.speed.figures import Chart, logarithmic
from analysis.speed.quality import Quality
from analysis.speed.runs import EXPERIMENT, Speed
from analysis.speed.scaling_laws import Crossing, crossings
from analysis.speed.wording import crossing_words, how_fast, how_it_grows
from analysis.store import Store, System


class Panel(NamedTuple):
    """A metric, how it is named, and the unit it is drawn in, which is `scale` times the recorded one."""

    metric: str
    what: str
    unit: str
    scale: float


STEP_TIME = Panel("step_seconds", "step time", "ms", 1e3)
MEMORY = Panel("peak_memory", "memory of a step", "MiB", 2.0**-20)
OPERATIONS = Panel("flops_per_step", "operations of a step", "GFLOP", 1e-9)
THROUGHPUT = Panel("target_tokens_per_second", "throughput", "target tokens/s", 1.0)
MODES = ("bf16", "compiled")  # suffixes of variants that change no network


def build(store: Store, speed: Speed, found: Sequence[Quality]) -> Section:
    section = Section("speed", "Speed", sources=behind(store, EXPERIMENT))
    if not speed.runs:
        section.blocks.append(Notice("No speed run has finished yet: there is nothing to compare."))
        return section
    look = Look(system for _, system in speed.runs)
    section.blocks += [Paragraph(text) for text in answers(speed)]
    section.blocks += speed_machine.blocks(speed)
    section.blocks += length(speed, look)
    for task in ("width", "batch"):
        section.blocks += sweep(speed, look, task)
    texts = speed.kind("text")
    section.blocks += [Heading("Real sentences")] if texts else []
    section.blocks += [speed_tables.real_text(speed, task) for task in texts]
    section.blocks += [*speed_parts.decoding(speed, look), *speed_parts.devices(speed, look)]
    for quality in found:
        section.blocks += speed_parts.to_quality(quality, look)
    peers = speed.kind("peers")
    section.blocks += [Heading("Beside other people's code")] if peers else []
    for task in peers:
        section.blocks += speed_parts.peers(speed, task)
    return section


def answers(speed: Speed) -> list[str]:
    """How fast each trains, and how that changes with length."""
    texts = [how_fast(speed, task) for task in speed.kind("text")] + [how_it_grows(speed)]
    return [" ".join(filter(None, texts))] if any(texts) else []


def summary(store: Store, speed: Speed) -> str:
    """What speed came to, in a sentence or two."""
    if not speed.runs:
        return f"No speed run of the suite {store.suite} has finished yet."
    texts = [how_fast(speed, task) for task in speed.kind("text")]
    first = next(filter(None, texts), "") or how_it_grows(speed)
    return f"Speed: {first[0].lower()}{first[1:]}" if first else f"Speed: {len(speed.runs)} runs."


def drawn(
    speed: Speed,
    look: Look,
    task: str,
    systems: Sequence[System],
    panels: Sequence[Panel],
    *,
    model: str = "",
    fitted: bool = False,
    met: Sequence[Crossing] = (),
) -> list[Figure]:
    """A figure for each panel that has values; `model` is the one whose variants are shown, `met` crosses in time."""
    absent = {s: gone for s in systems if (gone := speed.out_of_memory(task, s))}
    figures = []
    for panel in panels:
        curves = {s: curve for s in systems if (curve := speed.curve(task, s, panel.metric))}
        if curves:
            name = "-".join(filter(None, ("speed", panel.metric.replace("_", "-"), task, model)))
            title = f"{panel.what[0].upper()}{panel.what[1:]} by {task}"
            title = f"{label(System(model, 'base'))}: {panel.what} by {task}" if model else title
            x_label = "length (source and target)" if task == "length" else task
            fits = speed_tables.fits(speed, systems, panel.metric) if fitted else {}
            marks = met if panel is STEP_TIME else ()
            chart = Chart(name, title, x_label, panel.what, panel.unit, curves, fits, marks, absent, scale=panel.scale)
            figures.append(logarithmic(look, chart))
    return figures


def length(speed: Speed, look: Look) -> list[Block]:
    """Step time, memory and operations by length, with fits and crossings."""
    systems = speed.bases("length")
    if not systems:
        return []
    met = crossings(speed, [s for s in systems if speed.curve("length", s, "step_seconds")])
    figures = drawn(speed, look, "length", systems, (STEP_TIME, MEMORY, OPERATIONS), fitted=True, met=met)
    reading = (
        "The number of tokens in a batch is the same at every length, so that longer sentences mean fewer of them. A "
        "cost linear in length is then a flat line, exponent 0; attention's quadratic one tends to exponent 1, once it "
        "outweighs the rest. An exponent above 0 also arises without more operations, where positions are computed one "
        "after another on ever fewer rows: that is waiting."
    )
    caption = (
        "Medians over blocks with quartiles, both axes logarithmic; thin dotted lines are power laws fitted to the "
        "longer half of the lengths, rings where two models cross, crosses at the top lengths that ran out of memory."
    )
    blocks: list[Block] = [Heading("By length"), Paragraph(reading)]
    blocks += [Figures(caption, figures)] if figures else []
    blocks += [Paragraph(text) for text in [crossing_words(met, systems)] if text]
    blocks += [*speed_tables.note_absent(speed, speed.systems("length")), *speed_tables.crossing_table(met)]
    blocks += [*speed_tables.exponents(speed, systems), *speed_tables.by_length(speed, systems)]
    blocks += [*speed_tables.depth(speed, systems), *modes(speed)]
    return blocks


def modes(speed: Speed) -> list[Block]:
    """Precision, compilation and network variants."""
    table = speed_tables.variants(speed)
    if not table:
        return []
    shown: list[Block] = []
    for model in dict.fromkeys(system.model for system in speed.systems("length")):
        mine = [s for s in speed.systems("length") if s.model == model and not set(s.variant.split("-")) & set(MODES)]
        if len(mine) > 1:
            figures = drawn(speed, VariantLook(mine), "length", mine, (STEP_TIME, MEMORY), model=model)
            text = f"{label(System(model, 'base'))}: variants of the network against their base, 32-bit and eager."
            shown += [Figures(text, figures)] if figures else []
    return [Heading("Precision, compilation and variants"), *shown, *table]


def sweep(speed: Speed, look: Look, task: str) -> list[Block]:
    systems = speed.bases(task)
    if not systems:
        return []
    figures = drawn(speed, look, task, systems, (THROUGHPUT, MEMORY))
    shown: list[Block] = [Figures("Medians over blocks with quartiles, where they were kept.", figures)]
    return [Heading(f"By {task}"), *(shown if figures else []), speed_tables.sweep(speed, task)]
