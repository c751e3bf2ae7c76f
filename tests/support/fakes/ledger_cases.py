"""For each claim of the ledger made-up measurements that support it, contradict it and leave it open."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.fakes.long_range import PAIRS, axis_rows, gradient_rows, pair_rows, write_long_range
from tests.support.fakes.runs import row
from tests.support.fakes.speed import (
    Cost,
    wobbly,
    write_cost,
    write_curve,
    write_decoding,
    write_devices,
    write_length,
    write_text,
)
from tests.support.fakes.translations import write_heads, write_translated

Write = Callable[[Path], object]
Cases = tuple[Write, Write, Write]  # supported, contradicted, not decided


def three(write: Callable[..., object], *each: Any) -> Cases:
    """A case for each outcome: `write` is called with the values of one of `each`, then the path."""
    first, second, third = (partial(write, *(values if isinstance(values, tuple) else (values,))) for values in each)
    return first, second, third


def curve(task: str, name: str, model: str, values: dict[int, float], path: Path, variant: str = "base") -> None:
    write_long_range(path, task, model, axis_rows(values, name), variant=variant)


def over_gap(model: str, last: int, value: float, path: Path) -> None:
    """Right at the gaps before `last`; 32 is the largest of training."""
    values = {4: 1.0, 32: 1.0} | {last: value}
    curve("recall", "gap, symbols 4", model, values, path)


def gradients(model: str, decay: float, path: Path) -> None:
    write_long_range(path, "recall", model, gradient_rows(decay))


def lstm_against_attention(task: str, lstm: float, attention: float, path: Path) -> None:
    """Accuracy at the largest trained length."""
    for model, value in (("lstm", lstm), ("bahdanau", attention)):
        curve(task, "length", model, {4: 1.0, 32: value}, path)


def shuffled(without: float, path: Path) -> None:
    for variant, value in (("none", without), ("base", 0.4)):
        rows = [row("permutation_difference", value, "probability", 64)]
        write_long_range(path, "reverse", "transformer", rows, variant=variant)


def without_part(variant: str, value: float, path: Path) -> None:
    curve("copy", "length", "transformer", {4: 1.0, 32: 1.0}, path)
    curve("copy", "length", "transformer", {4: 1.0, 32: value}, path, variant)


def softmax(unscaled: float, path: Path) -> None:
    rows = [
        row("score_entropy", value, "nats", 64, f"head size, {name}", 64)
        for name, value in (("scaled", 4.0), ("unscaled", unscaled))
    ]
    write_long_range(path, "copy", "transformer", rows)


def parity(lstm: float, transformer: float, path: Path) -> None:
    for model, value in (("lstm", lstm), ("transformer", transformer)):
        curve("parity", "length", model, {8: 1.0, 32: 1.0, 128: value}, path)


def copies(value: float, path: Path) -> None:
    """Exact match is the fourth power of the accuracy."""
    for model in ("lstm", "transformer"):
        curve("copy", "length", model, {8: 1.0, 32: 1.0, 64: value}, path)


def agreement(lstm: float, path: Path) -> None:
    for model, value in (("lstm", lstm), ("transformer", 1.0)):
        curve("agreement", "distance", model, {2: 1.0, 16: value}, path)


def pairs(transformer: float, path: Path) -> None:
    for model, value in (("bahdanau", 0.95), ("transformer", transformer)):
        write_long_range(path, PAIRS, model, pair_rows({1: value}, value), control=None)


def step_times(lstm: Cost, transformer: Cost, path: Path) -> None:
    write_length(path, "lstm", lstm)
    write_length(path, "transformer", transformer)


def cost_by_length(variant: str, cost: Cost, path: Path) -> None:
    write_length(path, "transformer", cost, variant=variant, memory=cost)


def real_sentences(attention: float, noise: float, path: Path) -> None:
    write_text(path, "lstm", 5000.0, 5000.0, noise=(0.0,) * 5)
    write_text(path, "bahdanau", attention, attention, noise=(0.0, noise, -noise, noise / 2, -noise / 2))


def devices(gpus: tuple[str, ...], efficiency: float, path: Path) -> None:
    write_devices(path, "transformer", efficiency, efficiency, gpus=gpus)


def to_quality(factor: float, end: float, path: Path) -> None:
    """Seconds and tokens to each BLEU are `factor` times the Transformer's, to the last one `end` times."""
    for model, times, last in (("bahdanau", factor, end), ("transformer", 1.0, 1.0)):
        spent = [100.0 * i * (last if i == 4 else times) for i in range(1, 5)]
        write_curve(path, model, [(s, s, 10.0 * i) for i, s in enumerate(spent, start=1)])
        write_cost(path, model, 1.0)


def decoding(lstm: Cost, transformer: Cost, path: Path) -> None:
    write_decoding(path, "lstm", lstm)
    write_decoding(path, "transformer", transformer)


def operations(transformer: Cost, path: Path) -> None:
    write_length(path, "lstm", lambda n: 1.0, flops=lambda n: 129.0)
    write_length(path, "transformer", lambda n: 1.0, flops=transformer)


def bleu(first: str, second: str, one: float, other: float, phase: float, path: Path) -> None:
    write_translated(path, first, one)
    write_translated(path, second, other, phase=phase)


def bleu_by_length(lstm: float, attention: float, phase: float, path: Path) -> None:
    """Shares of right translations among long sentences."""
    write_translated(path, "lstm", 0.9, long_share=lstm)
    write_translated(path, "bahdanau", 0.9, long_share=attention, phase=phase)


def attention_heads(maps: list[tuple[float, ...]], path: Path) -> None:
    write_heads(path, maps)


def growing(n: float) -> float:
    return 1 + n / 100


def even(n: float) -> float:
    return 1.0


def linear(n: float) -> float:
    return n


PAIR_TASKS = ("associative-recall", "associative-recall-16-keys")
FORGET, VECTOR = "RNNs forget: the gradient of the first words fades", "One fixed vector must hold everything"
FIXES = "Attention on top of the RNN fixes the accuracy"
QUALITY = "The Transformer trains faster to the same quality"
DECIDED_BY_EXPONENT = (linear, even, wobbly(lambda n: n**0.5))
CASES: dict[str, Cases] = {
    "RNNs forget: the first words fade with the gap (plain RNN)": three(
        over_gap, ("rnn", 32, 0.3), ("rnn", 32, 1.0), ("rnn", 32, 0.95)
    ),
    f"{FORGET} (plain RNN)": three(gradients, ("rnn", 0.3), ("rnn", 0.9), ("rnn", 0.5)),
    f"{FORGET} (LSTM)": three(gradients, ("lstm", 0.3), ("lstm", 0.9), ("lstm", 0.5)),
    f"{VECTOR}: the LSTM alone fails as copies grow": three(
        lstm_against_attention, ("copy", 0.3, 1.0), ("copy", 1.0, 1.0), ("copy", 0.95, 1.0)
    ),
    **{
        f"{VECTOR}: the LSTM alone fails as pairs grow ({task})": three(
            lstm_against_attention, (task, 0.3, 1.0), (task, 1.0, 1.0), (task, 0.95, 1.0)
        )
        for task in PAIR_TASKS
    },
    **{
        f"{FIXES} ({task})": three(lstm_against_attention, (task, 0.3, 1.0), (task, 0.3, 0.5), (task, 0.3, 0.9))
        for task in ("copy", *PAIR_TASKS)
    },
    "The Transformer relates any two positions directly, distance is irrelevant": three(
        over_gap, ("transformer", 32, 1.0), ("transformer", 32, 0.3), ("transformer", 32, 0.95)
    ),
    "Without positions, “dog bites man” equals “man bites dog”": three(shuffled, 1e-6, 0.2, 0.005),
    **{
        f"{text} (copy, variant {variant})": three(without_part, (variant, 0.3), (variant, 1.0), (variant, 0.95))
        for text, variant in (
            ("Without positions, order is lost", "none"),
            ("1/√d matters for what is learned", "unscaled-d64"),
            ("Several heads see several relations", "heads1"),
            ("Residual connections are a safety net", "no-residual-layers2"),
        )
    },
    "1/√d keeps the softmax from saturating (random queries and keys)": three(softmax, 1.0, 3.8, 3.0),
    "LSTMs generalise on parity where Transformers do not": three(parity, (1.0, 0.5), (0.6, 0.5), (0.9, 0.5)),
    "No model copies far beyond its training length": three(copies, 0.5, 1.0, 0.84),
    "A gap alone does not break the LSTM": three(over_gap, ("lstm", 32, 1.0), ("lstm", 32, 0.3), ("lstm", 32, 0.95)),
    "Beyond the gaps of training the Transformer fails as well": three(
        over_gap, ("transformer", 64, 0.3), ("transformer", 64, 1.0), ("transformer", 64, 0.95)
    ),
    "RNN and Transformer are close on agreement (templates)": three(agreement, 1.0, 0.5, 0.95),
    f"RNN and Transformer are close on agreement ({PAIRS})": three(pairs, 0.95, 0.7, 0.9),
    "RNN training is sequential: more length, more waiting; the Transformer does it in parallel": three(
        step_times, (linear, even), (even, even), (wobbly(lambda n: n**0.2), even)
    ),
    **{
        f"Attention costs O(n²): {what} ({name})": three(
            cost_by_length, *((variant, cost) for cost in DECIDED_BY_EXPONENT)
        )
        for what in ("time", "memory")
        for name, variant in (("Transformer", "base"), ("Transformer, math-attention", "math-attention"))
    },
    "Attention on top of the RNN does not fix the speed": three(
        real_sentences, (2600.0, 0.02), (6000.0, 0.02), (5600.0, 0.2)
    ),
    **{
        f"{name}: {kind} scaling": three(devices, (gpus, 0.9), (gpus, 0.7), (gpus, 0.81))
        for name, gpus in (
            ("More GPUs, proportionally faster", ("NVIDIA made-up",) * 2),
            ("More devices, proportionally faster (CPU processes)", ()),
        )
        for kind in ("weak", "strong")
    },
    f"{QUALITY} (seconds)": three(to_quality, (2.0, 2.0), (1.0, 1.0), (1.2, 1.08)),
    f"{QUALITY} (operations)": three(to_quality, (2.0, 2.0), (1.0, 1.0), (1.2, 1.08)),
    "At decoding recurrence has the constant cost a token, the Transformer's grows": three(
        decoding, (even, growing), (even, even), (even, lambda n: 1 + n / 1200)
    ),
    "The LSTM does fewer operations than the Transformer when length exceeds width": three(
        operations, linear, even, lambda n: 300.0 if n > 300 else 50.0
    ),
    **{
        f"{text} (multi30k, test)": three(
            bleu, (*systems, 0.8, 0.3, 0.0), (*systems, 0.3, 0.8, 0.0), (*systems, 0.5, 0.5, 0.3)
        )
        for text, systems in (
            ("The Transformer translates better than the LSTM + attention", ("transformer", "bahdanau")),
            ("The Transformer translates better than the LSTM", ("transformer", "lstm")),
            ("Attention on top of the RNN improves its translations", ("bahdanau", "lstm")),
        )
    },
    f"{VECTOR}: the LSTM alone loses more BLEU on long sentences (multi30k, test)": three(
        bleu_by_length, (0.3, 0.9, 0.0), (0.9, 0.3, 0.0), (0.6, 0.6, 0.4)
    ),
    "Several heads see several relations (in translation)": three(
        attention_heads,
        [(0.8, 0.1), (0.7, 0.1), (0.9, 0.1)],
        [(0.3, 0.3), (0.3, 0.2), (0.3, 0.3)],
        [(0.8, 0.1), (0.3, 0.3), (0.5, 0.4)],
    ),
}
