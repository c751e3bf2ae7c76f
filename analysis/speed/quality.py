"""Target tokens, time and FLOPs to a translation quality.

The tokens are those of the learning curves, times what one costs: its FLOPs as counted, its time as measured with
nothing beside it, because the runs themselves may have shared their machine.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np

from analysis.page.blocks import Block, Figures, Heading, Table
from analysis.page.canvas import Line, learning_curve
from analysis.page.labels import NONE, decimal, duration, label, listing, ordered, whole
from analysis.page.look import Look
from analysis.speed.runs import Series, Speed
from analysis.speed.units import RATE, operations
from analysis.statistics.intervals import Interval
from analysis.store import Run, Store, System, number

TRANSLATION = "bleu"
SHARES = (0.5, 0.75, 0.9, 1.0)  # of the best validation BLEU of the weakest model
NEAR_THE_TOP = (0.9, 0.95, 1.0)  # of the highest BLEU that two models both reach


class Validation(NamedTuple):
    target_tokens: float
    bleu: float


@dataclass(frozen=True)
class Quality:
    """Validation curves of a task by system and seed, and numbers of parameters."""

    task: str
    curves: Mapping[System, Mapping[int, Sequence[Validation]]]
    parameters: Mapping[System, float]

    def best(self, system: System) -> float:
        """The highest validation BLEU that every seed reached."""
        return min(top(curve) for curve in self.curves[system].values())

    def tokens(self, system: System, seed: int, level: float) -> float | None:
        """Target tokens until a level was first reached, None if it was not."""
        return reached(self.curves[system][seed], level)

    def levels(self) -> list[float]:
        """Shares of the best BLEU of the weakest system, and the best of the second weakest, rounded down to tenths."""
        weakest, *others = sorted(self.best(system) for system in self.curves)
        wanted = [*(share * weakest for share in SHARES), *others[:1]]
        return sorted({math.floor(level * 10 + 1e-9) / 10 for level in wanted} - {0.0})

    def ratio(self, slow: System, fast: System) -> Interval | None:
        """Target tokens of `slow` over those of `fast` to the highest BLEU that both reach, for any two of their runs.

        The value is the mean over pairs of runs and over 90, 95 and 100 % of that BLEU, so that one lucky validation
        does not decide; low and high are the lowest and highest of them. None without runs of both.
        """
        each = []
        for one, other in product(self.curves.get(slow, {}).values(), self.curves.get(fast, {}).values()):
            common = min(top(one), top(other))
            for share in NEAR_THE_TOP:
                spent = [reached(curve, share * common) for curve in (one, other)]
                each += [spent[0] / spent[1]] if spent[0] and spent[1] else []
        return Interval(float(np.mean(each)), min(each), max(each)) if each else None


def top(curve: Sequence[Validation]) -> float:
    return max(point.bleu for point in curve)


def reached(curve: Sequence[Validation], level: float) -> float | None:
    """Target tokens at which BLEU first was `level`, on straight lines from nothing at the start."""
    for before, after in pairwise([Validation(0, 0), *curve]):
        if after.bleu >= level:
            share = (level - before.bleu) / (after.bleu - before.bleu)
            return before.target_tokens + share * (after.target_tokens - before.target_tokens)
    return None


def flops(speed: Speed, task: str, system: System) -> float:
    """Of a target token; NaN if they were not counted."""
    return speed.value(f"cost-{task}", system, "flops_per_target_token")


def rate(speed: Speed, task: str, system: System) -> Series:
    """Target tokens/s of training with nothing beside it; NaN if it was not measured."""
    return speed.series(f"text-{task}", system, RATE, "loop", "trainer")


def qualities(store: Store) -> list[Quality]:
    """One for each translation task whose runs recorded validation BLEU."""
    runs = [run for run in store.finished(TRANSLATION) if run.variant == "base"]
    found = []
    for task in dict.fromkeys(run.task for run in runs):
        curves: dict[System, dict[int, Sequence[Validation]]] = {}
        sizes = {}
        of_task = [run for run in runs if run.task == task]
        order = ordered(run.system for run in of_task)
        for run in sorted(of_task, key=lambda run: (order.index(run.system), run.seed)):
            curve = validations(store, run)
            if curve and top(curve) > 0:
                curves.setdefault(run.system, {})[run.seed] = curve
                sizes[run.system] = number(run, "parameters")
        if curves:
            found.append(Quality(task, curves, sizes))
    return found


def validations(store: Store, run: Run) -> list[Validation]:
    history = store.history(run)
    rows = history[history["metric"] == "val/bleu"].sort_values("step")
    columns = (rows[name].astype(float) for name in ("target_tokens", "value"))
    return [Validation(*row) for row in zip(*columns, strict=True)]


def to_quality(quality: Quality, speed: Speed, look: Look) -> list[Block]:
    """Time, tokens and operations of each model until its validation BLEU first reached each level."""
    blocks: list[Block] = [Heading(f"Time and operations to quality: {quality.task}")]
    counted = {s: each for s in quality.curves if not math.isnan(each := flops(speed, quality.task, s))}
    lines = [
        Line(system, [p.target_tokens * each for p in curve], [p.bleu for p in curve])
        for system, each in counted.items()
        for curve in quality.curves[system].values()
    ]
    if lines:
        name = f"speed-quality-{quality.task}"
        title = "Validation BLEU by computed operations"
        drawn = learning_curve(name, title, look, lines, "training FLOPs", "validation BLEU")
        blocks.append(Figures("One line per run; Learning curves has the same by step.", [drawn]))
    return [*blocks, quality_table(quality, speed)]


def quality_table(quality: Quality, speed: Speed) -> Table:
    rows = []
    systems = ordered(quality.curves)
    for level in quality.levels():
        reaching = {s: [quality.tokens(s, seed, level) for seed in quality.curves[s]] for s in systems}
        done = {s: [one for one in spent if one] for s, spent in reaching.items()}
        tokens = {s: sum(done[s]) / len(done[s]) for s in systems if len(done[s]) == len(reaching[s])}
        seconds = {s: spent / rate(speed, quality.task, s).median.value for s, spent in tokens.items()}
        fastest = min((one for one in seconds.values() if not math.isnan(one)), default=math.nan)
        for system, spent in reaching.items():
            cells = [label(system), decimal(level)]
            if system in tokens:
                timed = not math.isnan(seconds[system])
                times = [duration(seconds[system]), decimal(seconds[system] / fastest, 2)] if timed else [NONE, NONE]
                total = tokens[system] * flops(speed, quality.task, system)
                rows.append([*cells, *times, whole(tokens[system]), operations(total)])
            else:
                some = f" by {len(spent) - len(done[system])} of {len(spent)} seeds" if done[system] else ""
                rows.append([*cells, f"not reached{some}", NONE, NONE, NONE])
    bests = listing([f"{label(s)} {decimal(quality.best(s))}" for s in systems])
    caption = (
        "Until validation BLEU first reached a level (straight lines between validations; means over seeds; times are "
        "of training alone, at the target tokens/s measured through the Trainer on real sentences). Levels are 50, 75, "
        "90 and 100 % of the best of the weakest model, and the best of the second weakest, rounded down to tenths. "
        f"Best: {bests}."
    )
    header = ["model", "BLEU", "training time", "over fastest", "target tokens", "operations"]
    return Table(caption, header, rows)
