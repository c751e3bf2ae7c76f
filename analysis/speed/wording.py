"""How speed is said: units, ratios and the sentences made from the numbers."""

import math
from collections.abc import Sequence

from analysis.page.labels import NONE, decimal, label, listing, span, whole
from analysis.speed.runs import Median, Speed, growth, ratio
from analysis.speed.scaling_laws import Crossing
from analysis.statistics.intervals import Interval
from analysis.store import System

RATE = "target_tokens_per_second"


def figure(value: float) -> str:
    """Three significant digits, all of them before the point where there are more."""
    if math.isnan(value):
        return NONE
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}".replace("-", "−")


def milliseconds(seconds: float) -> str:
    return figure(seconds * 1000)


def with_quartiles(median: Median, scale: float = 1) -> str:
    """value [first quartile–third quartile]"""
    value = figure(median.value * scale)
    return value if math.isnan(median.low) else f"{value} [{figure(median.low * scale)}–{figure(median.high * scale)}]"


def memory(size: float) -> str:
    if math.isnan(size):
        return NONE
    return f"{size / 2**30:.2f} GiB" if size >= 2**30 else f"{figure(size / 2**20)} MiB"


def operations(flops: float, per: str = "") -> str:
    """1.2e10 as 12 GFLOP, with a power of its own where there is no prefix for it."""
    if math.isnan(flops):
        return NONE
    for size, prefix in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M")):
        if flops >= size:
            return f"{flops / size:.3g} {prefix}FLOP{per}"
    return f"{figure(flops)} FLOP{per}"


def percent(share: float) -> str:
    return NONE if math.isnan(share) else f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.1f} %"


def times(interval: Interval, digits: int = 2) -> str:
    """1.20 (1.18 to 1.22); zero has no sign"""
    interval = Interval(*(round(part, digits) + 0.0 for part in interval))
    value = decimal(interval.value, digits)
    return value if math.isnan(interval.low) else f"{value} ({span(interval, digits)})"


def precision_name(recorded: str) -> str:
    return {"32-true": "32-bit", "bf16-mixed": "bf16"}.get(recorded, recorded)


def text_title(task: str) -> str:
    """text-multi30k-en-de as multi30k en-de."""
    _, _, name = task.partition("-")
    corpus, _, direction = name.partition("-")
    return f"{corpus} {direction}".strip()


def how_fast(speed: Speed, task: str) -> str:
    """Tokens/s of each base model on real sentences, the fastest first, with ratios to it; empty without them."""
    rates = {s: speed.value(task, s, RATE, "loop", "bare") for s in speed.bases(task)}
    ranked = sorted((s for s in rates if not math.isnan(rates[s])), key=lambda s: -rates[s])
    if not ranked:
        return ""
    precision = precision_name(str(speed.runs[task, ranked[0]].record["signatures"].get("precision", "")))
    each = listing([f"{label(s)} {whole(rates[s])}" for s in ranked])
    text = (
        f"Target tokens trained per second on {text_title(task)}{f' ({precision}, eager)' if precision else ''}: {each}"
    )
    if len(ranked) == 1:
        return f"{text}."
    first, *rest = (speed.series(task, system, RATE, "loop", "bare") for system in ranked)
    pairs = [f"{times(ratio(first, other))} times the {label(s)}'s" for s, other in zip(ranked[1:], rest, strict=True)]
    return f"{text}. The {label(ranked[0])}'s rate is {listing(pairs)}."


def how_it_grows(speed: Speed) -> str:
    """What a step costs at the shortest and at the longest length, at the same tokens a batch."""
    parts = []
    for system in speed.bases("length"):
        curve = speed.curve("length", system, "step_seconds")
        grown = growth(speed, "length", system, "step_seconds")
        if grown:
            first, last = min(curve), max(curve)
            ends = (
                f"{milliseconds(curve[first].value)} ms at {first:g} to {milliseconds(curve[last].value)} at {last:g}"
            )
            parts.append(f"{label(system)} {ends} (×{figure(grown.value)})")
    if not parts:
        return ""
    tokens = speed.held("length", "tokens per batch")
    held = f" of {whole(float(tokens[0]))} tokens" if len(tokens) == 1 and isinstance(tokens[0], int | float) else ""
    return f"With length a step on a batch{held} goes from {'; '.join(parts)}."


def crossing_words(found: Sequence[Crossing], shared: Sequence[System]) -> str:
    """Who is faster below and above which length."""
    if len(shared) < 2:
        return ""
    if not found:
        return "The curves of the base models do not cross within the lengths measured."
    parts = []
    for crossing in found:
        interval = f" ({span(crossing.x, 0)})" if not math.isnan(crossing.x.low) else " (no interval)"
        parts.append(
            f"up to length {crossing.x.value:.0f}{interval} the {label(crossing.before)} is faster than the "
            f"{label(crossing.after)}, beyond it slower"
        )
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def decoding_words(speed: Speed) -> str:
    """What decoding costs in principle, and what it did here."""
    text = (
        "Decoding goes token by token whatever the model. A recurrent decoder carries a state of fixed size, so that a "
        "token costs it the same however many it has written (with attention it also looks at every source token); "
        "the Transformer attends to all it has written, so that its cost a token grows with that."
    )
    parts = []
    for system in speed.bases("decoding"):
        grown = growth(speed, "decoding", system, "greedy_seconds_per_token")
        if grown:
            parts.append(f"×{times(grown)} for the {label(system)}")
    if not parts:
        return text
    xs = [x for s in speed.bases("decoding") for x in speed.curve("decoding", s, "greedy_seconds_per_token", "length")]
    return (
        f"{text} Here, greedily and "
        f"from length {min(xs):g} to {max(xs):g} of source and target, a token's latency changed {listing(parts)}."
    )


def device_words(speed: Speed) -> str:
    """Whether the processes had GPUs."""
    run = next(run for (task, _), run in speed.runs.items() if task == "devices")
    gpus, cores = run.record["machine"].get("gpus"), run.record["machine"].get("cores")
    kind = f"GPUs ({', '.join(sorted(set(gpus)))})" if gpus else f"processes of one CPU with {cores} cores, no GPU"
    return (
        f"Measured on {kind}. Weak: each process keeps its batch, so the global batch grows. Strong: the global batch "
        "stays and is split. Efficiency is the rate divided by that many times the rate of one process."
    )
