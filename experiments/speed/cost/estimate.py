"""What a suite's translation runs would take: hours, memory and money, from counted operations and measured speed.

python -m experiments.speed.cost.estimate --suite paper --devices 8 --nodes 2 --price 2.5
"""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jsonargparse import auto_cli

from experiments.planning.grid import HERE, Planned, plan_bleu, row_of
from experiments.speed.cost.recipe import Recipe, read_recipe
from experiments.speed.cost.throughput import (
    KERNEL_START,
    TERA,
    Efficiency,
    Interval,
    Pace,
    Records,
    efficiency,
    measured_pace,
    percent,
    published_pace,
    read_records,
)
from experiments.training.environment import quiet

GIB = 2**30
PUBLISHED = ("transformer-big", "bahdanau-parallel")  # the paper suite's counterparts of what NVIDIA trained
# Vaswani et al. 2017, section 5.2 and table 2: base, 100,000 steps of 25,000 target tokens, 12 hours on eight P100
# that are taken to sustain 9.5 TFLOP/s.
VASWANI_TOKENS, VASWANI_COST = 100_000 * 25_000, 3.3e18
VASWANI_HOURS, VASWANI_DEVICES, VASWANI_SUSTAINED = 12, 8, 9.5 * TERA


@dataclass(frozen=True)
class Cluster:
    """Where it is to run; the price is of one device for an hour, in any currency."""

    devices: int
    nodes: int
    price: float | None = None

    @property
    def world(self) -> int:
        return self.devices * self.nodes


@dataclass(frozen=True)
class Estimate:
    """What one recipe takes on a cluster."""

    recipe: Recipe
    cluster: Cluster
    pace: Pace
    efficiency: Efficiency

    @property
    def hours(self) -> Interval:
        """Of training steps, on all devices together."""
        pace, share, flops = (
            self.pace,
            self.efficiency.share,
            self.recipe.flops / self.recipe.steps / self.cluster.world,
        )
        quickest = max(flops / pace.flops_per_second.high, pace.least_step.low) / share.high
        slowest = max(flops / pace.flops_per_second.low, pace.least_step.high) / share.low
        return scaled(Interval(quickest, slowest), self.recipe.steps / 3600)

    @property
    def device_hours(self) -> Interval:
        return scaled(self.hours, self.cluster.world)

    @property
    def cost(self) -> Interval | None:
        price = self.cluster.price
        return None if price is None else scaled(self.device_hours, price)


def main(
    suite: str = "paper",
    models: str = "",
    devices: str = "",
    nodes: str = "",
    price: str = "",
    peak: str = "",
    length: int = 32,
    measured: str = "",
    root: str = "runs",
) -> None:
    """Print what the translation runs of a suite would take, and what that rests on.

    Args:
        suite: Which grid.
        models: Model configurations, separated by blanks; empty: all that the suite has.
        devices: Devices on each node; empty: eight.
        nodes: Number of machines; empty: one.
        price: Of one device for an hour; empty: no cost is printed.
        peak: TFLOP/s of a device that was not measured, as its data sheet gives it at the training's precision.
        length: Tokens of a source and of a target.
        measured: Suite whose speed records count; empty: full, or quick where full has none.
        root: Folder of the run store.
    """
    quiet()
    try:
        cluster = Cluster(
            int(number("DEVICES", devices or "8", whole=True)),
            int(number("NODES", nodes or "1", whole=True)),
            number("PRICE", price) if price else None,
        )
        given_peak = number("PEAK", peak) * TERA if peak else None
        records = None if given_peak else read_records(Path(root), [measured] if measured else ["full", "quick"])
        recipes = read_recipes(suite, models.split(), length)
        for recipe in recipes:
            recipe.tokens_on(cluster.world)
        if given_peak is None:
            assert records is not None
            paces = [measured_pace(recipe, records, length, cluster.world) for recipe in recipes]
        else:
            known = {recipe.name: recipe for recipe in recipes} if suite == "paper" else {}
            like = [known.get(name) or read_recipe(planned("paper", name), length) for name in PUBLISHED]
            paces = [published_pace(recipe, given_peak, *like) for recipe in recipes]
        shares = [efficiency(recipe, records, cluster.world) for recipe in recipes]
        estimates = [Estimate(r, cluster, p, s) for r, p, s in zip(recipes, paces, shares, strict=True)]
        lines = [*table(estimates), "", *assumptions(estimates, records, length), *check(recipes)]
    except (ValueError, FileNotFoundError) as error:
        raise SystemExit(f"error: {error}") from None
    print("\n".join(lines))


def number(name: str, text: str, *, whole: bool = False) -> float:
    """Raises ValueError, naming the setting, for what is not above zero."""
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        value = 0
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{name} is {text!r}; it must be a {'whole ' if whole else ''}number above 0.")
    return value


def read_recipes(suite: str, models: list[str], length: int) -> list[Recipe]:
    """Recipes of a suite: those of its grid first, then those that only MODELS starts."""
    folder = HERE / "configs" / "bleu" / suite
    grid = row_of(suite, "bleu")["models"]
    others = sorted(path.stem for path in folder.glob("*.yaml") if path.stem not in ("common", *grid))
    return [read_recipe(planned(suite, name), length) for name in models or [*grid, *others]]


def planned(suite: str, model: str) -> Planned:
    return next(plan_bleu(suite, [model], [0], "", "runs", []))


def table(estimates: Sequence[Estimate]) -> list[str]:
    """One column a recipe."""
    world = estimates[0].cluster.world
    of_all = f"on {world} devices" if world > 1 else "on one device"
    rows = {
        "parameters": [f"{e.recipe.parameters / 1e6:.1f} M" for e in estimates],
        "steps": [f"{e.recipe.steps:,}" for e in estimates],
        "target tokens a step": [f"{e.recipe.tokens:,}" for e in estimates],
        "target tokens in all": [scientific(e.recipe.all_tokens) for e in estimates],
        "FLOP per target token": [scientific(e.recipe.flops_per_token) for e in estimates],
        "  of it vocabulary": [f"{100 * e.recipe.vocabulary_share:.0f} %" for e in estimates],
        "FLOP in all": [scientific(e.recipe.flops) for e in estimates],
        f"hours {of_all}": [between(e.hours) for e in estimates],
        "device hours": [between(e.device_hours) for e in estimates],
        "memory of a device, GiB": [f"{e.recipe.memory_on(world) / GIB:.1f}" for e in estimates],
    }
    if estimates[0].cost is not None:
        rows["cost"] = [between(e.cost) for e in estimates if e.cost is not None]
    lines = [["", *(e.recipe.name for e in estimates)], *([name, *values] for name, values in rows.items())]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    aligned = ([cell.rjust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return ["  ".join([line[0].ljust(widths[0]), *cells[1:]]) for line, cells in zip(lines, aligned, strict=True)]


def assumptions(estimates: Sequence[Estimate], records: Records | None, length: int) -> list[str]:
    """What the figures rest on, and where each part comes from."""
    recipes, cluster = [e.recipe for e in estimates], estimates[0].cluster
    said = []
    for pace in dict.fromkeys((e.pace.flops_per_second, e.pace.source) for e in estimates):
        names = ", ".join(e.recipe.name for e in estimates if (e.pace.flops_per_second, e.pace.source) == pace)
        said.append(f"{names}: a device does {between(scaled(pace[0], 1 / TERA))} TFLOP/s: {pace[1]}.")
    if records is not None:
        said.append(
            f"Measured was one device, {records.device}. Networks of other sizes reach other shares of its peak."
        )
        if not records.on_gpu:
            said[-1] += (
                " No GPU was: these are hours of machines like this one. For GPUs measure on one (make speed "
                "SUITE=full), or give the data sheet's TFLOP/s: make plan PEAK=989."
            )
    else:
        floors = (f"{e.recipe.name} {between(scaled(e.pace.least_step, 1e3))}" for e in estimates)
        said.append(
            f"A step takes no less than its kernels take to start, {between(scaled(KERNEL_START, 1e6))} us each in "
            f"eager mode (the usual order of size, not measured), in ms: {', '.join(floors)}."
        )
    for source in dict.fromkeys(e.efficiency.source for e in estimates if cluster.world > 1):
        those = [e for e in estimates if e.efficiency.source == source]
        said.append(
            f"{', '.join(e.recipe.name for e in those)}: {cluster.world} devices work at "
            f"{percent(those[0].efficiency.share)} of {cluster.world} times one: {source}, carried on as a "
            "power of the number of devices. How nodes are connected is not known here."
        )
    for tokens in dict.fromkeys(recipe.tokens for recipe in recipes):
        each = tokens // cluster.world
        said.append(
            f"A step has {tokens:,} target tokens on any number of devices, {each:,} on each of {cluster.world}: "
            f"data.init_args.max_tokens is to be {each}."
        )
    said += [
        f"Sources and targets have {length} tokens each, near the mean of WMT14 in subwords but not counted here "
        "(--length); padding counts as tokens.",
        "Operations are those of the networks, forward and backward, attention counted in full, optimiser left out; "
        "measured FLOP/s are the same operations over the time of a whole step, optimiser included.",
        "Memory: 4 bytes for each weight, its gradient, Adam's two moments, the average of weights and, on several "
        "devices, the buffer its gradients are summed in; and what a forward pass keeps for the backward pass, in 32 "
        "bits (mixed precision keeps about half of that part). The allocator's and the driver's own come on top.",
        "Steps, tokens and sizes are those of the configurations; their comments name the papers.",
        "One run of each model. Validation, decoding, checkpoints and trials of learning rates come on top.",
    ]
    if cluster.price is not None:
        said.append(f"A device costs {cluster.price:g} an hour: PRICE.")
    return ["Assumptions", *(wrapped(f"{i:2}. ", text) for i, text in enumerate(said, start=1))]


def check(recipes: Sequence[Recipe]) -> list[str]:
    """Our count of the Transformer base recipe beside the training cost that its paper prints."""
    for recipe in recipes:
        if recipe.name == "transformer" and recipe.all_tokens == VASWANI_TOKENS:
            seconds = VASWANI_HOURS * 3600 * VASWANI_DEVICES
            text = (
                f"{scientific(recipe.flops)} FLOP counted for Transformer base, {scientific(VASWANI_COST)} in table 2 "
                f"of Vaswani et al. 2017, which is a price and no count: {VASWANI_HOURS} h x {VASWANI_DEVICES} P100 x "
                f"{VASWANI_SUSTAINED / TERA:g} TFLOP/s taken as sustained. By our count these did "
                f"{recipe.flops / seconds / TERA:.1f} TFLOP/s each, {100 * recipe.flops / VASWANI_COST:.0f} % of that."
            )
            return ["", wrapped("Check: ", text)]
    return []


def scaled(interval: Interval, factor: float) -> Interval:
    return Interval(*(value * factor for value in interval))


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
    auto_cli(main)
