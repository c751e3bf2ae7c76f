"""Hours, memory and cost of a suite's translation runs, from counted operations and measured speed.

python -m experiments.speed.cost.estimate --suite paper --devices 8 --nodes 2 --price 2.5
"""

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jsonargparse.typing import PositiveFloat, PositiveInt

from experiments.launch import command_line
from experiments.planning.grid import EXPERIMENTS, Planned, models_in, plan_bleu, row_of
from experiments.speed.cost.recipe import Recipe, read_recipe
from experiments.speed.cost.throughput import (
    TERA,
    Interval,
    Rate,
    Records,
    efficiency,
    measured_rate,
    percent,
    published_rate,
    read_records,
)
from experiments.training.environment import quiet

GIB = 2**30
PUBLISHED = ("transformer-big", "bahdanau-parallel")  # the paper suite's counterparts of NVIDIA's recipes


@dataclass(frozen=True)
class Cluster:
    """The devices; the price is that of one device for an hour, in any currency."""

    devices: int
    nodes: int
    price: float | None = None

    @property
    def world(self) -> int:
        return self.devices * self.nodes


@dataclass(frozen=True)
class Estimate:
    """A recipe on a cluster.

    Attributes:
        recipe, cluster: What is planned.
        rate: FLOP/s of one device.
        efficiency: Speed of all devices over as many times the speed of one.
    """

    recipe: Recipe
    cluster: Cluster
    rate: Rate
    efficiency: Rate

    @property
    def device_hours(self) -> Interval:
        """Of training steps."""
        rate, share = self.rate.value, self.efficiency.value
        return Interval(1 / (rate.high * share.high), 1 / (rate.low * share.low)).scaled(self.recipe.flops / 3600)

    @property
    def hours(self) -> Interval:
        return self.device_hours.scaled(1 / self.cluster.world)

    @property
    def cost(self) -> Interval | None:
        return None if self.cluster.price is None else self.device_hours.scaled(self.cluster.price)


def main(
    suite: str = "paper",
    models: str = "",
    devices: PositiveInt = 8,
    nodes: PositiveInt = 1,
    price: PositiveFloat | None = None,
    peak: PositiveFloat | None = None,
    length: int = 32,
    root: str = "runs",
) -> None:
    """Print hours, memory and cost of the translation runs of a suite, with the assumptions.

    Args:
        suite: Which grid.
        models: Model configurations, separated by blanks; empty: all that the suite has.
        devices: Devices on each node.
        nodes: Number of machines.
        price: Of one device for an hour; without it no cost is printed.
        peak: TFLOP/s of a device that was not measured, as its data sheet gives it at the training's precision.
        length: Tokens of a source and of a target.
        root: Folder of the run store, whose speed records of the suite gpu count; without those of full, or of quick.
    """
    quiet()
    try:
        cluster = Cluster(devices, nodes, price)
        records = None if peak else read_records(Path(root), ["gpu", "full", "quick"])
        recipes = [read_recipe(planned(suite, name), length) for name in models.split() or configurations(suite)]
        for recipe in recipes:
            recipe.tokens_on(cluster.world)
        if peak:
            like = [read_recipe(planned("paper", name), length) for name in PUBLISHED]
            rates = [published_rate(recipe, peak * TERA, *like) for recipe in recipes]
        else:
            assert records is not None
            rates = [measured_rate(recipe, records, length, cluster.world) for recipe in recipes]
        shares = [efficiency(recipe, records, cluster.world) for recipe in recipes]
        estimates = [Estimate(r, cluster, f, s) for r, f, s in zip(recipes, rates, shares, strict=True)]
        lines = [*table(estimates), "", *assumptions(estimates, records, length)]
    except (ValueError, OverflowError, FileNotFoundError) as error:
        raise SystemExit(f"error: {error}") from None
    print("\n".join(lines))


def configurations(suite: str) -> list[str]:
    """The models of a suite's grid first, then those that only MODELS starts."""
    grid = row_of(suite, "bleu")["models"]
    others = {*models_in(EXPERIMENTS / "configs" / "bleu" / suite)} - {*grid}
    return [*grid, *sorted(others)]


def planned(suite: str, model: str) -> Planned:
    return next(plan_bleu(suite, [model], [0], "", "runs", []))


def table(estimates: Sequence[Estimate]) -> list[str]:
    """One column per recipe."""
    world = estimates[0].cluster.world
    rows = {
        "parameters": [f"{e.recipe.parameters / 1e6:.1f} M" for e in estimates],
        "steps": [f"{e.recipe.steps:,}" for e in estimates],
        "target tokens a step": [f"{e.recipe.tokens:,}" for e in estimates],
        "target tokens in all": [scientific(e.recipe.all_tokens) for e in estimates],
        "FLOP per target token": [scientific(e.recipe.flops_per_token) for e in estimates],
        "  of it vocabulary": [f"{100 * e.recipe.vocabulary_share:.0f} %" for e in estimates],
        "FLOP in all": [scientific(e.recipe.flops) for e in estimates],
        f"hours on {world} devices" if world > 1 else "hours on one device": [between(e.hours) for e in estimates],
        "device hours": [between(e.device_hours) for e in estimates],
        "memory of a device, GiB": [f"{e.recipe.memory_on(world) / GIB:.1f}" for e in estimates],
    }
    if estimates[0].cost is not None:
        rows["cost"] = [between(e.cost) for e in estimates if e.cost is not None]
    lines = [["", *(e.recipe.name for e in estimates)], *([name, *values] for name, values in rows.items())]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join([name.ljust(widths[0]), *map(str.rjust, cells, widths[1:])]) for name, *cells in lines]


def assumptions(estimates: Sequence[Estimate], records: Records | None, length: int) -> list[str]:
    """What the figures rest on, with the source of each part."""
    cluster = estimates[0].cluster
    found = []
    for rate in dict.fromkeys(e.rate for e in estimates):
        flops = between(rate.value.scaled(1 / TERA))
        found.append(f"{names(e for e in estimates if e.rate == rate)}: a device does {flops} TFLOP/s: {rate.source}.")
    if records is None:
        found.append(
            "Devices faster than a V100 reach a smaller share with batches this small: measured speed is better."
        )
    else:
        found.append(f"Measured on {records.device}. Networks of other sizes reach other shares of its peak.")
        if not records.gpus:
            found[-1] += (
                " Not a GPU: these are hours of machines like this one. For GPUs measure on one (make speed "
                "SUITE=gpu) or give the data sheet's TFLOP/s: --peak 989."
            )
    for share in dict.fromkeys(e.efficiency for e in estimates if cluster.world > 1):
        found.append(
            f"{names(e for e in estimates if e.efficiency == share)}: {cluster.world} devices are "
            f"{percent(share.value)} as fast as {cluster.world} times one: {share.source}, extrapolated as a power of "
            "the number of devices, whatever connects the nodes."
        )
    for tokens in dict.fromkeys(e.recipe.tokens for e in estimates):
        found.append(
            f"A step has {tokens:,} target tokens on any number of devices: set data.init_args.max_tokens to "
            f"{tokens // cluster.world}."
        )
    found += [
        f"Sources and targets have {length} tokens each, padding included (--length); WMT14's were not counted.",
        "Operations: forward and backward pass, attention in full, without the optimiser. Measured FLOP/s are these "
        "over the time of a whole step.",
        "Memory: 4 bytes for each weight, its gradient, Adam's two moments, the average of weights, DDP's buffer; and "
        "the activations in 32 bits (about half with mixed precision). Allocator and driver take more.",
        "One run per model, without validation, decoding, checkpoints and trials of learning rates.",
    ]
    if cluster.price is not None:
        found.append(f"A device costs {cluster.price:g} an hour.")
    return ["Assumptions", *(wrapped(f"{i:2}. ", text) for i, text in enumerate(found, start=1))]


def names(estimates: Iterable[Estimate]) -> str:
    return ", ".join(e.recipe.name for e in estimates)


def between(interval: Interval) -> str:
    """Two digits are as many as an estimate has."""
    low, high = (rounded(value) for value in interval)
    return low if low == high else f"{low} to {high}"


def rounded(value: float) -> str:
    value = float(f"{value:.1e}")
    return f"{value:,.{max(0, 1 - math.floor(math.log10(value)))}f}"


def scientific(value: float) -> str:
    return f"{value:.1e}".replace("e+0", "e").replace("e+", "e")


def wrapped(label: str, text: str) -> str:
    return textwrap.fill(text, 110, initial_indent=label, subsequent_indent=" " * len(label), break_on_hyphens=False)


if __name__ == "__main__":
    command_line.run(main)
