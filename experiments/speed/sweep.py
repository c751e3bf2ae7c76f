"""Step time, rate, memory and operations by length, width or number of rows, on batches without padding."""

import time
from dataclasses import asdict
from functools import partial
from typing import Any

import torch

from datamodules.batch import Batch
from experiments.speed.flops import count, matmul_peak
from experiments.speed.profiling import kernels, peak_memory
from experiments.speed.record import Rows, log
from experiments.speed.settings import Axis, Settings, Sweep
from experiments.speed.systems import Step, System, build, random_batch, sequential_steps
from experiments.speed.timing import alternate, fits, spread
from experiments.training.environment import return_memory
from models.bahdanau import BahdanauNetwork


def run_sweep(
    axis: Axis, sweep: Sweep, settings: Settings, device: torch.device
) -> tuple[dict[str, Rows], dict[str, Any]]:
    """Time every system at every value; rows by system, and what was held equal."""
    systems = [System(name, settings.precision) for name in sweep.systems]
    found = {system.name: Rows() for system in systems}
    for precision in dict.fromkeys(system.precision for system in systems):
        peak = matmul_peak(precision, device)
        for system in systems:
            if system.precision == precision:
                found[system.name].add("matmul_peak", peak, "FLOP/s")
    for value in sweep.values:
        chosen = [s for s in systems if value in sweep.only.get(s.name, sweep.values)]
        log(f"{axis} {value}: {', '.join(s.name for s in chosen)}")
        at_value(axis, value, chosen, sweep, settings, found, device)
    held_equal: dict[str, Any] = {
        "target tokens per batch": sweep.tokens if axis != "batch" else "rows x length",
        "length": "varies" if axis == "length" else sweep.length,
        "width": "varies" if axis == "width" else settings.width,
        "vocabulary": settings.vocabulary,
        "padding": "none",
        **{f"clock: {name}": value for name, value in asdict(settings.clock).items()},
    }
    return found, held_equal


def at_value(
    axis: Axis,
    value: int,
    systems: list[System],
    sweep: Sweep,
    settings: Settings,
    found: dict[str, Rows],
    device: torch.device,
) -> None:
    """All systems at one value, interleaved."""
    length = value if axis == "length" else sweep.length
    rows = value if axis == "batch" else sweep.tokens // length
    scale = value / settings.width if axis == "width" else 1.0
    batch = random_batch(rows, length, length, settings.vocabulary, device)
    steps: dict[str, Step] = {}
    for system in systems:
        return_memory()
        step = Step(build(settings.models[system.network], settings.vocabulary, scale), system, device)
        begun = time.perf_counter()
        if not fits(partial(step.step, batch)):
            found[system.name].add("out_of_memory", 1, "", axis, value)
            continue
        if system.compiled:
            found[system.name].add("compile_seconds", time.perf_counter() - begun, "s", axis, value)
        steps[system.name] = step
    timed = {"forward": Step.forward, "forward_backward": Step.forward_backward, "step": Step.step}
    if any(step.module.replays for step in steps.values()):
        del timed["forward"]  # a captured step computes the gradients with the loss
    runs = {f"{name} {what}": partial(f, step, batch) for name, step in steps.items() for what, f in timed.items()}
    seconds = alternate(runs, settings.clock.rounds, settings.clock.seconds, device)
    for name, step in steps.items():
        rows_of = found[name]
        for what in timed:
            rows_of.add_spread(f"{what}_seconds", seconds[f"{name} {what}"], "s", axis, value)
        describe(rows_of, step, batch, spread(seconds[f"{name} step"]).median, (axis, value), device)


def describe(found: Rows, step: Step, batch: Batch, seconds: float, at: tuple[str, int], device: torch.device) -> None:
    """Rates that follow from a step's time, its memory and its operations."""
    (rows, length), network = batch.labels.shape, step.module.network
    peak = next(m.value for m in found.measurements if m.metric == "matmul_peak")
    flops = rows * count(network, length, length).forward_backward
    found.add("target_tokens_per_second", rows * length / seconds, "tokens/s", *at)
    found.add("positions_per_second", 2 * rows * length / seconds, "tokens/s", *at)
    found.add("flops_per_step", flops, "FLOP", *at)
    found.add("flops_per_second", flops / seconds, "FLOP/s", *at)
    found.add("peak_share", flops / seconds / peak, "share", *at)
    with step.one_by_one():
        found.add("peak_memory", peak_memory(partial(step.step, batch), device), "B", *at)
    depth = sequential_steps(network, length, length)
    if depth is not None:
        found.add("sequential_steps", depth, "steps", *at)
    if at[0] == "width":
        found.add("parameters", parameters(step), "parameters", *at)
    elif not any(m.metric == "parameters" for m in found.measurements):
        found.add("parameters", parameters(step), "parameters")
    if not found.kernels:
        with step.one_by_one():
            found.kernels.update(kernels(partial(step.step, batch)))
        if isinstance(network, BahdanauNetwork):
            loop = network.settings.routing == "input_feeding"
            found.kernels["attention kernel"] = (
                "additive, one target step after another" if loop else "additive, all target steps at once"
            )
        found.kernels |= {"precision": step.system.precision, "mode": step.mode}


def parameters(step: Step) -> int:
    """Trained numbers, those shared by two layers once."""
    return sum(parameter.numel() for parameter in step.module.parameters())
