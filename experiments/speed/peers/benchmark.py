"""Speed bars that our models must meet, as ratios of interleaved timings: make benchmark.

python -m experiments.speed.peers.benchmark --suite full
"""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Literal

import torch
from jsonargparse import auto_cli

from datamodules import TranslationData
from experiments.record.keys import BLOCKS
from experiments.record.read import read_rows
from experiments.record.schema import Block
from experiments.speed.peers import compare, sizes
from experiments.speed.peers.benchmark_steps import attention_loop, lstm_ratios, peak_share, trainer_ratios
from experiments.speed.timing import spread
from experiments.training.environment import KEEP_MEMORY, environment, quiet
from experiments.training.trainer import resolve_precision

BATCHES = 12  # of training text, for the steps that are timed without the Trainer
Outcome = Literal["met", "MISSED", "for information", "not measured"]


@dataclass(frozen=True)
class Bar:
    """The limit of a ratio.

    Args:
        what: What is compared, the first over the second.
        kind: Whether the ratio must be at least or at most the limit.
        limit: The limit; none where the ratio is for information only.
        how: How it is measured.
    """

    what: str
    kind: Literal["≥", "≤"]
    limit: float | None
    how: str


@dataclass(frozen=True)
class Row:
    """A bar with its ratios, one a round; without ratios `reason` says why."""

    bar: Bar
    ratios: Sequence[float] = ()
    reason: str = ""

    @property
    def outcome(self) -> Outcome:
        """By the median."""
        if not self.ratios:
            return "not measured"
        if self.bar.limit is None:
            return "for information"
        median = spread(self.ratios).median
        return "met" if (median >= self.bar.limit if self.bar.kind == "≥" else median <= self.bar.limit) else "MISSED"

    @property
    def measured(self) -> str:
        if not self.ratios:
            return self.reason
        found = spread(self.ratios)
        return f"{found.median:.2f} ({found.q25:.2f} to {found.q75:.2f})"


def main(
    suite: str = "full",
    updates: int = 20,
    rounds: int = 7,
    data_dir: str | None = None,
    environment_dir: str = ".venv-peers",
    root: str = "runs",
) -> None:
    """Print all bars, measured where this code was not on this machine yet; fail when one is missed.

    Args:
        suite: Where the comparison with peers is recorded.
        updates: Updates in a block.
        rounds: Blocks of each thing.
        data_dir: Folder of downloaded corpora.
        environment_dir: Folder of JoeyNMT's environment.
        root: Folder of the run store.
    """
    quiet()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    compare.main(suite, data_dir=data_dir, environment_dir=environment_dir, root=root)  # exits if the text is missing
    data = sizes.multi30k(data_dir)
    rows = [*peer_rows(suite, root), *step_rows(data, updates, rounds), *gpu_rows(rounds)]
    print("\n" + table(rows))
    missed = [row for row in rows if row.outcome == "MISSED"]
    if missed:
        raise SystemExit(f"{len(missed)} of {len(rows)} bars missed")


def table(rows: Sequence[Row]) -> str:
    """Bars in lines: bar, measured, outcome, how."""
    lines = [("bar", "measured (quartiles)", "", "how")]
    for row in rows:
        limit = "" if row.bar.limit is None else f" {row.bar.kind} {row.bar.limit:g}"
        lines.append((f"{row.bar.what}{limit}", row.measured, row.outcome if row.ratios else "", row.bar.how))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


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
            ratios = over(*(speeds[variant].get(metric, []) for variant in (own, other)))
            rows.append(Row(Bar(f"{name} {what}", "≥", limit, how), ratios, reason))
    return rows


def rates(suite: str, model: str, variant: str, root: str) -> dict[str, list[float]]:
    """The rates of a variant by metric, one a round; nothing where this code has not been measured here."""
    found: dict[str, list[float]] = {}
    if not compare.finished(suite, model, compare.Plan(), root):
        return found
    path = compare.key_of(suite, model, variant, root).folder / BLOCKS
    for row in read_rows(path, Block):
        found.setdefault(row["metric"], []).append(row["value"])
    return found


def over(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ratios round by round: what slows a whole round down drops out."""
    return [a / b for a, b in zip(ours, theirs, strict=False)]


def step_rows(data: TranslationData, updates: int, rounds: int) -> list[Row]:
    """Overhead of our code over the bare parts it is made of."""
    return [printed(row) for row in chain(lstm_rows(data, rounds), trainer_rows(data, updates, rounds))]


def printed(row: Row) -> Row:
    print(f"  {row.bar.what}: {row.measured}", flush=True)
    return row


def lstm_rows(data: TranslationData, rounds: int) -> Iterator[Row]:
    batches = list(islice(data.train_dataloader(), BATCHES))
    how = f"forward, backward, update on {BATCHES} Multi30k batches, interleaved"
    for precision, ratios in lstm_ratios(data, batches, rounds):
        yield Row(Bar(f"LSTM step {precision} / its nn.LSTM + projection + cross-entropy", "≤", 1.15, how), ratios)


def trainer_rows(data: TranslationData, updates: int, rounds: int) -> Iterator[Row]:
    precision = resolve_precision("auto", "cpu")
    how = f"target tokens/s, {precision}, same batches, interleaved"
    for name, ratios in trainer_ratios(data, precision, updates, rounds):
        yield Row(Bar(f"Trainer / bare step, {name}", "≥", 0.93, how), ratios)


def gpu_rows(rounds: int) -> list[Row]:
    """Bars that only an accelerator can show."""
    bars = [
        (Bar("Transformer base bf16 FLOP/s / matmul peak", "≥", 0.40, "width 512, 6 + 6 layers, compiled"), peak_share),
        (Bar("Bahdanau bf16 step / cuDNN LSTM step", "≤", 3.0, "input feeding, equal size, compiled"), attention_loop),
    ]
    if not torch.cuda.is_available():
        return [Row(bar, reason="no GPU: not measured") for bar, _ in bars]
    return [Row(bar, measure(torch.device("cuda"), rounds)) for bar, measure in bars]


if __name__ == "__main__":
    if KEEP_MEMORY not in os.environ.get("GLIBC_TUNABLES", ""):  # read once, when a process begins
        command = [sys.executable, "-m", "experiments.speed.peers.benchmark", *sys.argv[1:]]
        os.execvpe(sys.executable, command, environment(os.cpu_count() or 1))
    auto_cli(main)
