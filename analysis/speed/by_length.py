"""Time, memory and operations of a step by length: figures, crossings, exponents, tables, sequential steps."""

import math
from collections.abc import Sequence

from analysis.page.blocks import Block, Figures, Heading, Paragraph, Table
from analysis.page.labels import NONE, label, listing, span, whole
from analysis.page.look import Look
from analysis.speed.figures import MEMORY, OPERATIONS, STEP_TIME, drawn
from analysis.speed.runs import Speed
from analysis.speed.scaling_laws import Crossing, crossings, power_law, upper_half
from analysis.speed.units import QUARTILES, RATE, memory, operations, percent, times, with_quartiles
from analysis.store import System

COSTS = {"step_seconds": "step time", "peak_memory": "memory", "flops_per_step": "FLOPs"}
DEPTH = {  # Vaswani et al. 2017, Table 1; the row of LSTM + attention by the same counting
    "rnn": ("O(n·d²)", "O(n)", "O(n)"),
    "gru": ("O(n·d²)", "O(n)", "O(n)"),
    "lstm": ("O(n·d²)", "O(n)", "O(n)"),
    "bahdanau": ("O(n·d² + n²·d)", "O(n)", "O(1) source to target, else O(n)"),
    "transformer": ("O(n²·d)", "O(1)", "O(1)"),
}


def blocks(speed: Speed, look: Look) -> list[Block]:
    """Step time, memory and operations by length, with fits and crossings."""
    systems = speed.bases("length")
    if not systems:
        return []
    met = crossings(speed, [s for s in systems if speed.curve("length", s, "step_seconds")])
    figures = drawn(speed, look, "length", systems, (STEP_TIME, MEMORY, OPERATIONS), fitted=True, met=met)
    reading = (
        "Every batch has the same number of tokens, so longer sentences mean fewer of them. A "
        "cost linear in length is then a flat line, exponent 0; attention's quadratic one tends to exponent 1, once it "
        "outweighs the rest. The exponent is also above 0, without more operations, where positions are computed one "
        "after another on ever fewer rows: this is the cost of sequential computation."
    )
    caption = (
        f"{QUARTILES}; both axes are logarithmic, thin dotted lines power laws fitted to the "
        "longer half of the lengths, rings where two models cross, crosses at the top lengths that ran out of memory."
    )
    found: list[Block] = [Heading("By length"), Paragraph(reading)]
    found += [Figures(caption, figures)] if figures else []
    found += [*crossings_in_words(met, systems), *out_of_memory(speed, speed.systems("length"))]
    return [*found, *exponents(speed, systems), *tables(speed, systems), *sequential_steps(speed, systems)]


def crossings_in_words(found: Sequence[Crossing], shared: Sequence[System]) -> list[Block]:
    """The faster model below and above each crossing."""
    if len(shared) < 2:
        return []
    parts = []
    for crossing in found:
        interval = "" if math.isnan(crossing.x.low) else f" ({span(crossing.x, 0)} by process)"
        parts.append(
            f"up to length {crossing.x.value:.0f}{interval} the {label(crossing.before)} is faster than the "
            f"{label(crossing.after)}, beyond it slower"
        )
    none = "The curves of the base models do not cross within the lengths measured."
    text = "; ".join(parts)
    return [Paragraph(f"{text[0].upper()}{text[1:]}." if parts else none)]


def out_of_memory(speed: Speed, systems: Sequence[System]) -> list[Block]:
    found = [f"{label(s)} at length {listing([f'{x:g}' for x in out(speed, s)])}" for s in systems if out(speed, s)]
    return [Paragraph(f"Out of memory: {'; '.join(found)}.")] if found else []


def exponents(speed: Speed, systems: Sequence[System]) -> list[Block]:
    xs = sorted({x for system in systems for x in speed.curve("length", system, "step_seconds")})
    if len(xs) < 2:
        return []
    rows = []
    for system in systems:
        curves = [speed.values("length", system, metric) for metric in COSTS]
        for part, chosen in (("all", curves), ("longer half", [upper_half(curve) for curve in curves])):
            found = [power_law(curve) for curve in chosen]
            rows.append([label(system), part, *(times(fit.exponent) if fit else NONE for fit in found)])
    caption = (
        "Exponents in length at a fixed number of tokens per batch: least squares on logarithms (95 % t interval of "
        f"the slope), over all lengths at which a model was measured, within {xs[0]:g} to {xs[-1]:g}, and over the "
        "longer half of them."
    )
    return [Table(caption, ["model", "lengths", *COSTS.values()], rows, left=2)]


def tables(speed: Speed, systems: Sequence[System]) -> list[Block]:
    """Every base model at a few lengths, out of memory included."""
    every = sorted({x for s in systems for x in [*speed.curve("length", s, "step_seconds"), *out(speed, s)]})
    places = [(system, n) for system in systems for n in few(every)]
    times_taken = ["model", "length", "forward (ms)", "forward + backward (ms)", "step (ms)", "target tokens/s"]
    work_done = ["model", "length", "positions/s", "FLOP/s", "share of matmul peak", "peak memory"]
    clock = (
        f"Time at a fixed number of tokens per batch. {QUARTILES}. A step is forward, backward, clipping and the "
        "optimiser's update."
    )
    work = (
        "Work of the same steps. Positions count source and target with padding; operations are counted from the "
        "shapes, attention in full; memory is what a step allocates beyond parameters, gradients and optimiser state. "
        "The peak is that of torch's own matrix product; a faster fused kernel exceeds 100 %."
    )
    return [
        Table(clock, times_taken, [clock_row(speed, system, n) for system, n in places]),
        Table(work, work_done, [work_row(speed, system, n) for system, n in places]),
    ]


def out(speed: Speed, system: System) -> list[float]:
    return speed.out_of_memory("length", system)


def clock_row(speed: Speed, system: System, n: float) -> list[str]:
    name = [label(system), f"{n:g}"]
    if n in out(speed, system):
        return [*name, NONE, NONE, "out of memory", NONE]
    metrics = {"forward_seconds": 1000, "forward_backward_seconds": 1000, "step_seconds": 1000, RATE: 1}
    return [*name, *(with_quartiles(speed.median("length", system, m, "length", n), s) for m, s in metrics.items())]


def work_row(speed: Speed, system: System, n: float) -> list[str]:
    name = [label(system), f"{n:g}"]
    if n in out(speed, system):
        return [*name, NONE, NONE, NONE, "out of memory"]
    metrics = ("positions_per_second", "flops_per_second", "peak_share", "peak_memory")
    positions, flops, share, size = (speed.value("length", system, m, "length", n) for m in metrics)
    return [*name, whole(positions), operations(flops, "/s"), percent(share), memory(size)]


def sequential_steps(speed: Speed, systems: Sequence[System]) -> list[Block]:
    """Sequential steps next to the published complexities."""
    xs = {x for s in systems for x in speed.curve("length", s, "sequential_steps")}
    if not xs:
        return []
    ends = sorted({min(xs), max(xs)})
    rows = []
    for system in systems:
        steps = [whole(speed.value("length", system, "sequential_steps", "length", n)) for n in ends]
        rows.append([label(system), *DEPTH.get(system.model, (NONE, NONE, NONE)), *steps])
    header = ["model", "operations per layer", "sequential operations", "path between positions"]
    header += [f"steps at length {n:g}" for n in ends]
    caption = (
        "Sequential steps. Complexities per layer for length n and width d as in Vaswani et al. 2017, Table 1 "
        "(LSTM + attention: by the same counting); steps are those of the measured networks: source and "
        "target positions for recurrence, layers for the Transformer."
    )
    return [Table(caption, header, rows, left=4)]


def few(xs: Sequence[float]) -> list[float]:
    """The smallest, the middle and the largest."""
    return sorted({xs[0], xs[len(xs) // 2], xs[-1]}) if xs else []
