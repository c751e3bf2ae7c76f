"""For each claim of the ledger made-up measurements that support it, contradict it and leave it open."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.fakes import speed
from tests.support.fakes.long_range import PAIRS, axis_rows, gradient_rows, pair_rows, write_long_range
from tests.support.fakes.runs import row
from tests.support.fakes.speed import Cost, wobbly
from tests.support.fakes.translations import write_heads, write_translated

Write = Callable[[Path], object]
Cases = tuple[Write, Write, Write]  # supported, contradicted, not decided


def three(write: Callable[..., object], *each: Any) -> Cases:
    """A case for each outcome: `write` is called with the values of one of `each`, then the path."""
    first, second, third = (partial(write, *(values if isinstance(values, tuple) else (values,))) for values in each)
    return first, second, third


def accuracies(task: str, axis: str, systems: str, x: int, *values_then_path: Any) -> None:
    """Right at 4 and 32, the largest x of training, but at `x` of these values: one for each of the systems."""
    *values, path = values_then_path
    for system, value in zip(systems.split(), values, strict=True):
        model, _, variant = system.partition("/")
        rows = axis_rows({4: 1.0, 32: 1.0} | {x: value}, axis)
        write_long_range(path, task, model, rows, variant=variant or "base")


def gradients(model: str, decay: float, path: Path) -> None:
    write_long_range(path, "recall", model, gradient_rows(decay))


def shuffled(without: float, path: Path) -> None:
    for variant, value in (("none", without), ("base", 0.4)):
        rows = [row("permutation_difference", value, "probability", 64)]
        write_long_range(path, "reverse", "transformer", rows, variant=variant)


def softmax(unscaled: float, path: Path) -> None:
    each = (("scaled", 4.0), ("unscaled", unscaled))
    rows = [row("score_entropy", value, "nats", 64, f"head size, {name}", 64) for name, value in each]
    write_long_range(path, "copy", "transformer", rows)


def pairs(transformer: float, path: Path) -> None:
    for model, value in (("bahdanau", 0.95), ("transformer", transformer)):
        write_long_range(path, PAIRS, model, pair_rows({1: value}, value), control=None)


def step_times(lstm: Cost, transformer: Cost, path: Path) -> None:
    speed.write_length(path, "lstm", lstm)
    speed.write_length(path, "transformer", transformer)


def cost_by_length(variant: str, cost: Cost, path: Path) -> None:
    speed.write_length(path, "transformer", cost, variant=variant, memory=cost)


def real_sentences(attention: float, noise: float, path: Path) -> None:
    speed.write_text(path, "lstm", 5000.0, 5000.0, noise=(0.0,) * 5)
    speed.write_text(path, "bahdanau", attention, attention, noise=(0.0, noise, -noise, noise / 2, -noise / 2))


def devices(gpus: tuple[str, ...], efficiency: float, path: Path) -> None:
    speed.write_devices(path, "transformer", efficiency, efficiency, gpus=gpus)


def to_quality(factor: float, end: float, path: Path) -> None:
    """Seconds and tokens to each BLEU are `factor` times the Transformer's, to the last one `end` times."""
    for model, times, last in (("bahdanau", factor, end), ("transformer", 1.0, 1.0)):
        spent = [100.0 * i * (last if i == 4 else times) for i in range(1, 5)]
        speed.write_curve(path, model, [(s, s, 10.0 * i) for i, s in enumerate(spent, start=1)])
        speed.write_cost(path, model, 1.0)


def decoding(lstm: Cost, transformer: Cost, path: Path) -> None:
    speed.write_decoding(path, "lstm", lstm)
    speed.write_decoding(path, "transformer", transformer)


def operations(transformer: Cost, path: Path) -> None:
    speed.write_length(path, "lstm", even, flops=lambda n: 129.0)
    speed.write_length(path, "transformer", even, flops=transformer)


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


PAIR_TASKS = ("associative-recall",)
FORGET, VECTOR = "RNNs forget: the gradient of the first words fades", "One fixed vector must hold everything"
QUALITY = "The Transformer trains faster to the same quality"
KERNELS = (("Transformer", "base"), ("Transformer, math-attention", "math-attention"))
GPUS = (
    ("More GPUs, proportionally faster", ("NVIDIA made-up",) * 2),
    ("More devices, proportionally faster (CPU processes)", ()),
)
ACCURACIES: dict[str, tuple[tuple[str, str, str, int], tuple[Any, Any, Any]]] = {
    "RNNs forget: the first words fade with the gap (plain RNN)": (("recall", "gap", "rnn", 32), (0.3, 1.0, 0.95)),
    "The Transformer relates any two positions directly, distance is irrelevant": (
        ("recall", "gap", "transformer", 32),
        (1.0, 0.3, 0.95),
    ),
    "A gap alone does not break the LSTM": (("recall", "gap", "lstm", 32), (1.0, 0.3, 0.95)),
    "Beyond the gaps of training the Transformer fails as well": (
        ("recall", "gap", "transformer", 64),
        (0.3, 1.0, 0.95),
    ),
    "LSTMs generalise on parity where Transformers do not": (
        ("parity", "length", "lstm transformer", 128),
        ((1.0, 0.5), (0.6, 0.5), (0.9, 0.5)),
    ),
    "No model copies far beyond its training length": (  # exact match is the fourth power of the accuracy
        ("copy", "length", "lstm transformer", 64),
        ((0.5, 0.5), (1.0, 1.0), (0.84, 0.84)),
    ),
    "RNN and Transformer are close on agreement (templates)": (
        ("agreement", "distance", "transformer lstm", 32),
        ((1.0, 1.0), (1.0, 0.5), (1.0, 0.95)),
    ),
    **{
        f"{VECTOR}: the LSTM alone fails as {more}": (
            (task, "length", "lstm bahdanau", 32),
            ((0.3, 1.0), (1.0, 1.0), (0.95, 1.0)),
        )
        for task, more in (("copy", "copies grow"), *((task, f"pairs grow ({task})") for task in PAIR_TASKS))
    },
    **{
        f"Attention on top of the RNN fixes the accuracy ({task})": (
            (task, "length", "lstm bahdanau", 32),
            ((0.3, 1.0), (0.3, 0.5), (0.3, 0.9)),
        )
        for task in ("copy", *PAIR_TASKS)
    },
    **{
        f"{text} (copy, variant {variant})": (
            ("copy", "length", f"transformer transformer/{variant}", 32),
            ((1.0, 0.3), (1.0, 1.0), (1.0, 0.95)),
        )
        for text, variant in (
            ("Without positions, order is lost", "none"),
            ("1/√d matters for what is learned", "unscaled-d64"),
            ("Several heads see several relations", "heads1"),
            ("Residual connections are a safety net", "no-residual-layers2"),
        )
    },
}
CASES: dict[str, Cases] = {
    **{text: three(partial(accuracies, *where), *values) for text, (where, values) in ACCURACIES.items()},
    **{
        f"{FORGET} ({name})": three(partial(gradients, model), 0.3, 0.9, 0.5)
        for name, model in (("plain RNN", "rnn"), ("LSTM", "lstm"))
    },
    "Without positions, “dog bites man” equals “man bites dog”": three(shuffled, 1e-6, 0.2, 0.005),
    "1/√d keeps the softmax from saturating (random queries and keys)": three(softmax, 1.0, 3.8, 3.0),
    f"RNN and Transformer are close on agreement ({PAIRS})": three(pairs, 0.95, 0.7, 0.9),
    "RNN training is sequential: more length, more waiting; the Transformer does it in parallel": three(
        step_times, (linear, even), (even, even), (wobbly(lambda n: n**0.2), even)
    ),
    **{
        f"Attention costs O(n²): {what} ({name})": three(
            partial(cost_by_length, variant), linear, even, wobbly(lambda n: n**0.5)
        )
        for what in ("time", "memory")
        for name, variant in KERNELS
    },
    "Attention on top of the RNN does not fix the speed": three(
        real_sentences, (2600.0, 0.02), (6000.0, 0.02), (5600.0, 0.2)
    ),
    **{
        f"{name}: {kind} scaling": three(partial(devices, gpus), 0.9, 0.7, 0.81)
        for name, gpus in GPUS
        for kind in ("weak", "strong")
    },
    **{
        f"{QUALITY} ({what})": three(to_quality, (2.0, 2.0), (1.0, 1.0), (1.2, 1.08))
        for what in ("seconds", "operations")
    },
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
