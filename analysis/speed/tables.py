"""Tables of the sweeps: time, throughput, memory and depth by length; exponents; variants against their base."""

import math
from collections.abc import Sequence

from analysis.page.blocks import Block, Paragraph, Table
from analysis.page.labels import NAMES, NONE, decimal, label, listing, span, together, whole
from analysis.speed.runs import Curve, Speed, ratio
from analysis.speed.scaling_laws import Crossing, Fit, power_law, upper_half
from analysis.speed.wording import (
    RATE,
    figure,
    memory,
    milliseconds,
    operations,
    percent,
    text_title,
    times,
    with_quartiles,
)
from analysis.store import System

COSTS = {"step_seconds": "step time", "peak_memory": "memory", "flops_per_step": "FLOPs"}
DEPTH = {  # Vaswani et al. 2017, Table 1; the row with attention on top follows from the same counting
    "rnn": ("O(n·d²)", "O(n)", "O(n)"),
    "gru": ("O(n·d²)", "O(n)", "O(n)"),
    "lstm": ("O(n·d²)", "O(n)", "O(n)"),
    "bahdanau": ("O(n·d² + n²·d)", "O(n)", "O(1) source to target, else O(n)"),
    "transformer": ("O(n²·d)", "O(1)", "O(1)"),
}


def few(xs: Sequence[float]) -> list[float]:
    """The smallest, the middle and the largest."""
    return sorted({xs[0], xs[len(xs) // 2], xs[-1]}) if xs else []


def values(curve: Curve) -> dict[float, float]:
    return {x: median.value for x, median in curve.items()}


def fits(speed: Speed, systems: Sequence[System], metric: str) -> dict[System, Fit]:
    """Exponents over the longer half of the lengths."""
    found = {s: power_law(upper_half(values(speed.curve("length", s, metric)))) for s in systems}
    return {system: fit for system, fit in found.items() if fit}


def exponents(speed: Speed, systems: Sequence[System]) -> list[Block]:
    xs = sorted({x for system in systems for x in speed.curve("length", system, "step_seconds")})
    if len(xs) < 2:
        return []
    rows = []
    for system in systems:
        curves = [values(speed.curve("length", system, metric)) for metric in COSTS]
        for part, chosen in (("all", curves), ("longer half", [upper_half(curve) for curve in curves])):
            found = [power_law(curve) for curve in chosen]
            rows.append([label(system), part, *(times(fit.exponent) if fit else NONE for fit in found)])
    upper = sorted(upper_half(dict.fromkeys(xs, 1.0)))
    caption = (
        "Exponents in length at a fixed number of tokens a batch: least squares on logarithms (95 % t interval of the "
        f"slope), over all lengths, {xs[0]:g} to {xs[-1]:g}, and over the longer half, {upper[0]:g} to {upper[-1]:g}, "
        "less where memory ran out."
    )
    return [Table(caption, ["model", "lengths", *COSTS.values()], rows, left=2)]


def by_length(speed: Speed, systems: Sequence[System]) -> list[Block]:
    """Every base model at a few lengths; a length without memory says so."""
    every = sorted({x for s in systems for x in [*speed.curve("length", s, "step_seconds"), *out(speed, s)]})
    places = [(system, n) for system in systems for n in few(every)]
    times_taken = ["model", "length", "forward (ms)", "forward + backward (ms)", "step (ms)", "target tokens/s"]
    work_done = ["model", "length", "positions/s", "computed", "share of matmul peak", "peak memory"]
    clock = (
        "Time at a fixed number of tokens a batch: medians over blocks [quartiles]. A step is forward, backward, "
        "clipping and the optimiser's update."
    )
    work = (
        "Work of the same steps. Positions count source and target with padding; operations are counted from the "
        "shapes, attention in full; memory is what a step allocates beyond parameters, gradients and optimiser state. "
        "The peak is that of torch's own matrix product; a fused kernel that multiplies faster comes out above 100 %."
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
    cells = []
    for metric in ("forward_seconds", "forward_backward_seconds", "step_seconds"):
        cells.append(with_quartiles(speed.median("length", system, metric, "length", n), 1000))
    return [*name, *cells, with_quartiles(speed.median("length", system, RATE, "length", n))]


def work_row(speed: Speed, system: System, n: float) -> list[str]:
    name = [label(system), f"{n:g}"]
    if n in out(speed, system):
        return [*name, NONE, NONE, NONE, "out of memory"]
    metrics = ("positions_per_second", "flops_per_second", "peak_share", "peak_memory")
    positions, flops, share, size = (speed.value("length", system, m, "length", n) for m in metrics)
    return [*name, whole(positions), operations(flops, "/s"), percent(share), memory(size)]


def crossing_table(found: Sequence[Crossing]) -> list[Block]:
    if not found:
        return []
    rows = []
    for crossing in found:
        pair = f"{label(crossing.before)} below, {label(crossing.after)} above"
        between = span(crossing.x, 0) if not math.isnan(crossing.x.low) else NONE
        rows.append([pair, figure(crossing.x.value), between, milliseconds(crossing.y)])
    caption = (
        "Lengths at which step times cross, on straight lines between logarithms; 95 % intervals from 1,000 draws of "
        "the timed rounds, none where fewer than 95 % of the draws cross or blocks were not kept."
    )
    return [Table(caption, ["the faster", "length", "95 % interval", "step (ms)"], rows)]


def depth(speed: Speed, systems: Sequence[System]) -> list[Block]:
    """Dependent steps beside the published complexities."""
    ends = few(sorted({x for s in systems for x in speed.curve("length", s, "sequential_steps")}))
    if not ends:
        return []
    ends = [ends[0], ends[-1]] if len(ends) > 1 else ends
    rows = []
    for system in systems:
        steps = [whole(speed.value("length", system, "sequential_steps", "length", n)) for n in ends]
        rows.append([label(system), *DEPTH.get(system.model, (NONE, NONE, NONE)), *steps])
    header = ["model", "operations per layer", "sequential operations", "path between positions"]
    header += [f"dependent steps at length {n:g}" for n in ends]
    caption = (
        "What must wait for what. Complexities per layer for length n and width d as in Vaswani et al. 2017, Table 1 "
        "(LSTM + attention: by the same counting); dependent steps are those of the networks measured, source and "
        "target positions for recurrence, layers for the Transformer."
    )
    return [Table(caption, header, rows, left=4)]


def sweep(speed: Speed, task: str) -> Table:
    """Target tokens/s and share of the matmul peak by width or batch."""
    systems = speed.bases(task)
    xs = sorted({x for s in systems for x in [*speed.curve(task, s, "step_seconds"), *speed.out_of_memory(task, s)]})
    rows = []
    for system in systems:
        cells = [label(system)]
        for x in xs:
            rate, share = (speed.value(task, system, m, task, x) for m in (RATE, "peak_share"))
            if x in speed.out_of_memory(task, system):
                cells.append("out of memory")
            else:
                cells.append(NONE if math.isnan(rate) else together(f"{figure(rate)} ({percent(share)})"))
        rows.append(cells)
    lengths = speed.held(task, "length")
    held = f" at length {listing([str(n) for n in lengths])}" if lengths else ""
    caption = f"Target tokens/s by {task}{held}, in brackets the share of the measured matmul peak."
    return Table(caption, ["model", *(f"{task} {x:g}" for x in xs)], rows)


def variants(speed: Speed) -> list[Block]:
    """Precision, compilation and network variants against the base of the same model, in the same run."""
    others = [s for s in speed.systems("length") if s.variant != "base"]
    pairs = [(s, System(s.model, "base")) for s in others if ("length", System(s.model, "base")) in speed.runs]
    shared = {(s, b): common(speed, s, b) for s, b in pairs}
    ends = few(sorted({x for xs in shared.values() for x in xs}))
    if not ends:
        return []
    rows = []
    for system, base in pairs:
        cells = [NAMES.get(system.model, system.model), system.variant]
        for n in ends:
            if n in out(speed, system):
                cells.append("out of memory")
            elif n in shared[system, base]:
                pair = (speed.series("length", s, "step_seconds", "length", n) for s in (base, system))
                cells.append(times(ratio(*pair)))
            else:
                cells.append(NONE)
        cells.append(memory_ratio(speed, system, base, shared[system, base]))
        compiled = [median.value for median in speed.curve("length", system, "compile_seconds").values()]
        rows.append([*cells, f"{max(compiled):.1f}" if compiled else NONE])
    header = ["model", "variant", *(f"speed at length {n:g}" for n in ends), "memory", "longest compilation (s)"]
    caption = (
        "Speed of a variant relative to the base (32-bit, eager) of the same model: 2 is twice as fast; 95 % intervals "
        "of the median over rounds that timed both. Memory relative to the base at the longest length of both."
    )
    return [Table(caption, header, rows, left=2)]


def common(speed: Speed, system: System, base: System) -> list[float]:
    own, other = (speed.curve("length", s, "step_seconds") for s in (system, base))
    return [x for x in own if x in other]


def memory_ratio(speed: Speed, system: System, base: System, xs: Sequence[float]) -> str:
    if not xs:
        return NONE
    a, b = (speed.value("length", s, "peak_memory", "length", max(xs)) for s in (system, base))
    return decimal(a / b, 2)


def real_text(speed: Speed, task: str) -> Table:
    """Bare step against the Trainer on real sentences."""
    rows = []
    for system in speed.systems(task):
        bare, trainer = (speed.series(task, system, RATE, "loop", loop) for loop in ("bare", "trainer"))
        compared = NONE if math.isnan(bare.median.value + trainer.median.value) else times(ratio(trainer, bare))
        cells = [label(system), with_quartiles(bare.median), with_quartiles(trainer.median), compared]
        for metric in ("source_and_target_tokens_per_second", "positions_per_second"):
            cells.append(whole(first_of(speed, task, system, metric)))
        rows.append([*cells, percent(first_of(speed, task, system, "padding_share"))])
    header = ["model", "target tokens/s, bare step", "through the Trainer", "Trainer to bare"]
    header += ["source + target tokens/s", "positions/s", "padding"]
    caption = (
        f"Real sentences, {text_title(task)}: the bare training step, and the same batches through the Trainer; "
        "medians over blocks [quartiles], their ratio with a 95 % interval over rounds. The rest is of the bare step."
    )
    return Table(caption, header, rows)


def first_of(speed: Speed, task: str, system: System, metric: str) -> float:
    """Of the bare step, or of the Trainer where only that recorded it."""
    found = [speed.value(task, system, metric, "loop", loop) for loop in ("bare", "trainer")]
    return next((value for value in found if not math.isnan(value)), math.nan)


def note_absent(speed: Speed, systems: Sequence[System]) -> list[Block]:
    found = [f"{label(s)} at length {listing([f'{x:g}' for x in out(speed, s)])}" for s in systems if out(speed, s)]
    return [Paragraph(f"Out of memory: {'; '.join(found)}.")] if found else []
