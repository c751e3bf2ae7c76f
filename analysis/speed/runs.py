"""Speed runs as read: medians with quartiles, timed blocks, and which runs are comparable."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from analysis.page.labels import ordered
from analysis.statistics.intervals import SAMPLES, SEED, Interval
from analysis.store import Run, Store, System

EXPERIMENT = "speed"
FEWEST_ROUNDS = 3  # with fewer, blocks say too little about their spread
ROUNDS = 1000  # more than a process times, so that every round of every process has a number
STEP = "step_seconds"
ON_GPU, ON_CPU = "on a GPU", "on a CPU"
COUNTED = "cost-"  # tasks that count operations, which no machine changes

Rounds = Mapping[int, float]  # the value of each timed block
Blocks = Mapping[tuple[str, str, Any], Rounds]  # by metric, x_name and x


class Median(NamedTuple):
    """A median over timed blocks with its quartiles, which are NaN where they were not recorded.

    Of several processes: the median of theirs, with the lowest and the highest quartile of any.
    """

    value: float
    low: float
    high: float


class Series(NamedTuple):
    """A median and the rounds it is made of, which are empty where blocks were not kept."""

    median: Median
    rounds: Rounds


Curve = Mapping[float, Median]


@dataclass(frozen=True)
class Speed:
    """The speed runs of one machine: one for each task and system; `left_out` are those of another machine.

    `again` are the same measurements in other processes, which are runs of further seeds; medians and rounds are of
    all. `place` is "on a GPU" or "on a CPU" where the report shows both.
    """

    store: Store
    runs: Mapping[tuple[str, System], Run]
    left_out: Sequence[Run]
    again: Sequence["Speed"] = ()
    place: str = ""

    @property
    def name(self) -> str:
        """Begins the names of its figures and of its section."""
        return "speed-gpu" if self.place == ON_GPU else "speed"

    def here(self, text: str) -> str:
        """The text, with the place where there are two."""
        return f"{text}, {self.place}" if self.place else text

    @property
    def processes(self) -> list["Speed"]:
        """What each process measured."""
        return [replace(self, again=()), *self.again]

    @cached_property
    def numbers(self) -> dict[tuple[str, System], dict[tuple[str, str, Any], float]]:
        return {key: {at(row): row["value"] for row in run.record["measurements"]} for key, run in self.runs.items()}

    @cached_property
    def blocks(self) -> Callable[[str, System], Blocks]:
        @cache
        def read(task: str, system: System) -> Blocks:
            table: dict[tuple[str, str, Any], dict[int, float]] = {}
            for row in self.store.blocks(self.runs[task, system]):
                table.setdefault(at(row), {})[row["round"]] = row["value"]
            return table

        return read

    @property
    def tasks(self) -> list[str]:
        return list(dict.fromkeys(task for task, _ in self.runs))

    def kind(self, prefix: str) -> list[str]:
        """Tasks such as text-multi30k-en-de."""
        return sorted(task for task in self.tasks if task.startswith(f"{prefix}-"))

    def systems(self, task: str) -> list[System]:
        return ordered(system for name, system in self.runs if name == task)

    def bases(self, task: str) -> list[System]:
        return [system for system in self.systems(task) if system.variant == "base"]

    def value(self, task: str, system: System, metric: str, x_name: str = "", x: Any = "") -> float:
        """The median over processes; NaN if it was not measured."""
        return self.median(task, system, metric, x_name, x).value

    def median(self, task: str, system: System, metric: str, x_name: str = "", x: Any = "") -> Median:
        names = (metric, f"{metric}_q25", f"{metric}_q75")
        found = [process.numbers.get((task, system), {}) for process in self.processes]
        each = [[numbers.get((name, x_name, x), math.nan) for name in names] for numbers in found]
        values, lows, highs = np.array([row for row in each if not math.isnan(row[0])] or [[math.nan] * 3]).T
        return Median(float(np.median(values)), float(lows.min()), float(highs.max()))

    def curve(self, task: str, system: System, metric: str, x_name: str = "") -> Curve:
        """Medians by x in its order; the axis is named like the task unless said otherwise."""
        name = x_name or task
        found = self.numbers.get((task, system), {})
        xs = sorted(x for m, n, x in found if (m, n) == (metric, name) and not isinstance(x, str))
        return {x: self.median(task, system, metric, name, x) for x in xs}

    def values(self, task: str, system: System, metric: str) -> dict[float, float]:
        """The medians of a curve alone."""
        return {x: median.value for x, median in self.curve(task, system, metric).items()}

    def out_of_memory(self, task: str, system: System) -> list[float]:
        return list(self.curve(task, system, "out_of_memory"))

    def series(self, task: str, system: System, metric: str, x_name: str = "", x: Any = "") -> Series:
        rounds = {
            ROUNDS * number + each: value
            for number, process in enumerate(self.processes)
            if (task, system) in process.runs
            for each, value in process.blocks(task, system).get((metric, x_name, x), {}).items()
        }
        return Series(self.median(task, system, metric, x_name, x), rounds)

    def gpus(self, task: str) -> int:
        """On how many GPUs a task was measured, 0 where it was the CPU."""
        counts = [len(run.record["machine"].get("gpus") or []) for (name, _), run in self.runs.items() if name == task]
        return min(counts, default=0)

    def keeps_all(self, system: System) -> bool:
        """Whether its attention kernel keeps the n × n weights, as one that follows the formula does."""
        run = self.runs.get(("length", system))
        kernel = run.record["signatures"].get("attention kernel", "") if run else ""
        return "math" in kernel or "math" in system.variant

    def held(self, task: str, word: str) -> list[Any]:
        """What the runs of a task held equal under names that contain a word, each value once."""
        runs = [run for (name, _), run in self.runs.items() if name == task]
        values = [v for run in runs for key, v in run.record["held_equal"].items() if word in key]
        return list({str(value): value for value in values}.values())


def at(row: Mapping[str, Any]) -> tuple[str, str, Any]:
    x = "" if row["x"] is None else row["x"]
    return row["metric"], row["x_name"], x if isinstance(x, str) else float(x)


def places(stores: Sequence[Store]) -> list[Speed]:
    """What was measured on a GPU, and on a CPU: of each the first store that has any. Something empty if none has."""
    found = []
    for place in (ON_GPU, ON_CPU):
        each = (measured(store, place) for store in stores)
        found += [speed for speed in each if set(speed.tasks) - set(speed.kind("cost"))][:1]
    if len(found) == 2:
        return [replace(speed, place=place) for speed, place in zip(found, (ON_GPU, ON_CPU), strict=True)]
    return found or [measured(stores[0])]


def with_operations(speeds: Sequence[Speed]) -> Speed:
    """The one whose store has the operations of a target token, and so the runs that they are spent on."""
    return next((speed for speed in speeds if speed.kind("cost")), speeds[0])


def measured(store: Store, place: str = "") -> Speed:
    """The speed runs that may be compared: those of the machine that made most, with its most used thread count.

    Counts of operations are kept wherever they were made.
    """
    finished = sorted(store.finished(EXPERIMENT), key=lambda run: (run.task, run.model, run.variant, run.seed))
    if place:
        finished = [
            run
            for run in finished
            if run.task.startswith(COUNTED) or bool(run.record["machine"].get("gpus")) == (place == ON_GPU)
        ]
    counts = [run for run in finished if run.task.startswith(COUNTED)]
    kept = of_most([run for run in finished if run not in counts], machine)
    same = [run for task in dict.fromkeys(r.task for r in kept) for run in of_task(kept, task)] + counts
    processes: dict[int, dict[tuple[str, System], Run]] = {}
    for run in sorted(same, key=lambda run: run.seed):
        processes.setdefault(run.seed, {})[run.task, run.system] = run
    first, *others = processes.values() or [{}]
    again = [Speed(store, runs, []) for runs in others]
    return Speed(store, first, [run for run in finished if run not in same], again)


def of_task(runs: Iterable[Run], task: str) -> list[Run]:
    return of_most([run for run in runs if run.task == task], lambda run: run.record["machine"].get("threads"))


def of_most(runs: Sequence[Run], key: Callable[[Run], Any]) -> list[Run]:
    """Runs that share the most common key; of equally common ones that of the last run to finish."""
    if not runs:
        return []
    counts = Counter(map(key, runs))
    last = {key(run): run.record["finished"] for run in sorted(runs, key=lambda run: run.record["finished"])}
    chosen = max(counts, key=lambda k: (counts[k], last[k]))
    return [run for run in runs if key(run) == chosen]


def machine(run: Run) -> tuple[Any, ...]:
    """What makes times comparable; the number of threads may follow the task."""
    described = run.record["machine"]
    return described.get("cpu"), described.get("cores"), tuple(described.get("gpus", []))


def ratio(first: Series, second: Series) -> Interval:
    """first / second, with an interval that covers the noise of the timing.

    With three common rounds or more in each process it is the bootstrap interval of the median ratio of a round, so
    that what slowed both in a round cancels, and it holds that of every process; else it joins the outer quartiles.
    """
    a, b = first.median, second.median
    value = a.value / b.value
    processes: dict[int, list[float]] = {}
    for number, each in round_ratios(first, second).items():
        processes.setdefault(number // ROUNDS, []).append(each)
    if min(map(len, processes.values()), default=0) < FEWEST_ROUNDS:
        return Interval(value, a.low / b.high, a.high / b.low)
    ends = [value]
    for rounds in processes.values():
        rng = np.random.default_rng(SEED)
        found = stats.bootstrap((rounds,), np.median, n_resamples=SAMPLES, method="percentile", rng=rng)
        ends += map(float, found.confidence_interval)
    return Interval(value, min(ends), max(ends))


def round_ratios(first: Series, second: Series) -> dict[int, float]:
    """first / second of each round that timed both, by its number."""
    return {r: first.rounds[r] / second.rounds[r] for r in first.rounds if r in second.rounds}


def growth(
    speed: Speed, task: str, systems: Iterable[System], metric: str
) -> tuple[tuple[float, float], dict[System, Interval]]:
    """The smallest and the largest length that all systems have, and each one's value at this divided by that at that.

    Systems without two lengths are left out, and with them all where no two lengths are common.
    """
    curves = {system: curve for system in systems if len(curve := speed.curve(task, system, metric, "length")) > 1}
    shared = set.intersection(*map(set, curves.values())) if curves else set()
    if len(shared) < 2:
        return (math.nan, math.nan), {}
    ends = min(shared), max(shared)
    series = {system: [speed.series(task, system, metric, "length", x) for x in ends] for system in curves}
    return ends, {system: ratio(last, first) for system, (first, last) in series.items()}
