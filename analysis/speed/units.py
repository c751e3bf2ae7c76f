"""Speed results as text: units, quartiles and ratios."""

import math

from analysis.page.labels import NONE, decimal, span
from analysis.speed.runs import Median
from analysis.statistics.intervals import Interval

RATE = "target_tokens_per_second"
QUARTILES = "Medians over blocks with quartiles, of several processes the lowest and the highest"


def rounded(value: float) -> str:
    """Three significant digits, or all digits before the point."""
    if math.isnan(value):
        return NONE
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}".replace("-", "−")


def milliseconds(seconds: float) -> str:
    return rounded(seconds * 1000)


def with_quartiles(median: Median, scale: float = 1) -> str:
    """value [first quartile–third quartile]"""
    value = rounded(median.value * scale)
    return (
        value if math.isnan(median.low) else f"{value} [{rounded(median.low * scale)}–{rounded(median.high * scale)}]"
    )


def memory(size: float) -> str:
    if math.isnan(size):
        return NONE
    return f"{size / 2**30:.2f} GiB" if size >= 2**30 else f"{rounded(size / 2**20)} MiB"


def operations(flops: float, per: str = "") -> str:
    """1.2e10 as 12 GFLOP, with a power of its own where there is no prefix for it."""
    if math.isnan(flops):
        return NONE
    for size, prefix in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M")):
        if flops >= size:
            return f"{flops / size:.3g} {prefix}FLOP{per}"
    return f"{rounded(flops)} FLOP{per}"


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
