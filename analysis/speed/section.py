"""Speed: how fast each model trains and decodes, and how its cost grows with length, size and devices."""

import math
from collections.abc import Sequence

from analysis.page.blocks import Block, Figures, Heading, Notice, Paragraph, Section, Table
from analysis.page.labels import NONE, label, listing, together, whole
from analysis.page.look import Look
from analysis.page.run_sources import behind
from analysis.speed import by_length, decoding, devices, machine, peers, variants
from analysis.speed.figures import MEMORY, THROUGHPUT, drawn
from analysis.speed.quality import Quality, to_quality
from analysis.speed.runs import EXPERIMENT, Speed, ratio
from analysis.speed.units import QUARTILES, RATE, percent, rounded, text_title, times, with_quartiles
from analysis.store import Store


def build(store: Store, speed: Speed, found: Sequence[Quality]) -> Section:
    """Of the suite reported, or of another one on another kind of machine, whose runs have numbers of its own."""
    title, own = f"Speed {speed.place}".rstrip(), speed.store is store
    section = Section(speed.name, title, sources=behind(store, EXPERIMENT) if own else [])
    if not speed.runs:
        section.blocks.append(Notice("No speed run has finished yet."))
        return section
    look = Look(system for _, system in speed.runs)
    section.blocks += [] if own else [Paragraph(f"The report of SUITE={speed.store.suite} lists these runs.")]
    section.blocks += machine.blocks(speed)
    section.blocks += [*by_length.blocks(speed, look), *variants.blocks(speed)]
    for task in ("width", "batch"):
        section.blocks += sweep(speed, look, task)
    texts = speed.kind("text")
    section.blocks += [Heading("Real sentences")] if texts else []
    section.blocks += [real_text(speed, task) for task in texts]
    section.blocks += [*decoding.blocks(speed, look), *devices.blocks(speed, look)]
    for quality in found:
        section.blocks += to_quality(quality, speed, look)
    compared = speed.kind("peers")
    section.blocks += [Heading("Compared with other toolkits")] if compared else []
    for task in compared:
        section.blocks += peers.blocks(speed, task)
    return section


def sweep(speed: Speed, look: Look, task: str) -> list[Block]:
    systems = speed.bases(task)
    if not systems:
        return []
    figures = drawn(speed, look, task, systems, (THROUGHPUT, MEMORY))
    shown: list[Block] = [Figures(f"{QUARTILES}, where recorded.", figures)]
    return [Heading(f"By {task}"), *(shown if figures else []), sweep_table(speed, task)]


def sweep_table(speed: Speed, task: str) -> Table:
    """Target tokens/s and share of the matmul peak by width or batch."""
    systems = speed.bases(task)
    xs = sorted({x for s in systems for x in [*speed.curve(task, s, "step_seconds"), *speed.out_of_memory(task, s)]})
    rows = []
    for system in systems:
        cells = dict.fromkeys(xs, NONE) | dict.fromkeys(speed.out_of_memory(task, system), "out of memory")
        for x, rate in speed.values(task, system, RATE).items():
            cells[x] = together(f"{rounded(rate)} ({percent(speed.value(task, system, 'peak_share', task, x))})")
        rows.append([label(system), *(cells[x] for x in xs)])
    lengths = speed.held(task, "length")
    at = f" at length {listing([str(n) for n in lengths])}" if lengths else ""
    caption = f"Target tokens/s by {task}{at}, in brackets the share of the measured matmul peak."
    return Table(caption, ["model", *(f"{task} {x:g}" for x in xs)], rows)


def real_text(speed: Speed, task: str) -> Table:
    """Bare step against the Trainer on real sentences."""
    rows = []
    for system in speed.systems(task):
        bare, trainer = (speed.series(task, system, RATE, "loop", loop) for loop in ("bare", "trainer"))
        compared = NONE if math.isnan(bare.median.value + trainer.median.value) else times(ratio(trainer, bare))
        cells = [label(system), with_quartiles(bare.median), with_quartiles(trainer.median), compared]
        metrics = ("source_and_target_tokens_per_second", "positions_per_second", "padding_share")
        *rates, padding = (speed.value(task, system, metric, "loop", "bare") for metric in metrics)
        rows.append([*cells, *map(whole, rates), percent(padding)])
    header = ["model", "target tokens/s, bare step", "through the Trainer", "Trainer to bare"]
    header += ["source + target tokens/s", "positions/s", "padding"]
    caption = (
        f"Real sentences, {text_title(task)}: the bare training step, and the same batches through the Trainer. "
        f"{QUARTILES}; ratios hold the 95 % intervals of every process over rounds. Other columns: bare step."
    )
    return Table(caption, header, rows)
