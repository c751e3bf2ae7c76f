"""Precision, compilation and network variants against the base of the same model."""

from collections.abc import Sequence

from analysis.page.blocks import Block, Figures, Heading, Table
from analysis.page.labels import NAMES, NONE, decimal, label
from analysis.page.look import VariantLook
from analysis.speed.by_length import few
from analysis.speed.figures import MEMORY, STEP_TIME, drawn
from analysis.speed.runs import Speed, ratio
from analysis.speed.units import times
from analysis.store import System

MODES = ("bf16", "compiled")  # suffixes of variants that change no network


def blocks(speed: Speed) -> list[Block]:
    """Precision, compilation and network variants."""
    table = variant_table(speed)
    if not table:
        return []
    shown: list[Block] = []
    for model in dict.fromkeys(system.model for system in speed.systems("length")):
        mine = [s for s in speed.systems("length") if s.model == model and not set(s.variant.split("-")) & set(MODES)]
        if len(mine) > 1:
            figures = drawn(speed, VariantLook(mine), "length", mine, (STEP_TIME, MEMORY), model=model)
            text = f"{label(System(model, 'base'))}: variants of the network against their base."
            shown += [Figures(text, figures)] if figures else []
    return [Heading("Precision, compilation and variants"), *shown, *table]


def variant_table(speed: Speed) -> list[Block]:
    """Precision, compilation and network variants against the base of the same model, in the same run."""
    others = [s for s in speed.systems("length") if s.variant != "base"]
    pairs = [(s, System(s.model, "base")) for s in others if ("length", System(s.model, "base")) in speed.runs]
    shared = {(s, b): common_lengths(speed, s, b) for s, b in pairs}
    ends = sorted({*few(sorted({x for xs in shared.values() for x in xs})), *(max(xs) for xs in shared.values() if xs)})
    if not ends:
        return []
    rows = []
    for system, base in pairs:
        cells = dict.fromkeys(ends, NONE) | dict.fromkeys(speed.out_of_memory("length", system), "out of memory")
        for n in set(ends) & set(shared[system, base]):
            cells[n] = times(ratio(*(speed.series("length", s, "step_seconds", "length", n) for s in (base, system))))
        compiled = speed.values("length", system, "compile_seconds").values()
        row = [NAMES.get(system.model, system.model), system.variant, *(cells[n] for n in ends)]
        row.append(memory_ratio(speed, system, base, shared[system, base]))
        rows.append([*row, f"{max(compiled):.1f}" if compiled else NONE])
    header = ["model", "variant", *(f"speed at length {n:g}" for n in ends), "memory", "longest compilation (s)"]
    caption = (
        "Speed of a variant relative to the base of the same model: 2 is twice as fast; intervals hold those of every "
        "process, 95 % over rounds that timed both. Memory relative to the base at the longest length of both."
    )
    return [Table(caption, header, rows, left=2)]


def common_lengths(speed: Speed, system: System, base: System) -> list[float]:
    own, other = (speed.values("length", s, "step_seconds") for s in (system, base))
    return [x for x in own if x in other]


def memory_ratio(speed: Speed, system: System, base: System, xs: Sequence[float]) -> str:
    if not xs:
        return NONE
    a, b = (speed.value("length", s, "peak_memory", "length", max(xs)) for s in (system, base))
    return decimal(a / b, 2)
