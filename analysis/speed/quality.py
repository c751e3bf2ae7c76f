"""Time, target tokens and FLOPs to a translation quality, from the learning curves of the translation runs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from analysis.page.blocks import Block, Figures, Heading, Notice, Table
from analysis.page.canvas import Line, learning_curve
from analysis.page.labels import NONE, decimal, duration, label, listing, ordered, whole
from analysis.page.look import Look
from analysis.speed.runs import Speed, machine
from analysis.speed.units import operations
from analysis.statistics.intervals import Interval
from analysis.store import Run, Store, System, number

TRANSLATION = "bleu"
SHARES = (0.5, 0.75, 0.9, 1.0)  # of the best validation BLEU of the weakest model
NEAR_THE_TOP = (0.9, 0.95, 1.0)  # of the highest BLEU that two models both reach


class Spent(NamedTuple):
    """Cost of first reaching a BLEU; FLOPs are NaN where they were not counted."""

    seconds: float
    target_tokens: float
    flops: float


class Validation(NamedTuple):
    seconds: float
    target_tokens: float
    bleu: float


@dataclass(frozen=True)
class Quality:
    """Validation curves of a task by system and seed, FLOPs a target token, sizes, and why times do not compare."""

    task: str
    curves: Mapping[System, Mapping[int, Sequence[Validation]]]
    flops: Mapping[System, float]
    flaws: Sequence[str]
    parameters: Mapping[System, float]

    def best(self, system: System) -> float:
        """The highest validation BLEU that every seed reached."""
        return min(top(curve) for curve in self.curves[system].values())

    def spent(self, system: System, seed: int, level: float) -> Spent | None:
        """Cost of reaching a level, None if it was not reached."""
        found = reached(self.curves[system][seed], level)
        return Spent(*found, found[1] * self.flops.get(system, math.nan)) if found else None

    def levels(self) -> list[float]:
        """Shares of the best BLEU of the weakest system, and the best of the second weakest, rounded down to tenths."""
        weakest, *others = sorted(self.best(system) for system in self.curves)
        wanted = [*(share * weakest for share in SHARES), *others[:1]]
        return sorted({math.floor(level * 10 + 1e-9) / 10 for level in wanted} - {0.0})

    def ratio(self, slow: System, fast: System, what: str) -> Interval | None:
        """Cost of `slow` over cost of `fast` of the highest BLEU that both reach with the same seed.

        The value is the mean over seeds; low and high are the lowest and highest over seeds and over 90, 95 and 100 %
        of that BLEU, so that one lucky validation does not decide. None without a seed that both have.
        """
        seeds = [seed for seed in self.curves.get(slow, {}) if seed in self.curves.get(fast, {})]
        tops, each = [], []
        for seed in seeds:
            common = min(top(self.curves[system][seed]) for system in (slow, fast))
            for share in NEAR_THE_TOP:
                spent = [self.spent(system, seed, share * common) for system in (slow, fast)]
                if spent[0] and spent[1]:
                    each.append(float(getattr(spent[0], what) / getattr(spent[1], what)))
                    tops += [each[-1]] if share == 1 else []
        if not tops or any(map(math.isnan, each)):
            return None
        return Interval(float(np.mean(tops)), min(each), max(each))


def top(curve: Sequence[Validation]) -> float:
    return max(point.bleu for point in curve)


def reached(curve: Sequence[Validation], level: float) -> tuple[float, float] | None:
    """Seconds and target tokens at which BLEU first was `level`, on straight lines from nothing at the start."""
    for before, after in pairwise([Validation(0, 0, 0), *curve]):
        if after.bleu >= level:
            share = (level - before.bleu) / (after.bleu - before.bleu)
            seconds, tokens = (a + share * (b - a) for a, b in zip(before[:2], after[:2], strict=True))
            return seconds, tokens
    return None


def qualities(store: Store, speed: Speed) -> list[Quality]:
    """One for each translation task whose runs recorded validation BLEU."""
    runs = [run for run in store.finished(TRANSLATION) if run.variant == "base"]
    found = []
    for task in dict.fromkeys(run.task for run in runs):
        curves: dict[System, dict[int, Sequence[Validation]]] = {}
        used = []
        of_task = [run for run in runs if run.task == task]
        order = ordered(run.system for run in of_task)
        for run in sorted(of_task, key=lambda run: (order.index(run.system), run.seed)):
            curve = validations(store, run)
            if curve and top(curve) > 0:
                curves.setdefault(run.system, {})[run.seed] = curve
                used.append(run)
        if curves:
            metric = "flops_per_target_token"
            flops = {system: speed.value(f"cost-{task}", system, metric) for system in curves}
            sizes = {run.system: number(run, "parameters") for run in used}
            found.append(Quality(task, curves, flops, flaws(store, used), sizes))
    return found


def validations(store: Store, run: Run) -> list[Validation]:
    history = store.history(run)
    rows = history[history["metric"] == "val/bleu"].sort_values("step")
    columns = (rows[name].astype(float) for name in ("seconds", "target_tokens", "value"))
    return [Validation(*row) for row in zip(*columns, strict=True)]


def flaws(store: Store, runs: Sequence[Run]) -> list[str]:
    """Why the seconds of these runs cannot be compared; empty if they can."""
    found = []
    if len({machine(run) for run in runs}) > 1:
        found.append("they come from different machines")
    threads: dict[Any, list[Run]] = {}
    for run in runs:
        threads.setdefault(run.record["machine"].get("threads"), []).append(run)
    if len(threads) > 1:
        each = [f"{n} ({listing([label(r.system) for r in members])})" for n, members in threads.items()]
        found.append(f"their numbers of threads differ: {', '.join(each)}")
    others = [run for run in store.runs if run.status == "finished"]
    shared = [run for run in runs if any(run is not other and overlap(run, other) for other in others)]
    if shared:
        names = listing([f"{label(run.system)} seed {run.seed}" for run in shared])
        found.append(f"other runs ran at the same time: {names}")
    return found


def overlap(first: Run, second: Run) -> bool:
    """Whether two runs of one machine shared its time."""
    if machine(first) != machine(second):
        return False
    begun = [datetime.fromisoformat(run.record["started"]) for run in (first, second)]
    ended = [datetime.fromisoformat(run.record["finished"]) for run in (first, second)]
    return max(begun) < min(ended)


def to_quality(quality: Quality, look: Look) -> list[Block]:
    """Time, tokens and operations of each model until its validation BLEU first reached each level."""
    blocks: list[Block] = [Heading(f"Time and operations to quality: {quality.task}")]
    text = f"The seconds below are not comparable: {'; '.join(quality.flaws)}. Tokens and operations are."
    blocks += [Notice(text)] if quality.flaws else []
    counted = {system: flops for system, flops in quality.flops.items() if not math.isnan(flops)}
    lines = [
        Line(system, [p.target_tokens * flops for p in curve], [p.bleu for p in curve])
        for system, flops in counted.items()
        for curve in quality.curves[system].values()
    ]
    if lines:
        name = f"speed-quality-{quality.task}"
        title = "Validation BLEU by computed operations"
        drawn = learning_curve(name, title, look, lines, "training FLOPs", "validation BLEU")
        blocks.append(Figures("One line per run; see Learning curves for time.", [drawn]))
    return [*blocks, quality_table(quality)]


def quality_table(quality: Quality) -> Table:
    rows = []
    systems = ordered(quality.curves)
    for level in quality.levels():
        reaching = {s: [quality.spent(s, seed, level) for seed in quality.curves[s]] for s in systems}
        done = {s: [one for one in spent if one] for s, spent in reaching.items()}
        complete = [s for s in systems if len(done[s]) == len(reaching[s])]
        means = {s: Spent(*(sum(column) / len(done[s]) for column in zip(*done[s], strict=True))) for s in complete}
        for system, spent in reaching.items():
            cells = [label(system), decimal(level)]
            if system in means:
                seconds, tokens, flops = means[system]
                over = decimal(seconds / min(mean.seconds for mean in means.values()), 2)
                rows.append([*cells, duration(seconds), over, whole(tokens), operations(flops)])
            else:
                some = f" by {len(spent) - len(done[system])} of {len(spent)} seeds" if done[system] else ""
                rows.append([*cells, f"not reached{some}", NONE, NONE, NONE])
    bests = listing([f"{label(s)} {decimal(quality.best(s))}" for s in systems])
    caption = (
        "Until validation BLEU first reached a level (straight lines between validations; means over seeds; seconds "
        "include validation). Levels are 50, 75, 90 and 100 % of the best of the weakest model, and the best of the "
        f"second weakest. Best: {bests}."
    )
    header = ["model", "BLEU", "training time", "over fastest", "target tokens", "operations"]
    return Table(caption, header, rows)
