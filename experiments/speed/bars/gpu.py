"""Speed bars of one NVIDIA GPU, in bf16 unless said: make gpu-check.

python -m experiments.speed.bars.gpu
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from datamodules import TranslationData
from experiments.launch import command_line
from experiments.speed.bars.bar import Bar, Row, conclude, printed
from experiments.speed.flops import count, matmul_peak
from experiments.speed.loops import configured, counted_blocks, interleave
from experiments.speed.profiling import peak_memory
from experiments.speed.settings import Loops, Settings
from experiments.speed.suite import read_settings
from experiments.speed.systems import Step, System, build, random_batch
from experiments.speed.timing import alternate
from experiments.training.decode import translate_split
from experiments.training.environment import quiet
from models import BahdanauSeq2Seq, LSTMSeq2Seq, Seq2SeqModule, TransformerSeq2Seq
from models.bahdanau import BahdanauSettings
from models.kernels.gpu import use_equal_kernels
from models.lstm import LSTMSettings
from models.search import Decoding
from models.transformer import TransformerSettings

GIB = 2**30
AT_MOST_MS = {  # of a step by model and length, at the tokens and sizes of SUITE=gpu
    ("lstm", 64): 14, ("bahdanau", 64): 40, ("bahdanau", 1024): 400,
    ("transformer", 64): 10, ("transformer", 1024): 10, ("transformer", 2048): 13,
}  # fmt: skip
AT_LEAST_TOKENS = {"lstm": 300, "bahdanau": 150, "transformer": 300}  # thousands a second through the Trainer
NAMES = {"lstm": "LSTM", "bahdanau": "LSTM + attention", "transformer": "Transformer"}


@dataclass(frozen=True)
class Sizes:
    """What is measured, full size; a test makes it small.

    Args:
        rounds, seconds: Blocks, and the least length of one.
        tokens: Target tokens of a step.
        vocabulary, width: Of the two comparisons with a size of their own.
        rows: Of a step of these: of the LSTM with attention at 50 tokens, of Transformer base at 128.
        steps: Of a block on Multi30k; an epoch has twice as many.
    """

    rounds: int = 5
    seconds: float = 0.3
    tokens: int = 16_384
    vocabulary: int = 32_000
    width: int = 512
    rows: tuple[int, int] = (128, 192)
    steps: int = 107


def main(suite: str = "gpu") -> None:
    """Measure every bar and print them in one table; fail when one is missed.

    Args:
        suite: Whose networks and text are measured.
    """
    quiet()
    use_equal_kernels()
    if not torch.cuda.is_available():
        raise SystemExit("error: these are bars of an NVIDIA GPU, and torch finds none here.")
    conclude(list(measured(torch.device("cuda"), read_settings(suite), Sizes())))


def measured(device: torch.device, settings: Settings, sizes: Sizes) -> Iterator[Row]:
    """The rows of the table, each printed as soon as it is measured."""
    for rows in (steps(device, settings, sizes), attention_over_lstm(device, sizes), base_share(device, sizes)):
        yield from map(printed, rows)
    if settings.text:
        for name in settings.text.systems:
            yield from map(printed, on_text(System(name, settings.precision), settings.text, sizes, device))


def steps(device: torch.device, settings: Settings, sizes: Sizes) -> Iterator[Row]:
    """Time of a step by length, and the memory of the longest of the LSTM with attention."""
    for (model, length), limit in AT_MOST_MS.items():
        module = build(settings.models[model], settings.vocabulary)
        step = Step(module, System(model, settings.precision), device)
        batch = random_batch(max(1, sizes.tokens // length), length, length, settings.vocabulary, device)
        what = f"{NAMES[model]}, {sizes.tokens:,} tokens at length {length}"
        with step.one_by_one():
            memory = peak_memory(partial(step.step, batch), device) / GIB
        seconds = alternate({"step": partial(step.step, batch)}, sizes.rounds, sizes.seconds, device)["step"]
        how = f"width {settings.width}, 2 + 2 layers, vocabulary {settings.vocabulary:,}, {step.mode}"
        yield Row(Bar(f"{what}, ms", "≤", limit, how), [1000 * s for s in seconds])
        if (model, length) == ("bahdanau", 1024):
            yield Row(Bar(f"{what}, GiB", "≤", 8, "beyond weights, gradients, optimiser"), [memory])


def attention_over_lstm(device: torch.device, sizes: Sizes) -> Iterator[Row]:
    """Step of the attention decoder, context into the cell, over that of cuDNN's LSTM; seconds until it is captured."""
    V, size = sizes.vocabulary, (sizes.width, sizes.width, 1)
    modules: dict[str, Seq2SeqModule] = {
        "bahdanau": BahdanauSeq2Seq(BahdanauSettings(*size), **joint(V)),
        "lstm": LSTMSeq2Seq(LSTMSettings(*size), **joint(V)),
    }
    batch, ready, prepared = random_batch(sizes.rows[0], 50, 50, V, device), 0.0, {}
    for name, module in modules.items():
        prepared[name] = Step(module, System(name, "bf16-mixed"), device)
        begun = time.perf_counter()
        for _ in range(2):  # the second meets the shape again, and captures it
            prepared[name].step(batch)
        ready = ready or time.perf_counter() - begun
    runs = {name: partial(step.step, batch) for name, step in prepared.items()}
    seconds = alternate(runs, sizes.rounds, sizes.seconds, device)
    ratios = [a / b for a, b in zip(seconds["bahdanau"], seconds["lstm"], strict=True)]
    how = f"{sizes.rows[0]} rows, 50 + 50 tokens, width {sizes.width}, vocabulary {V:,}, {prepared['bahdanau'].mode}"
    yield Row(Bar("LSTM + attention step / LSTM step", "≤", 3.0, how), ratios)
    yield Row(Bar("seconds until the LSTM + attention step is captured", "≤", 30, how), [ready])


def joint(vocabulary: int) -> dict[str, int]:
    return {"source_vocabulary": vocabulary, "target_vocabulary": vocabulary, "shared_vocabulary": True}


def base_share(device: torch.device, sizes: Sizes) -> Iterator[Row]:
    """FLOP/s of a step of the Transformer base (Vaswani et al. 2017, table 3) over those of a large product."""
    (_, rows), length, D = sizes.rows, 128, sizes.width
    base = TransformerSettings(width=D, heads=8, feed_forward=4 * D, encoder_layers=6, decoder_layers=6, dropout=0.1)
    module = TransformerSeq2Seq(base, **joint(sizes.vocabulary))
    flops = rows * count(module.network, length, length).forward_backward
    step = Step(module, System("transformer-bf16-compiled"), device)
    batch = random_batch(rows, length, length, sizes.vocabulary, device)
    seconds = alternate({"step": partial(step.step, batch)}, sizes.rounds, sizes.seconds, device)["step"]
    peak = matmul_peak("bf16-mixed", device)
    how = f"{rows} rows of {length} tokens, vocabulary {sizes.vocabulary:,}, {step.mode}"
    yield Row(Bar("Transformer base, share of the matmul peak", "≥", 0.40, how), [flops / s / peak for s in seconds])


def on_text(system: System, text: Loops, sizes: Sizes, device: torch.device) -> Iterator[Row]:
    """Through the Trainer on real sentences: speed, the first epoch, the bare step next to it; then beam search."""
    blocks = 4 + sizes.rounds  # two epochs and more: shapes that an epoch has once are captured in the second
    built = configured(system, text, blocks * sizes.steps)
    timed = interleave(built.model, built.data, built.trainer, system, sizes.steps, device)
    name, per_second = NAMES[system.model], counted_blocks(timed)
    first, later = per_second["trainer"][:2], per_second["trainer"][4:]
    how = f"{text.corpus} {text.direction}, models of SUITE={text.configs}, blocks of {sizes.steps} steps"
    thousand = [rate / 1000 for rate in later]
    limit = AT_LEAST_TOKENS[system.model]
    yield Row(Bar(f"{name}, target tokens/s through the Trainer, thousands", "≥", limit, how), thousand)
    # Blocks of an epoch differ in their batches: its mean is compared.
    epoch = len(first) / sum(1 / rate for rate in first)
    yield Row(Bar(f"{name}, first epoch / later ones", "≥", 0.8, how), [epoch / rate for rate in later])
    over_bare = [a / b for a, b in zip(later, per_second["bare"][4:], strict=True)]
    yield Row(Bar(f"{name}, Trainer / bare step", "≥", 0.93, how), over_bare)
    yield Row(
        Bar(f"{name}, test set with beam 5, seconds", "≤", 1.5, "32-bit"), decoding(built.model, built.data, device)
    )


def decoding(module: Seq2SeqModule, data: TranslationData, device: torch.device) -> Sequence[float]:
    """Seconds of a test set, the second time, when its kernels are loaded."""
    taken = []
    for _ in range(2):
        begun = time.perf_counter()
        translate_split(module.network.to(device).eval(), data, data.test_sets[0], Decoding(), device)
        taken.append(time.perf_counter() - begun)
    return taken[1:]


if __name__ == "__main__":
    command_line.run(main)
