"""Speed bars that our models must meet, as ratios of interleaved timings: make benchmark.

python -m experiments.speed.bars.cpu --suite full
"""

import os
from itertools import chain

import torch

from experiments.launch import command_line
from experiments.record.keys import BLOCKS
from experiments.record.read import read_rows
from experiments.record.schema import Block
from experiments.speed.bars.bar import Bar, Row, conclude, printed
from experiments.speed.bars.cpu_steps import lstm_rows, trainer_rows
from experiments.speed.peers import compare, sizes
from experiments.speed.systems import System
from experiments.speed.timing import spread
from experiments.training.environment import quiet, restart_to_keep_memory

UPDATES, ROUNDS = 20, 7  # in a block, and blocks of each thing


def main(suite: str = "full", root: str = "runs") -> None:
    """Print all bars, measured if this code has not been measured on this machine; fail when one is missed.

    Args:
        suite: Where the comparison with peers is recorded.
        root: Folder of the run store.
    """
    quiet()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    data = sizes.multi30k()
    try:
        data.text("train")
    except FileNotFoundError as error:
        raise SystemExit(f"error: {error}") from None
    compare.main(suite, root=root)
    steps = chain(lstm_rows(data, ROUNDS), trainer_rows(data, UPDATES, ROUNDS))
    conclude([*peer_rows(suite, root), *map(printed, steps)])


def peer_rows(suite: str, root: str) -> list[Row]:
    """Ours over JoeyNMT's, from the record of `make speed-peers`."""
    threads = f"{os.cpu_count()} threads"
    reason = "JoeyNMT: not measured"
    names = {"transformer": "Transformer-Tiny", "bahdanau": "LSTM + Bahdanau"}
    training, translating = "target_tokens_per_second", "sentences_per_second"
    rows = []
    for model, name in names.items():
        speeds = {variant: rates(suite, model, variant, root) for variant in sizes.SYSTEMS[model]}
        best = max(("fp32", "bf16"), key=lambda variant: spread(speeds[variant].get(training, [0.0])).median)
        how = f"target tokens/s end to end, interleaved blocks, {threads}"
        how_translating = f"sentences/s, {sizes.TEST_SET}, {threads}"
        compared: list[tuple[str, float | None, str, str, str, str]] = [
            ("fp32 / JoeyNMT fp32", 3.0, how, "fp32", "joeynmt", training),
            (f"at best ({best}) / JoeyNMT fp32", 5.0, how, best, "joeynmt", training),
            ("beam 5 / JoeyNMT beam 5", 5.0, how_translating, "fp32", "joeynmt", translating),
        ]
        for own in dict.fromkeys(("fp32", best)):
            what = f"{own} / JoeyNMT fp32 in our environment"
            compared.append((what, None, how, own, "joeynmt-settings", training))
        if model == "transformer":
            what = "fp32 / JoeyNMT fp32, no dropout in either"
            compared.append((what, None, how, "fp32-dropout0", "joeynmt-dropout0", training))
        for what, limit, how, own, other, metric in compared:
            rounds = (speeds[variant].get(metric, []) for variant in (own, other))
            ratios = [ours / theirs for ours, theirs in zip(*rounds, strict=False)]  # what slows a round drops out
            rows.append(Row(Bar(f"{name} {what}", "≥", limit, how), ratios, reason))
    return rows


def rates(suite: str, model: str, variant: str, root: str) -> dict[str, list[float]]:
    """The rates of a variant by metric, one a round; nothing where this code has not been measured here."""
    found: dict[str, list[float]] = {}
    task = compare.task_of(suite, model, compare.Plan(), root)
    if task.finished():
        for row in read_rows(task.key(System(f"{model}-{variant}")).folder / BLOCKS, Block):
            found.setdefault(row["metric"], []).append(row["value"])
    return found


if __name__ == "__main__":
    restart_to_keep_memory("experiments.speed.bars.cpu")
    command_line.run(main)
