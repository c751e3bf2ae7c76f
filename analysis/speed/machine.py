"""Machine, kernels and precision behind the measurements, and which runs are left out."""

import math
from statistics import median

from analysis.page.blocks import Block, Notice, Table
from analysis.page.labels import NONE, label, listing, whole
from analysis.speed.runs import COUNTED, STEP, Speed
from analysis.speed.units import operations, percent, precision_name
from analysis.store import Run

NOISY = 0.2  # of the median, between the quartiles


def blocks(speed: Speed) -> list[Block]:
    return [*left_out(speed), *noise(speed), machine_table(speed), *backends(speed)]


def left_out(speed: Speed) -> list[Block]:
    """Times from other machines are in no number: they would compare the machines."""
    if not speed.left_out:
        return []
    text = (
        "Only times of one machine and one number of threads are compared, those of most runs. Left out: "
        f"{'; '.join(f'{name(run)} ({where(run)})' for run in speed.left_out)}."
    )
    return [Notice(text)]


def name(run: Run) -> str:
    return f"{run.task}, {label(run.system)}"


def where(run: Run) -> str:
    machine = run.record["machine"]
    gpus = machine.get("gpus") or ["no GPU"]
    return f"{machine.get('cpu')}, {machine.get('cores')} cores, {machine.get('threads')} threads, {listing(gpus)}"


def noise(speed: Speed) -> list[Block]:
    """A caution where the quartiles of the step times are far apart, as on a machine with other work."""
    curves = [speed.curve("length", system, STEP).values() for system in speed.systems("length")]
    spreads = [(m.high - m.low) / m.value for curve in curves for m in curve if not math.isnan(m.low)]
    if not spreads or median(spreads) < NOISY:
        return []
    text = (
        f"Noisy timing: for half of the step times by length the quartiles are {percent(median(spreads))} of the "
        "median apart or more. Other programs may have used the machine; measure again when it is idle."
    )
    return [Notice(text)]


def machine_table(speed: Speed) -> Table:
    record = next(iter(speed.runs.values())).record
    machine = record["machine"]
    runs = {task: run for (task, _), run in speed.runs.items()}
    timed = {task: run for task, run in runs.items() if not task.startswith(COUNTED)}
    threads = {str(run.record["machine"].get("threads")): task for task, run in (timed or runs).items()}
    rows = [
        ["processor", f"{machine.get('cpu')}, {machine.get('cores')} cores"],
        ["threads", listing([f"{n} ({task})" if len(threads) > 1 else n for n, task in threads.items()])],
        ["GPUs", listing(machine["gpus"]) if machine.get("gpus") else "none"],
        ["PyTorch", str(record["versions"].get("torch", NONE))],
    ]
    if speed.again:
        tasks = list(dict.fromkeys(task for each in speed.again for task in each.tasks))
        rows.append(["processes", f"{len(speed.processes)} ({listing(tasks)}), else one"])
    for precision, peak in peaks(speed).items():
        rows.append([f"matmul peak, {precision_name(precision)}", operations(peak, "/s")])
    return Table("Measured on, with the matmul peak of the same runs.", ["", "value"], rows, left=2)


def peaks(speed: Speed) -> dict[str, float]:
    """The highest matmul rate measured, by precision."""
    found: dict[str, float] = {}
    for (task, system), run in speed.runs.items():
        peak = speed.value(task, system, "matmul_peak")
        if not math.isnan(peak):
            precision = str(run.record["signatures"].get("precision", "precision not recorded"))
            found[precision] = max(peak, found.get(precision, 0.0))
    return found


def backends(speed: Speed) -> list[Block]:
    """Which kernels ran, by system of the sweep over lengths, or of whatever was measured."""
    task = "length" if "length" in speed.tasks else speed.tasks[0]
    systems = speed.systems(task)
    signatures = {s: speed.runs[task, s].record["signatures"] for s in systems}
    keys = list(dict.fromkeys(key for found in signatures.values() for key in found))
    rows = []
    for system in systems:
        found = (precision_name(str(signatures[system].get(key, NONE))) for key in keys)
        rows.append([label(system), *found, whole(speed.value(task, system, "parameters"))])
    caption = f"Kernels and precision of the task {task}."
    return [Table(caption, ["model", *keys, "parameters"], rows, left=1 + len(keys))]
