"""FLOP/s of a device on a recipe: as the speed suite measured it, or as a share of a data sheet's peak."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from experiments.record.read import finished_runs, read_result
from experiments.record.schema import Finished
from experiments.speed.cost.recipe import Recipe

TERA = 1e12
V100_PEAK = 125 * TERA  # data sheet: 16-bit matrix products with 32-bit sums
PUBLISHED_DEVICES = 8  # GPUs in one machine behind the published efficiencies
INPUT_FEEDING = 0.4  # 4,000 instead of 10,000 tokens/s: OpenNMT-py, issue 164


class Interval(NamedTuple):
    """The smallest and the largest figure there is evidence for."""

    low: float
    high: float

    def scaled(self, factor: float) -> "Interval":
        return Interval(self.low * factor, self.high * factor)


class Rate(NamedTuple):
    """FLOP/s of one device, or the share of their joint speed that several devices reach, and its source in words."""

    value: Interval
    source: str


# NVIDIA/DeepLearningExamples, PyTorch/Translation: one V100, mixed precision, target tokens/s, in two generations of
# the READMEs. GNMT's counts source and target tokens together; half of them are taken as target tokens.
GNMT_TOKENS = Interval(66_050 / 2, 68_312 / 2)
TRANSFORMER_BIG_TOKENS = Interval(23_821, 32_942)
# Speed on eight V100 over eight times the speed on one, same source.
RECURRENT_EFFICIENCY = Interval(0.73, 0.77)
TRANSFORMER_EFFICIENCY = Interval(0.82, 0.98)


@dataclass(frozen=True)
class Records:
    """Records of the speed suite."""

    folder: Path
    results: list[Finished]

    @property
    def gpus(self) -> list[str]:
        gpus: list[str] = self.results[0]["machine"]["gpus"]
        return gpus

    @property
    def device(self) -> str:
        """What was measured: a GPU of the machine, or all its cores as one device."""
        machine = self.results[0]["machine"]
        return self.gpus[0] if self.gpus else f"{machine['cpu']}, {machine['threads']} threads"

    def values(self, task: str, model: str, variant: str, metric: str) -> dict[float, list[float]]:
        """Values of a metric by x, one of each process."""
        found: dict[float, list[float]] = {}
        for result in self.results:
            if (result["task"], result["model"], result["variant"]) == (task, model, variant):
                for row in result["measurements"]:
                    if row["metric"] == metric and isinstance(row["x"], int | float):
                        found.setdefault(float(row["x"]), []).append(row["value"])
        return found


def read_records(root: Path, suites: list[str]) -> Records:
    """The speed records of the first of these suites that has any.

    Raises:
        FileNotFoundError: None of them has.
        ValueError: A record is not what the suite writes.
    """
    for suite in suites:
        read = map(read_result, finished_runs(root, suite, "speed"))
        if timed := [result for result in read if not result["task"].startswith("cost-")]:
            of_one = [each for each in timed if same_machine(each, timed[0])]
            return Records(root / suite / "speed", of_one)
    raise FileNotFoundError(
        f"no speed was measured yet in {' or '.join(str(root / suite / 'speed') for suite in suites)}: run "
        "`make speed SUITE=full` first, or give the peak of a device in TFLOP/s: `.venv/bin/python -m "
        "experiments.speed.cost.estimate --suite paper --devices 8 --peak 989`."
    )


def same_machine(one: Finished, other: Finished) -> bool:
    return all(one["machine"][fact] == other["machine"][fact] for fact in ("cpu", "gpus"))


def measured_rate(recipe: Recipe, records: Records, length: int, world: int) -> Rate:
    """The range of FLOP/s at the nearest measured length, width and batch.

    A GPU waits for its host with few rows and with narrow layers; each sweep shows one of these.

    Raises:
        ValueError: This model was not measured.
    """
    wanted = {"length": length, "width": recipe.width, "batch": recipe.tokens_on(world) / length}
    for variant in variants(recipe.routing):
        found = dict(nearest(records, recipe.model, variant, wanted))
        if found:
            places = ", ".join(f"{task} {x:g}" for task, (x, _) in found.items())
            values = [value for _, rates in found.values() for value in rates]
            return Rate(Interval(min(values), max(values)), f"{recipe.model} {variant} at {places} in {records.folder}")
    raise ValueError(
        f"{records.folder} holds no speed of {recipe.model} ({' or '.join(variants(recipe.routing))}) by length, "
        f"width or batch: run `make speed SUITE={records.folder.parent.name} TASKS=length` first."
    )


def variants(routing: str) -> tuple[str, str]:
    """Variants of the speed suite that a recipe's training would run as: bf16 where there is any."""
    return ("bf16", "base") if routing == "base" else (f"{routing}-bf16", routing)


def nearest(
    records: Records, model: str, variant: str, wanted: dict[str, float]
) -> Iterator[tuple[str, tuple[float, list[float]]]]:
    """For each task: the measured x nearest, by ratio, to the wanted one, and the FLOP/s there of each process."""
    for task, x in wanted.items():
        rates = records.values(task, model, variant, "flops_per_second")
        if rates:
            best = min(rates, key=lambda measured: abs(math.log(measured / x)))
            yield task, (best, rates[best])


def published_rate(recipe: Recipe, peak: float, big: Recipe, gnmt: Recipe) -> Rate:
    """The share of a V100's peak that NVIDIA's recipes reach, of another device's peak.

    Args:
        recipe: What is planned.
        peak: FLOP/s of the device's data sheet, at the training's precision.
        big: Transformer big: its operations per token turn NVIDIA's tokens/s into FLOP/s.
        gnmt: GNMT v2, likewise.
    """
    like, tokens = (big, TRANSFORMER_BIG_TOKENS) if recipe.model == "transformer" else (gnmt, GNMT_TOKENS)
    serial = recipe.model == "bahdanau" and recipe.routing == "base"
    share = tokens.scaled(like.flops_per_token / V100_PEAK * (INPUT_FEEDING if serial else 1.0))
    slower = ", x 0.4 for input feeding (OpenNMT-py, issue 164)" if serial else ""
    source = (
        f"{percent(share)} of the data sheet's peak, as {like.name} on a V100 (NVIDIA/DeepLearningExamples){slower}"
    )
    return Rate(share.scaled(peak), source)


def efficiency(recipe: Recipe, records: Records | None, world: int) -> Rate:
    """Speed of `world` devices over as many times the speed of one: measured if several GPUs were, else published.

    It is extrapolated to other numbers of devices as a power: 0.8 on 8 devices is 0.64 on 64.
    """
    if world == 1:
        return Rate(Interval(1.0, 1.0), "one device")
    if records is not None and records.gpus:
        for variant in variants(recipe.routing):
            kinds = ("strong_efficiency", "weak_efficiency")
            curves = [records.values("devices", recipe.model, variant, kind) for kind in kinds]
            most = max((x for curve in curves for x in curve), default=1)
            if most > 1:
                values = [value for curve in curves for value in curve.get(most, [])]
                measured = Interval(min(values), max(values))
                source = f"{percent(measured)} on {most:g} devices, {recipe.model} {variant} in {records.folder}"
                return Rate(extrapolated(measured, most, world), source)
    published = TRANSFORMER_EFFICIENCY if recipe.model == "transformer" else RECURRENT_EFFICIENCY
    source = f"{percent(published)} on {PUBLISHED_DEVICES} V100 in one machine (NVIDIA/DeepLearningExamples)"
    return Rate(extrapolated(published, PUBLISHED_DEVICES, world), source)


def extrapolated(share: Interval, measured: float, world: int) -> Interval:
    power = math.log(world) / math.log(measured)
    return Interval(share.low**power, share.high**power)


def percent(share: Interval) -> str:
    low, high = (f"{100 * value:.0f}" for value in share)
    return f"{low} %" if low == high else f"{low} to {high} %"
