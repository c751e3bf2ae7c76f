"""Made-up speed runs for the tests of the analysis: costs that follow simple formulas."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.fakes.runs import result, row, write_json, write_lines, write_run

Rows = list[dict[str, Any]]
Cost = Callable[[float], float]
LENGTHS = (16, 32, 64, 128, 256, 512, 1024)
TOKENS = 4096
WIDTH = 128
ROUNDS = 7
NOISE = (0.0, 0.02, -0.02, 0.01, -0.01, 0.03, -0.03)  # of the rounds, so that the median is the formula's value
FLOPS_PEAK = 200e9
MODELS = ("lstm", "bahdanau", "transformer")
STEP: dict[str, Cost] = {
    "rnn": lambda n: 0.03 + 0.0003 * n,
    "gru": lambda n: 0.04 + 0.0005 * n,
    "lstm": lambda n: 0.04 + 0.0006 * n,
    "bahdanau": lambda n: 0.06 + 0.0015 * n,
    "transformer": lambda n: 0.09 + 0.00025 * n,
}
MEMORY: dict[str, Cost] = {
    "lstm": lambda n: 60e6 + 1e4 * n,
    "bahdanau": lambda n: 70e6 + 4e5 * n,
    "transformer": lambda n: 90e6 + 5e4 * n,
}
FLOPS: dict[str, Cost] = {
    "lstm": lambda n: 6e9,
    "bahdanau": lambda n: 6e9 + 5e6 * n,
    "transformer": lambda n: 5e9 + 2e7 * n,
}
BACKENDS = {
    "lstm": {"recurrent kernel": "oneDNN LSTM"},
    "bahdanau": {"recurrent kernel": "oneDNN LSTM (encoder), step loop (decoder)"},
    "transformer": {"attention kernel": "flash (CPU)"},
}
HELD = {"tokens per batch": TOKENS, "width": WIDTH, "threads": 2, "warm-up": "until steady", "blocks": ROUNDS}
SPEED_OF_PEER = {"fp32": 6000.0, "bf16": 9500.0, "joeynmt": 1800.0, "textbook": 2500.0}


def folder_of(root: Path, task: str, model: str, variant: str = "base", suite: str = "quick") -> Path:
    return root / suite / "speed" / task / model / variant / "seed0"


def spread(metric: str, value: float, unit: str, x_name: str = "", x: Any = None) -> Rows:
    """A median with its quartiles."""
    each = (("", 1.0), ("_q25", 0.985), ("_q75", 1.015))
    return [row(f"{metric}{name}", value * factor, unit, ROUNDS, x_name, x) for name, factor in each]


def block_rows(metric: str, value: float, x_name: str = "", x: Any = None, noise: Sequence[float] = NOISE) -> Rows:
    """`value` is the median; a rate is the lower the longer a round took."""
    common = {"metric": metric, "x_name": x_name, "x": x}
    rate = metric.endswith("_per_second")
    values = [value / (1 + part) if rate else value * (1 + part) for part in noise]
    return [common | {"round": i, "value": each} for i, each in enumerate(values)]


def write_speed(
    root: Path,
    task: str,
    model: str,
    rows: Rows,
    *,
    variant: str = "base",
    suite: str = "quick",
    blocks: Rows | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Path:
    """Write one finished run; `changes` replaces top-level entries of its result.json."""
    folder = folder_of(root, task, model, variant, suite)
    precision = "bf16-mixed" if "bf16" in variant else "32-true"
    mode = "compiled" if "compiled" in variant else "eager"
    backends = BACKENDS.get(model, {"recurrent kernel": "oneDNN"}) | {"precision": precision, "mode": mode}
    key: dict[str, Any] = {"experiment": "speed", "task": task, "command": f"make speed SUITE={suite}"}
    key |= {"signatures": backends, "held_equal": HELD}
    write_json(folder / "result.json", result(suite, model, variant, 0, rows) | key | dict(changes or {}))
    if blocks is not None:
        write_lines(folder / "blocks.jsonl", blocks)
    return folder


def sweep_rows(x_name: str, x: float, seconds: float, memory: float, flops: float, peak: float) -> Rows:
    """Everything that is measured at one point of a sweep."""
    rows: Rows = []
    for metric, share in (("forward_seconds", 0.3), ("forward_backward_seconds", 0.9), ("step_seconds", 1.0)):
        rows += spread(metric, seconds * share, "s", x_name, x)
    rows += spread("target_tokens_per_second", TOKENS / seconds, "tokens/s", x_name, x)
    rows += spread("positions_per_second", 2 * TOKENS / seconds, "positions/s", x_name, x)
    rows += [
        row("peak_memory", memory, "B", 1, x_name, x),
        row("flops_per_step", flops, "FLOP", 1, x_name, x),
        row("flops_per_second", flops / seconds, "FLOP/s", ROUNDS, x_name, x),
        row("peak_share", flops / seconds / peak, "share", ROUNDS, x_name, x),
    ]
    return rows


def write_length(
    root: Path,
    model: str,
    step: Cost,
    *,
    variant: str = "base",
    lengths: Sequence[int] = LENGTHS,
    memory: Cost | None = None,
    flops: Cost | None = None,
    memory_ends: float = 1e9,
    noise: Sequence[float] = NOISE,
    blocks: bool = True,
    suite: str = "quick",
    changes: Mapping[str, Any] | None = None,
) -> Path:
    """The sweep over lengths at a fixed number of tokens a batch; beyond `memory_ends` memory runs out."""
    memory, flops = memory or MEMORY.get(model, MEMORY["lstm"]), flops or FLOPS.get(model, FLOPS["lstm"])
    peak = FLOPS_PEAK * (4 if "bf16" in variant else 1)
    rows = [row("matmul_peak", peak, "FLOP/s", ROUNDS), row("parameters", 1_000_000, "parameters", 1)]
    if "compiled" in variant:
        rows += [row("compile_seconds", 2.5 if n > lengths[0] else 21.5, "s", 1, "length", n) for n in lengths]
    timed: Rows = []
    for n in lengths:
        if n > memory_ends:
            rows.append(row("out_of_memory", 1, "flag", 1, "length", n))
            continue
        rows += sweep_rows("length", n, step(n), memory(n), flops(n), peak)
        depth = 6 if model == "transformer" else 2 * n
        rows.append(row("sequential_steps", depth, "steps", 1, "length", n))
        shift = sum(map(ord, model)) % len(noise)  # each model has its own noise, with the same median
        timed += block_rows("step_seconds", step(n), "length", n, [*noise[shift:], *noise[:shift]])
    made = timed if blocks else None
    return write_speed(root, "length", model, rows, variant=variant, blocks=made, suite=suite, changes=changes)


def write_sweep(root: Path, task: str, values: Sequence[int], suite: str = "quick") -> None:
    for model in MODELS:
        rows: Rows = []
        for x in values:
            seconds = STEP[model](64) * (x / values[0]) ** 0.8
            rows += sweep_rows(task, x, seconds, 50e6 * x / values[0], 4e9 * x / values[0], FLOPS_PEAK)
        write_speed(root, task, model, rows, suite=suite)


def write_text(
    root: Path,
    model: str,
    bare: float,
    trainer: float,
    noise: Sequence[float] = NOISE,
    *,
    blocks: bool = True,
    task: str = "multi30k-en-de",
) -> Path:
    """Real sentences; `bare` and `trainer` are target tokens/s of the two loops, 0 for one that was not measured."""
    rows: Rows = []
    timed: Rows = []
    for loop, rate in (("bare", bare), ("trainer", trainer)):
        if not rate:
            continue
        rows += spread("target_tokens_per_second", rate, "tokens/s", "loop", loop)
        rows += spread("step_seconds", 2300 / rate, "s", "loop", loop)
        rows += [
            row("source_and_target_tokens_per_second", 1.95 * rate, "tokens/s", ROUNDS, "loop", loop),
            row("positions_per_second", 2.1 * rate, "positions/s", ROUNDS, "loop", loop),
            row("padding_share", 0.07, "share", 1, "loop", loop),
        ]
        timed += block_rows("step_seconds", 2300 / rate, "loop", loop, noise)
        timed += block_rows("target_tokens_per_second", rate, "loop", loop, noise)
    return write_speed(root, f"text-{task}", model, rows, blocks=timed if blocks else None)


def decoding_rows(latency: Cost, lengths: Sequence[int] = (16, 64, 256), batches: Sequence[int] = (1, 16, 128)) -> Rows:
    rows: Rows = []
    places = [("length", x, latency(x), 16) for x in lengths]
    places += [("batch", x, latency(64) * (1 + x / 64), x) for x in batches]
    for way, factor in (("greedy", 1.0), ("beam5", 3.0)):
        for x_name, x, seconds, batch in places:
            rows += spread(f"{way}_seconds_per_token", seconds * factor, "s", x_name, x)
            rate = batch / (seconds * factor)
            rows.append(row(f"{way}_tokens_per_second", rate, "tokens/s", ROUNDS, x_name, x))
    return rows


def write_decoding(root: Path, model: str, latency: Cost, **settings: Any) -> Path:
    return write_speed(root, "decoding", model, decoding_rows(latency, **settings))


def device_rows(one: float, weak: Mapping[int, float], strong: Mapping[int, float]) -> Rows:
    """`weak` and `strong` are efficiencies by number of processes."""
    rows: Rows = []
    for kind, efficiencies in (("weak", weak), ("strong", strong)):
        for n, efficiency in efficiencies.items():
            rows += spread(f"{kind}_tokens_per_second", one * n * efficiency, "tokens/s", "processes", n)
            rows.append(row(f"{kind}_efficiency", efficiency, "share", ROUNDS, "processes", n))
    return [*rows, row("threads_per_process", 1, "threads", 1)]


def write_devices(root: Path, model: str, weak: float, strong: float, gpus: Sequence[str] = ()) -> Path:
    machine = result("quick", model, "base", 0, [])["machine"] | {"gpus": list(gpus)}
    rows = device_rows(3000.0, {1: 1.0, 2: weak}, {1: 1.0, 2: strong})
    return write_speed(root, "devices", model, rows, changes={"machine": machine})


def write_cost(root: Path, model: str, flops: float, task: str = "multi30k") -> Path:
    rows = [row("flops_per_target_token", flops, "FLOP", 1)]
    rows.append(row("flops_per_target_token_without_vocabulary", flops / 2, "FLOP", 1))
    return write_speed(root, f"cost-{task}", model, rows)


def write_peers(root: Path, model: str, variant: str, rate: float, *, decoding: bool = True) -> Path:
    rows = spread("target_tokens_per_second", rate, "tokens/s")
    rows += [row("padding_share", 0.05, "share", 1), row("parameters", 2_100_000, "parameters", 1)]
    timed = block_rows("target_tokens_per_second", rate)
    if decoding:
        rows += spread("sentences_per_second", rate / 200, "sentences/s")
        timed += block_rows("sentences_per_second", rate / 200)
        rows.append(row("mean_hypothesis_tokens", 14.2, "tokens", 1000))
    return write_speed(root, "peers-multi30k-en-de", model, rows, variant=variant, blocks=timed)


def repeat(root: Path, processes: int = 3) -> None:
    """The same speed runs in further processes, which are further seeds, one day after another."""
    for seed in range(1, processes):
        as_process(root, root, seed)


def as_process(root: Path, other: Path, seed: int) -> None:
    """The first process of another folder as a further one."""
    for result_file in other.glob("*/speed/*/*/*/seed0/result.json"):
        folder = root / result_file.parent.relative_to(other).with_name(f"seed{seed}")
        shutil.copytree(result_file.parent, folder, dirs_exist_ok=True)
        record = json.loads(result_file.read_text(encoding="utf-8"))
        write_json(folder / "result.json", record | {"seed": seed, "started": f"2026-02-0{seed}T00:00:00+00:00"})


def scaled(cost: Cost, factor: float) -> Cost:
    return lambda x: factor * cost(x)


def wobbly(cost: Cost) -> Cost:
    """The same cost, half and double by turns, so that no exponent is sure."""
    return lambda n: cost(n) * (2.0 if int(n).bit_length() % 2 else 0.5)


def write_all_lengths(root: Path) -> None:
    for model, step in STEP.items():
        write_length(root, model, step)
    for model in MODELS:
        write_length(root, model, scaled(STEP[model], 0.6), variant="bf16")
    write_length(root, "transformer", scaled(STEP["transformer"], 0.9), variant="compiled")
    memory: dict[str, Any] = {"memory": lambda n: 9e7 + 3e6 * n, "memory_ends": 512}
    write_length(root, "transformer", lambda n: 0.09 + 0.001 * n, variant="narrow-math-attention", **memory)
    write_length(root, "bahdanau", lambda n: 0.05 + 0.0008 * n, variant="parallel")


def write_everything(root: Path, *, bleu: bool = True) -> None:
    write_all_lengths(root)
    write_sweep(root, "width", (64, 128, 256, 512))
    write_sweep(root, "batch", (1, 4, 16, 64, 256))
    for model, rate in (("lstm", 5000.0), ("bahdanau", 2600.0), ("transformer", 6000.0)):
        write_text(root, model, rate, 0.96 * rate)
        latency: Cost = (lambda n: 1e-3 + 1e-5 * n) if model == "transformer" else (lambda n: 8e-4)
        write_decoding(root, model, latency)
        write_devices(root, model, 0.9 if model == "transformer" else 0.85, 0.7)
        write_cost(root, model, {"lstm": 2.0e7, "bahdanau": 2.6e7, "transformer": 3.0e7}[model])
    for model in ("transformer", "bahdanau"):
        for variant, rate in SPEED_OF_PEER.items():
            name = "torch" if (model, variant) == ("transformer", "textbook") else variant
            write_peers(root, model, name, rate / (2 if model == "bahdanau" else 1), decoding=variant != "textbook")
    write_peers(root, "transformer", "fp32-dropout0", 7000.0, decoding=False)
    write_peers(root, "transformer", "joeynmt-dropout0", 2100.0, decoding=False)
    if bleu:
        for model in MODELS:
            write_translation(root, model)


STARTED = {"lstm": 3, "bahdanau": 4, "transformer": 5}  # o'clock


def write_translation(root: Path, model: str, seed: int = 0, **changes: Any) -> Path:
    """A translation run; all were made one after another."""
    begun = f"2026-01-{2 + seed:02d}T{STARTED[model]:02d}:00"
    times = {"started": f"{begun}:00+00:00", "finished": f"{begun}:59+00:00"}
    return write_run(root, model, seed=seed, sentences=20, test_sets=("test",), changes=times | changes)


def bleu_rows(points: Sequence[tuple[float, float]]) -> Rows:
    """Target tokens and validation BLEU as training went on."""
    rows = []
    for step, (tokens, bleu) in enumerate(points, start=1):
        common = {"step": step, "seconds": tokens / 50, "target_tokens": round(tokens)}
        rows += [common | {"metric": f"val/{m}", "value": v} for m, v in (("loss", 5 - bleu / 10), ("bleu", bleu))]
    return rows


def write_curve(root: Path, model: str, points: Sequence[tuple[float, float]], seed: int = 0, **changes: Any) -> Path:
    folder = write_translation(root, model, seed, **changes)
    write_lines(folder / "metrics.jsonl", bleu_rows(points))
    return folder
