"""Trains the small suite `reproduce` again and compares every number with the committed ones.

    python -m experiments.reproduce [--renew true]

On the same type of machine everything must be equal to the last digit: numbers, curves, hypotheses, checksums of
weights and attention maps. On another one numbers may differ by rounding, within the tolerances below.
"""

import hashlib
import json
import os
import platform
import shutil
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import torch
from filelock import FileLock, Timeout

from experiments.launch import command_line
from experiments.launch.local import Limits, run_all
from experiments.launch.provenance import cpu_facts, machine, versions
from experiments.planning.grid import Planned, plan_bleu, plan_tasks
from experiments.planning.parser import build_parser, identity
from experiments.record.keys import HISTORY
from experiments.record.read import read_history, read_json, read_result, read_translations
from experiments.record.write import as_lines, write_atomically
from experiments.training.run_folder import settings_of

SUITE = "reproduce"
REFERENCE = Path("results/reproduce/reference.json")
ROOT = Path("runs/reproduce-check")  # emptied by every check
RENEWAL = ".venv/bin/python -m experiments.reproduce --renew true"
SHOWN = 3  # differences of a run
MISSING = "missing"
TIMED = ("s", "tokens/s")  # units of numbers that no run repeats

# With one thread the order of additions does not depend on the number of cores.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "WANDB_MODE": "disabled"}
ARITHMETIC = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR")

# By unit, the absolute and the relative difference on another type of machine, of which the larger is allowed; units
# without an entry must be equal. Two to ten times the largest difference found with the AVX2 or SSE kernels of all
# libraries in place of AVX-512's: losses 1e-7 of their value in the first 40 steps and 1e-4 after 120, entropies 1e-4,
# BLEU and chrF 0.003, gradients through 20 steps of a plain RNN 0.4 of their norm. Of the Transformer's hypotheses 0 or
# 15 % were others, of the recurrent models' none. After 400 steps it was two thirds: longer runs would need more room.
TOLERANCES = {
    "nats": (0.0, 5e-3),
    "share": (0.02, 0.0),
    "norm": (0.1, 0.5),
    "probability": (1e-3, 0.0),
    "squared sum": (0.0, 0.01),
    "BLEU": (0.2, 0.0),
    "chrF": (0.5, 0.0),
    "ratio": (0.01, 0.0),
}
EARLY, EARLY_LOSS = 40, (0.0, 1e-5)  # training losses up to this step
OTHER_TEXTS = 0.3  # share of a test set's hypotheses
CURVES = {
    "train/loss": "nats",
    "val/loss": "nats",
    "val/smoothed_loss": "nats",
    "val/token_accuracy": "share",
    "val/control_accuracy": "share",
    "val/bleu": "BLEU",
    "train/tokens_per_second": "tokens/s",
}

Outcome = dict[str, Any]  # of a run: its config, checksums, numbers and hypotheses, as they are committed
Key = tuple[Any, ...]  # the kind of a value and its name in the run


class Difference(NamedTuple):
    """A value that did not repeat; `allowed` if rounding on another type of machine explains it."""

    name: str
    expected: Any
    found: Any
    allowed: bool


def main(renew: bool = False) -> None:
    """Run the suite and compare; the exit code is 0 where everything repeats.

    Args:
        renew: Make the numbers the new reference instead of comparing them.
    """
    os.environ.update(ENVIRONMENT)
    runs = {str(run.key.folder.relative_to(ROOT / run.key.suite)): run for run in planned(ROOT)}
    configs = {name: settings(run) for name, run in runs.items()}
    try:
        reference = {} if renew else read_reference(REFERENCE)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(f"error: {error}") from None
    if reference and (changes := listed(changed_settings(reference["runs"], configs))):
        raise SystemExit("\n".join([f"{REFERENCE} was made with other settings:", *changes, f"To renew it: {RENEWAL}"]))
    ROOT.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(ROOT.with_name(f".{ROOT.name}.lock"), timeout=0):
            carry_out(list(runs.values()))
            found = {name: read_outcome(run.key.folder, configs[name]) for name, run in runs.items()}
    except Timeout:
        raise SystemExit(f"error: another check is running in {ROOT}; nothing was changed.") from None
    if reference:
        raise SystemExit(0 if repeats(reference, found) else 1)
    made = datetime.now(UTC).date().isoformat()
    write_atomically(REFERENCE, as_lines({"made": made, "machine": machine_type(), "runs": found}, 4) + "\n")
    print(f"\nwritten: {REFERENCE}; list the cause in CHANGELOG.md under Numbers")


def planned(root: Path) -> list[Planned]:
    """The runs of the suite, with newly trained tokenisers: those of earlier code must not be found."""
    cache = f"--data.init_args.cache_dir={root / 'cache'}"
    bleu = plan_bleu(SUITE, [], [], "", str(root), [cache])
    return [*bleu, *plan_tasks("long-range", SUITE, [], [], [], str(root), [])]


def settings(run: Planned) -> dict[str, Any]:
    """The settings that decide a run's numbers by dotted name."""
    config = identity(build_parser().parse_args(run.arguments))
    return {".".join(names): value for names, value in settings_of(json.loads(json.dumps(config, default=str)))}


def changed_settings(
    reference: Mapping[str, Outcome], configs: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[Difference]]:
    """By run the settings that have another value. Of a class only the name counts: it may move to another module."""

    def named(config: Mapping[str, Any]) -> dict[Key, Any]:
        classes = {name: value.rpartition(".")[2] for name, value in config.items() if name.endswith("class_path")}
        return {("setting", name): value for name, value in {**config, **classes}.items()}

    before = {run: named(outcome["config"]) for run, outcome in reference.items()}
    now = {run: named(config) for run, config in configs.items()}
    return {run: compare(before.get(run, {}), now.get(run, {}), exact=True) for run in {**before, **now}}


def carry_out(runs: list[Planned]) -> None:
    """Run all in `ROOT`, which is emptied first: nothing in it was made by the present code.

    Raises:
        SystemExit: A run failed or was interrupted.
    """
    if ROOT.exists():
        shutil.rmtree(ROOT)
    failed = [ended.planned for ended in run_all(runs, Limits(jobs=os.cpu_count() or 1)) if ended.code]
    if failed:
        logs = [f"  {run.label}: see {run.key.log}" for run in failed]
        raise SystemExit("\n".join([f"\n{len(failed)} of {len(runs)} runs failed; nothing was compared:", *logs]))


def read_outcome(folder: Path, config: Mapping[str, Any]) -> Outcome:
    """The results of a finished run, without times and speeds."""
    curves: list[list[Any]] = [
        [row["metric"], CURVES.get(row["metric"], ""), "step", row["step"], row["target_tokens"], row["value"]]
        for row in read_history(folder / HISTORY)
    ]
    measured: list[list[Any]] = [
        [row["metric"], row["unit"], row["x_name"], row["x"], row["n"], row["value"]]
        for row in read_result(folder)["measurements"]
    ]
    hypotheses = [
        [path.stem, t["id"], t["hypothesis"], t["source_tokens"], t["truncated"], t["score"], t["log_prob"]]
        for path in sorted(folder.glob("hypotheses/*.jsonl"))
        for t in read_translations(path)
    ]
    checksums = {"weights": checksum_of_weights(folder / "checkpoints" / "best.ckpt")}
    if (attention := folder / "attention.json").exists():
        checksums["attention maps"] = hashlib.sha256(attention.read_bytes()).hexdigest()
    numbers = [row for row in (*curves, *measured) if row[1] not in TIMED]  # a difference begins in the curves
    return {"config": dict(config), "checksums": checksums, "numbers": numbers, "hypotheses": hypotheses}


def checksum_of_weights(checkpoint: Path) -> str:
    """Of names and bits of all weights in the checkpoint that was chosen on validation data."""
    weights = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].contiguous().numpy().tobytes())
    return digest.hexdigest()


def flat(outcome: Outcome) -> dict[Key, Any]:
    """Every value of a run by its name: numbers, hypotheses, checksums."""
    values: dict[Key, Any] = {("number", *place): value for *place, value in outcome["numbers"]}
    values |= {("hypothesis", *row[:2]): row[2:] for row in outcome["hypotheses"]}
    values |= {("checksum", name): value for name, value in outcome["checksums"].items()}
    assert len(values) == sum(len(outcome[part]) for part in ("numbers", "hypotheses", "checksums"))
    return values


def compare(expected: Mapping[Key, Any], found: Mapping[Key, Any], exact: bool) -> list[Difference]:
    """All values of a run that differ; `exact`: none may, else numbers within tolerances and some texts may."""
    differences, other_texts = [], Counter[str]()
    for key in dict.fromkeys((*expected, *found)):
        before, now = expected.get(key, MISSING), found.get(key, MISSING)
        if before == now or (key[0] == "number" and before != before and now != now):  # both are not a number
            continue
        another_text = key[0] == "hypothesis" and MISSING not in (before, now) and before[0] != now[0]
        if another_text:
            other_texts[key[1]] += 1
        allowed = not exact and (another_text or key[0] == "checksum" or is_rounding(key, before, now))
        differences.append(Difference(described(key), before, now, allowed))
    for test_set, count in other_texts.items():
        share = count / sum(key[:2] == ("hypothesis", test_set) for key in expected)
        if not exact and share > OTHER_TEXTS:
            name, most = f"hypotheses of {test_set}", f"at most {OTHER_TEXTS:.0%} others"
            differences.append(Difference(name, most, f"{share:.1%} others", False))
    return differences


def is_rounding(key: Key, before: Any, now: Any) -> bool:
    """Whether another type of machine explains a difference between two numbers, or between scores of one text."""
    if MISSING in (before, now):
        return False
    if key[0] == "hypothesis":  # text, source tokens, truncated, score, log-probability
        return before[:3] == now[:3] and all(map(within, before[3:], now[3:], [TOLERANCES["nats"]] * 2))
    _, metric, unit, _, x, _ = key
    early = metric == "train/loss" and x <= EARLY
    return within(before, now, EARLY_LOSS if early else TOLERANCES.get(unit, (0.0, 0.0)))


def within(before: float, now: float, tolerance: tuple[float, float]) -> bool:
    absolute, relative = tolerance
    return abs(before - now) <= max(absolute, relative * abs(before))


def described(key: Key) -> str:
    if key[0] != "number":
        return " ".join(map(str, key))
    _, metric, _, x_name, x, _ = key
    return f"{metric}, {x_name} {x}" if x_name else metric


def repeats(reference: Mapping[str, Any], found: Mapping[str, Outcome]) -> bool:
    """Print how the runs compare with the reference; return whether everything repeats."""
    here, there = machine_type(), reference["machine"]
    others = [f"{name} {there[name]} -> {here[name]}" for name in here if here[name] != there[name]]
    print(f"\nreference of {reference['made']}: {there['cpu']}, {there['instructions']}, torch {there['torch']}")
    if others:
        print(f"this machine: {', '.join(others)}. Numbers may differ by rounding, within the stated tolerances.")
    else:
        print("this machine: of the same type, so every number must be equal to the last digit")
    width = max(map(len, found))
    print(f"\n{'run':{width}}   values  unequal  not allowed")
    wrong: dict[str, list[Difference]] = {}
    for run, outcome in found.items():
        values = flat(outcome)
        differences = compare(flat(reference["runs"][run]), values, exact=not others)
        wrong[run] = [difference for difference in differences if not difference.allowed]
        print(f"{run:{width}}  {len(values):7,}  {len(differences):7,}  {len(wrong[run]):11,}")
    print("\n".join(["", *listed(wrong)]))
    if count := sum(map(len, wrong.values())):
        print(f"\nnot repeated: {count:,}. If the change that made them differ was meant to move numbers: {RENEWAL}")
    else:
        print("everything repeats")
    return not count


def listed(differences: Mapping[str, list[Difference]]) -> list[str]:
    """The first differences of each run."""
    lines = []
    for run, found in differences.items():
        lines += [f"{run}: {name}\n  expected {before}\n  found    {now}" for name, before, now, _ in found[:SHOWN]]
        lines += [f"{run}: and {len(found) - SHOWN:,} more"] if len(found) > SHOWN else []
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
    """Family and model of a CPU: a virtual one is often named after its maker alone."""
    facts = cpu_facts()
    numbers = [f"{name.removeprefix('cpu ')} {facts[name]}" for name in ("cpu family", "model") if name in facts]
    return f" ({', '.join(numbers)})" if numbers else ""


def read_reference(file: Path) -> dict[str, Any]:
    """The committed numbers: when they were made, on which type of machine, and those of each run.

    Raises:
        FileNotFoundError: There are none.
        ValueError: The file is broken.
    """
    if not file.exists():
        raise FileNotFoundError(f"{file} is not there, so there is nothing to compare with; to make it: {RENEWAL}")
    try:
        record = read_json(file, dict[str, Any])
        for outcome in record["runs"].values():
            assert flat(outcome)
            assert outcome["config"]
        return {**record, "machine": {name: record["machine"][name] for name in machine_type()}}
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, AssertionError) as error:
        raise ValueError(
            f"{file} holds no reference ({type(error).__name__}: {error}); restore it, or make it again: {RENEWAL}"
        ) from error


if __name__ == "__main__":
    command_line.run(main)
