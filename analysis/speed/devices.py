"""Weak and strong scaling over several devices or processes."""

import math

from analysis.page.blocks import Block, Figures, Heading, Paragraph, Table
from analysis.page.labels import label
from analysis.page.look import Look
from analysis.speed.figures import Chart, logarithmic
from analysis.speed.runs import Median, Speed
from analysis.speed.units import percent, rounded, with_quartiles
from analysis.store import System


def blocks(speed: Speed, look: Look) -> list[Block]:
    if "devices" not in speed.tasks:
        return []
    systems = speed.bases("devices")
    figures = []
    for kind in ("weak", "strong"):
        curves = {s: curve for s in systems if len(curve := speed_up(speed, s, kind)) > 1}
        if curves:
            ideal = [(x, x) for x in sorted({x for curve in curves.values() for x in curve})]
            name, title, what = (
                f"{speed.name}-devices-{kind}",
                f"{kind.capitalize()} scaling",
                "speed-up over one process",
            )
            figures.append(logarithmic(look, Chart(name, title, "processes", what, "", curves, ideal=ideal)))
    found: list[Block] = [Heading("Several devices"), Paragraph(in_words(speed))]
    if figures:
        found.append(Figures("Global target tokens/s relative to one process; dashed: proportional.", figures))
    rows = []
    for system in systems:
        for n in speed.curve("devices", system, "weak_tokens_per_second", "processes"):
            cells = [label(system), f"{n:g}", rounded(speed.value("devices", system, "threads_per_process"))]
            for kind in ("weak", "strong"):
                rate = speed.median("devices", system, f"{kind}_tokens_per_second", "processes", n)
                share = speed.value("devices", system, f"{kind}_efficiency", "processes", n)
                cells += [with_quartiles(rate), percent(share)]
            rows.append(cells)
    header = ["model", "processes", "threads each", "weak: tokens/s", "efficiency", "strong: tokens/s", "efficiency"]
    return [*found, Table("Target tokens/s of all processes together [quartiles].", header, rows)]


def in_words(speed: Speed) -> str:
    """Kinds of scaling, and whether the processes had GPUs."""
    run = next(run for (task, _), run in speed.runs.items() if task == "devices")
    gpus, cores = run.record["machine"].get("gpus"), run.record["machine"].get("cores")
    kind = f"GPUs ({', '.join(sorted(set(gpus)))})" if gpus else f"processes of one CPU with {cores} cores, no GPU"
    return (
        f"Measured on {kind}. Weak: each process keeps its batch, so the global batch grows. Strong: the global batch "
        "stays and is split. Efficiency is the rate over as many times the rate of one process."
    )


def speed_up(speed: Speed, system: System, kind: str) -> dict[float, Median]:
    """Rates divided by the median of one process."""
    curve = speed.curve("devices", system, f"{kind}_tokens_per_second", "processes")
    one = curve[1.0].value if 1.0 in curve else math.nan
    return {} if math.isnan(one) else {x: Median(*(value / one for value in median)) for x, median in curve.items()}
