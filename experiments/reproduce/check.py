"""Runs the suite `reproduce` anew and compares every number with the committed ones.

python -m experiments.reproduce.check [--renew true]
"""

import json
import os
import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import torch
from filelock import FileLock, Timeout
from jsonargparse import auto_cli

from experiments.launch.local import Limits, run_all
from experiments.planning.grid import Planned, plan_bleu, plan_long_range
from experiments.provenance import machine, versions
from experiments.record.read import read_object
from experiments.record.write import write_atomically
from experiments.reproduce.comparison import Comparison, Outcome, compare, read_outcome
from experiments.run import build_parser, identity

SUITE = "reproduce"
REFERENCE = Path("results/reproduce/reference.json")
ROOT = Path("runs/reproduce-check")  # emptied by every check
RENEWAL = "make reproduce-check RENEW=1"
SHOWN = 3  # differences of a run: where it begins to differ
NOT_THERE = object()  # None is a value of its own

# With one thread the order of additions does not depend on the number of cores.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "WANDB_MODE": "disabled"}
ARITHMETIC = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR")


class Reference(NamedTuple):
    """What was committed: when, on which type of machine, and what each run gave."""

    made: str
    machine: dict[str, str]
    runs: dict[str, Outcome]


def main(renew: bool = False) -> None:
    """Run the suite and compare; the exit code is 0 where everything repeats.

    Args:
        renew: Write the numbers down as those to come back to, instead of comparing.
    """
    os.environ.update(ENVIRONMENT)
    runs = planned(ROOT)
    configs = {name_of(run, ROOT): settings(run) for run in runs}
    try:
        reference = None if renew else read_reference(REFERENCE)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(f"error: {error}") from None
    changes = changed_settings(reference, configs) if reference else []
    if changes:
        raise SystemExit("\n".join([f"{REFERENCE} was made with other settings:", *changes, f"To renew it: {RENEWAL}"]))
    with alone(ROOT):
        carry_out(runs, ROOT)
        found = {name_of(run, ROOT): read_outcome(run.key.folder, configs[name_of(run, ROOT)]) for run in runs}
    if reference:
        raise SystemExit(0 if tell(reference, found) else 1)
    write_reference(REFERENCE, found)
    print(f"\nwritten: {REFERENCE}; say in CHANGELOG.md under Numbers what moved them")


def planned(root: Path) -> list[Planned]:
    """The runs of the suite, with tokenisers trained anew: those of earlier code are not to be found."""
    cache = f"--data.init_args.cache_dir={root / 'cache'}"
    bleu = plan_bleu(SUITE, [], [], "", str(root), [cache])
    return [*bleu, *plan_long_range(SUITE, [], [], [], str(root), [])]


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Keep another check from emptying `root` meanwhile."""
    root.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(root.with_name(f".{root.name}.lock"), timeout=0):
            yield
    except Timeout:
        raise SystemExit(f"error: another check is running in {root}; nothing was changed.") from None


def carry_out(runs: Sequence[Planned], root: Path) -> None:
    """Run all in `root`, which is emptied before: nothing that is there was made by the code of now.

    Raises:
        SystemExit: If a run failed, or somebody interrupted.
    """
    if root.exists():
        shutil.rmtree(root)
    failed = [ended.planned for ended in run_all(runs, Limits(jobs=os.cpu_count() or 1)) if ended.code]
    if failed:
        logs = [f"  {run.label}: see {run.key.log}" for run in failed]
        raise SystemExit("\n".join([f"\n{len(failed)} of {len(runs)} runs failed; nothing was compared:", *logs]))


def name_of(run: Planned, root: Path) -> str:
    """The run's folder in its suite."""
    return str(run.key.folder.relative_to(root / run.key.suite))


def settings(run: Planned) -> dict[str, Any]:
    """The settings that decide a run's numbers by dotted name."""
    config = identity(build_parser().parse_args(run.arguments))
    return dict(dotted(json.loads(json.dumps(config, default=str)), ""))


def dotted(config: Mapping[str, Any], before: str) -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if isinstance(value, dict) and value:
            yield from dotted(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def changed_settings(reference: Reference, configs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line for each run that is in one of the two only and for each setting whose value is another."""
    lines = [f"  {name}: not in the reference" for name in configs if name not in reference.runs]
    lines += [f"  {name}: no longer in the suite" for name in reference.runs if name not in configs]
    for name in (name for name in configs if name in reference.runs):
        before, now = reference.runs[name].config, configs[name]
        lines += [
            f"  {name}: {key} was {before.get(key, 'not there')}, is {now.get(key, 'not there')}"
            for key in dict.fromkeys((*before, *now))
            if before.get(key, NOT_THERE) != now.get(key, NOT_THERE)
        ]
    return lines


def machine_type() -> dict[str, str]:
    """All on which the last digits depend, with one thread; where it is the same, numbers are equal."""
    arithmetic = [f"{name}={os.environ[name]}" for name in ARITHMETIC if name in os.environ]
    return {
        "cpu": machine()["cpu"] + model_numbers(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "set": " ".join(arithmetic) or "nothing",
        "system": " ".join((platform.system(), platform.machine(), *platform.libc_ver())).strip(),
        **{name: version for name, version in versions().items() if name != "wandb"},
    }


def model_numbers() -> str:
    """Family and model of a CPU: a virtual one is often called by no more than its maker's name."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().split("\n") if cpuinfo.exists() else []
    fields = dict(line.split(":", 1) for line in reversed(lines) if ":" in line)
    found = {name.strip(): value.strip() for name, value in fields.items()}
    numbers = [f"{name.removeprefix('cpu ')} {found[name]}" for name in ("cpu family", "model") if name in found]
    return f" ({', '.join(numbers)})" if numbers else ""


def read_reference(file: Path) -> Reference:
    """The committed numbers.

    Raises:
        FileNotFoundError: If there are none.
        ValueError: If the file is not what `write_reference` wrote.
    """
    if not file.exists():
        raise FileNotFoundError(f"{file} is not there, so there is nothing to compare with; to make it: {RENEWAL}")
    try:
        record = read_object(file, {"made": str, "machine": dict, "runs": dict})
        runs = {name: Outcome.from_json(run) for name, run in record["runs"].items()}
        return Reference(record["made"], {name: record["machine"][name] for name in machine_type()}, runs)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(
            f"{file} holds no reference ({type(error).__name__}: {error}); restore it, or make it anew: {RENEWAL}"
        ) from error


def write_reference(file: Path, runs: Mapping[str, Outcome]) -> None:
    """Write the numbers down, a line for each, so that a change of them can be read."""
    made = datetime.now(UTC).date().isoformat()
    record = {"made": made, "machine": machine_type(), "runs": {name: run.as_json() for name, run in runs.items()}}
    write_atomically(file, as_lines(record, 4) + "\n")


def as_lines(value: Any, levels: int) -> str:
    """JSON with a line for each entry of the outer `levels`."""
    if not levels or not value or not isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        entries = [f"{json.dumps(name)}: {as_lines(entry, levels - 1)}" for name, entry in value.items()]
    else:
        entries = [as_lines(entry, levels - 1) for entry in value]
    left, right = "{}" if isinstance(value, dict) else "[]"
    return "\n".join([left, ",\n".join(entries), right])


def tell(reference: Reference, found: Mapping[str, Outcome]) -> bool:
    """Print how the runs compare; return whether all repeats."""
    here = machine_type()
    others = [f"{name} {value} -> {here[name]}" for name, value in reference.machine.items() if here[name] != value]
    print(f"\nreference of {reference.made}: {described(reference.machine)}")
    if others:
        print(f"this machine: {', '.join(others)}. Numbers may differ by rounding, within the stated tolerances.")
    else:
        print("this machine: of the same type, so every number must be equal to the last digit")
    comparisons = [compare(name, reference.runs[name], run, exact=not others) for name, run in found.items()]
    print("\n".join(["", *table(comparisons), ""]))
    for c in comparisons:
        for d in c.outside[:SHOWN]:
            print(f"{c.run}: {d.what}\n  expected {d.expected}\n  found    {d.found}\n  allowed  {d.allowed}")
        if len(c.outside) > SHOWN:
            print(f"{c.run}: and {len(c.outside) - SHOWN:,} more")
    outside = sum(len(c.outside) for c in comparisons)
    if outside:
        print(f"\nnot repeated: {outside:,}. If the change that made them differ was meant to move numbers: {RENEWAL}")
    else:
        print("everything repeats")
    return not outside


def described(machine: Mapping[str, str]) -> str:
    return f"{machine['cpu']}, {machine['instructions']}, torch {machine['torch']}, one thread, 32-bit"


def table(comparisons: Sequence[Comparison]) -> list[str]:
    """A line for each run, below a header."""
    width = max((len(comparison.run) for comparison in comparisons), default=0)
    lines = [f"{'run':{width}}  numbers  hypotheses  unequal  largest  outside"]
    for c in comparisons:
        counts = f"{c.numbers:7,}  {c.hypotheses:10,}  {c.unequal:7,}  {c.largest:7.1g}  {len(c.outside):7,}"
        lines.append(f"{c.run:{width}}  {counts}")
    return [*lines, "unequal: to the last digit; largest: relative difference of a number; outside: not allowed"]


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
