"""How fast a device works through a recipe's operations: as the speed suite measured it, or as others published it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from experiments.record.read import read_result
from experiments.record.schema import Finished
from experiments.speed.cost.recipe import Recipe

TERA = 1e12
V100_PEAK = 125 * TERA  # 16-bit matrix products with 32-bit sums, as its data sheet has it
PUBLISHED_DEVICES = 8  # GPUs in one machine behind the published efficiencies
INPUT_FEEDING = 0.4  # 4,000 instead of 10,000 tokens/s: OpenNMT-py, issue 164


class Interval(NamedTuple):
    """From the smallest to the largest figure there is evidence for."""

    low: float
    high: float


NOTHING = Interval(0.0, 0.0)

# NVIDIA/DeepLearningExamples, PyTorch/Translation: one V100, mixed precision, target tokens/s, in two generations of
# the READMEs. GNMT's counts source and target tokens together; half of them are taken as target tokens.
GNMT_TOKENS = Interval(66_050 / 2, 68_312 / 2)
TRANSFORMER_BIG_TOKENS = Interval(23_821, 32_942)
# Seconds in which eager PyTorch on a GPU starts one kernel after the other: the usual order of size, not a measurement.
KERNEL_START = Interval(5e-6, 10e-6)
# Speed on eight V100 over eight times the speed on one, same source.
RECURRENT_EFFICIENCY = Interval(0.73, 0.77)
TRANSFORMER_EFFICIENCY = Interval(0.82, 0.98)


@dataclass(frozen=True)
class Pace:
    """How fast one device trains, and where the figures come from.

    Attributes:
        flops_per_second: Operations a second.
        source: In words.
        least_step: Seconds that a step takes however little there is to compute; 0 where the measured figures hold it.
    """

    flops_per_second: Interval
    source: str
    least_step: Interval = NOTHING


@dataclass(frozen=True)
class Efficiency:
    """Speed of many devices over as many times the speed of one, and where the figure comes from."""

    share: Interval
    source: str


@dataclass(frozen=True)
class Records:
    """What the speed suite recorded, one dictionary a system."""

    folder: Path
    results: list[Finished]

    @property
    def device(self) -> str:
        """What was measured: a GPU of the machine, or all its cores as one device."""
        machine = self.results[0]["machine"]
        return machine["gpus"][0] if machine["gpus"] else f"{machine['cpu']}, {machine['threads']} threads"

    @property
    def on_gpu(self) -> bool:
        return bool(self.results[0]["machine"]["gpus"])

    def rows(self, task: str, model: str, variant: str, metric: str) -> dict[float, float]:
        """Values of a metric by x."""
        return {
            float(row["x"]): row["value"]
            for result in self.results
            if (result["task"], result["model"], result["variant"]) == (task, model, variant)
            for row in result["measurements"]
            if row["metric"] == metric and isinstance(row["x"], int | float)
        }


def read_records(root: Path, suites: list[str]) -> Records:
    """The speed records of the first of these suites that has any.

    Raises:
        FileNotFoundError: If none has.
        ValueError: If one of them is not what the suite writes.
    """
    for suite in suites:
        paths = sorted((root / suite / "speed").glob("*/*/*/seed*/result.json"))
        if paths:
            return Records(root / suite / "speed", [read_result(path.parent) for path in paths])
    raise FileNotFoundError(
        f"no speed was measured yet in {' or '.join(str(root / suite / 'speed') for suite in suites)}: run "
        "`make speed SUITE=full` first, or give the peak of a device in TFLOP/s, for example `make plan PEAK=989`."
    )


def measured_pace(recipe: Recipe, records: Records, length: int, world: int) -> Pace:
    """The pace at the nearest measured length, at the nearest width and at the nearest batch: their range.

    Few rows leave a GPU waiting for its host, and so do narrow layers; each sweep shows one of these.

    Raises:
        ValueError: If this model was not measured.
    """
    wanted = {"length": length, "width": recipe.width, "batch": recipe.tokens_on(world) / length}
    for variant in variants(recipe.routing):
        found = dict(nearest(records, recipe.model, variant, wanted))
        if found:
            places = ", ".join(f"{task} {x:g}" for task, (x, _) in found.items())
            values = [value for _, value in found.values()]
            return Pace(Interval(min(values), max(values)), f"{recipe.model} {variant} at {places} in {records.folder}")
    raise ValueError(
        f"{records.folder} holds no speed of {recipe.model} ({' or '.join(variants(recipe.routing))}) by length, "
        f"width or batch: run `make speed SUITE={records.folder.parent.name} MODELS={recipe.model}` first."
    )


def variants(routing: str) -> tuple[str, str]:
    """The speed suite's variants that a recipe's training would run as, the likelier first: bf16 where there is any."""
    return ("bf16", "base") if routing == "base" else (f"{routing}-bf16", routing)


def nearest(
    records: Records, model: str, variant: str, wanted: dict[str, float]
) -> Iterator[tuple[str, tuple[float, float]]]:
    """For each task: the measured x nearest, by ratio, to the wanted one, and the FLOP/s there."""
    for task, x in wanted.items():
        rows = records.rows(task, model, variant, "flops_per_second")
        if rows:
            best = min(rows, key=lambda measured: abs(math.log(measured / x)))
            yield task, (best, rows[best])


def published_pace(recipe: Recipe, peak: float, big: Recipe, gnmt: Recipe) -> Pace:
    """The share of a V100's peak that NVIDIA's recipes reach, of another device's peak.

    Args:
        recipe: What is planned.
        peak: FLOP/s of the device's data sheet, at the training's precision.
        big: Transformer big: its operations a token turn NVIDIA's tokens/s into FLOP/s.
        gnmt: GNMT v2, likewise.
    """
    like, tokens = (big, TRANSFORMER_BIG_TOKENS) if recipe.model == "transformer" else (gnmt, GNMT_TOKENS)
    serial = recipe.model == "bahdanau" and recipe.routing == "base"
    factor = like.flops_per_token / V100_PEAK * (INPUT_FEEDING if serial else 1.0)
    share = Interval(tokens.low * factor, tokens.high * factor)
    slower = ", x 0.4 for input feeding (OpenNMT-py, issue 164)" if serial else ""
    return Pace(
        Interval(share.low * peak, share.high * peak),
        f"{percent(share)} of the data sheet's peak, what {like.name} reaches on a V100 (NVIDIA/DeepLearningExamples, "
        f"mixed precision){slower}",
        Interval(*(seconds * recipe.kernels for seconds in KERNEL_START)),
    )


def efficiency(recipe: Recipe, records: Records | None, world: int) -> Efficiency:
    """How well `world` devices share the work: measured if several GPUs were, else published.

    It is carried on to other numbers as a power of them: 0.8 on 8 devices is 0.64 on 64.
    """
    if world == 1:
        return Efficiency(Interval(1.0, 1.0), "one device")
    if records is not None and records.on_gpu:
        for variant in variants(recipe.routing):
            kinds = ("strong_efficiency", "weak_efficiency")
            rows = [records.rows("devices", recipe.model, variant, kind) for kind in kinds]
            most = max((x for kind in rows for x in kind), default=1)
            if most > 1:
                values = [kind[most] for kind in rows if most in kind]
                measured = Interval(min(values), max(values))
                source = f"{percent(measured)} on {most:g} devices, {recipe.model} {variant} in {records.folder}"
                return Efficiency(extended(measured, most, world), source)
    published = TRANSFORMER_EFFICIENCY if recipe.model == "transformer" else RECURRENT_EFFICIENCY
    source = f"{percent(published)} on {PUBLISHED_DEVICES} V100 in one machine (NVIDIA/DeepLearningExamples)"
    return Efficiency(extended(published, PUBLISHED_DEVICES, world), source)


def extended(share: Interval, measured: float, world: int) -> Interval:
    power = math.log(world) / math.log(measured)
    return Interval(share.low**power, share.high**power)


def percent(share: Interval) -> str:
    low, high = (f"{100 * value:.0f}" for value in share)
    return f"{low} %" if low == high else f"{low} to {high} %"
