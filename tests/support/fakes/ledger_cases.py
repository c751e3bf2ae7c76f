"""For each claim made-up measurements that support it, contradict it, leave it open, and that cannot tell."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.fakes import speed
from tests.support.fakes.long_range import PAIRS, axis_rows, gradient_rows, pair_rows, write_long_range
from tests.support.fakes.runs import result, row
from tests.support.fakes.speed import Cost, wobbly
from tests.support.fakes.translations import write_heads, write_translated

Write = Callable[[Path], object]
Cases = tuple[Write, Write, Write]  # supported, contradicted, not decided


def three(write: Callable[..., object], *each: Any) -> Cases:
    """A case for each outcome: `write` is called with the values of one of `each`, then the path."""
    first, second, third = some(write, *each)
    return first, second, third


def some(write: Callable[..., object], *each: Any) -> list[Write]:
    return [partial(write, *(values if isinstance(values, tuple) else (values,))) for values in each]


def accuracies(task: str, axis: str, systems: str, x: int, *values_then_path: Any) -> None:
    """Right at 4 and 32, the largest x of training, but at `x` of these values: one for each of the systems."""
    *values, path = values_then_path
    for system, value in zip(systems.split(), values, strict=True):
        curve(task, axis, system, {4: 1.0, 32: 1.0} | {x: value}, path)


def curve(task: str, axis: str, systems: str, values: dict[int, float], path: Path) -> None:
    for system in systems.split():
        model, _, variant = system.partition("/")
        write_long_range(path, task, model, axis_rows(values, axis), variant=variant or "base")


def read_off(encoder_only: float, decoder_only: float, path: Path) -> None:
    """Accuracies, and the same ones of a probe."""
    for variant, value in (("encoder-only", encoder_only), ("decoder-only", decoder_only)):
        rows = axis_rows({4: 1.0, 32: value}, "clue")
        names = {"token_accuracy": "sense_probe", "chance: guessing": "probe chance: guessing"}
        renamed = [each | {"metric": names[each["metric"]]} for each in rows if each["metric"] in names]
        write_long_range(path, "senses", "transformer", [*rows, *renamed], variant=variant)


def falling(task: str, lstm: dict[int, float], path: Path) -> None:
    """The LSTM falls, the one with attention does not."""
    curve(task, "length", "lstm", lstm, path)
    curve(task, "length", "bahdanau", dict.fromkeys(lstm, 1.0), path)


def gradients(model: str, decay: float, path: Path, last: int = 32) -> None:
    write_long_range(path, "recall", model, [r for r in gradient_rows(decay) if r["x"] <= last])


def shuffled(without: float, path: Path) -> None:
    for variant, value in (("none", without), ("base", 0.4)):
        rows = [row("permutation_difference", value, "probability", 64)]
        write_long_range(path, "reverse", "transformer", rows, variant=variant)


def softmax(unscaled: float, path: Path) -> None:
    each = (("scaled", 4.0), ("unscaled", unscaled))
    rows = [row("score_entropy", value, "nats", 64, f"head size, {name}", 64) for name, value in each]
    write_long_range(path, "copy", "transformer", rows)


def pairs(transformer: float, attention: float, path: Path) -> None:
    """Of 4,000 pairs with words in between; those without say nothing of distance."""
    for model, value in (("bahdanau", attention), ("transformer", transformer)):
        rows = pair_rows({1: value}, value, each=4000) + pair_rows({0: 0.6}, value)[:1]
        write_long_range(path, PAIRS, model, rows, control=None)


def step_times(lstm: Cost, transformer: Cost, path: Path, **settings: Any) -> None:
    settings = {"changes": {"machine": machine(("NVIDIA made-up",))}} | settings
    speed.write_length(path, "lstm", lstm, **settings)
    speed.write_length(path, "transformer", transformer, **settings)


def machine(gpus: Sequence[str]) -> dict[str, Any]:
    machine: dict[str, Any] = result("quick", "lstm", "base", 0, [])["machine"]
    return machine | {"gpus": list(gpus)}


def cost_by_length(variant: str, cost: Cost, path: Path, **settings: Any) -> None:
    """Most of the operations counted are quadratic from 128 on."""
    flops: Cost = lambda n: 2.5e9 + 2e7 * n  # noqa: E731
    speed.write_length(path, "transformer", cost, variant=variant, memory=cost, flops=flops, **settings)


def kept(cost: Cost, path: Path, **settings: Any) -> None:
    """What keeping all weights adds to the memory of a fused kernel."""
    cost_by_length("narrow", even, path, **settings)
    cost_by_length("narrow-math-attention", lambda n: 1 + cost(n), path, **settings)


def real_sentences(attention: float, noise: float, path: Path) -> None:
    speed.write_text(path, "lstm", 5000.0, 5000.0, noise=(0.0,) * 5)
    speed.write_text(path, "bahdanau", attention, attention, noise=(0.0, noise, -noise, noise / 2, -noise / 2))


def devices(efficiency: float, path: Path, gpus: int = 2) -> None:
    speed.write_devices(path, "transformer", efficiency, efficiency, gpus=("NVIDIA made-up",) * gpus)


def to_quality(factor: float, end: float, path: Path, seeds: int = 3, larger: float = 1.04) -> None:
    """Tokens to each BLEU are `factor` times the Transformer's, to the last one `end` times; a token costs as much."""
    for model, times, last, size in (("bahdanau", factor, end, larger), ("transformer", 1.0, 1.0, 1.0)):
        spent = [100.0 * i * (last if i == 4 else times) for i in range(1, 5)]
        parameters = {"measurements": [row("parameters", 1e6 * size, "parameters", 1)]}
        for seed in range(seeds):
            points = [(tokens, 10.0 * i) for i, tokens in enumerate(spent, start=1)]
            speed.write_curve(path, model, points, seed, **parameters)
        speed.write_cost(path, model, 1.0)
        speed.write_text(path, model, 1000.0, 1000.0, task="multi30k")


def decoding(lstm: Cost, transformer: Cost, path: Path, growing: float = 2e7) -> None:
    speed.write_decoding(path, "lstm", lstm)
    speed.write_decoding(path, "transformer", transformer)
    speed.write_length(path, "transformer", even, flops=lambda n: 5e9 + growing * n)


def operations(of_lstm: float, path: Path) -> None:
    speed.write_length(path, "lstm", even, flops=lambda n: of_lstm)
    speed.write_length(path, "transformer", even, flops=linear)


def bleu(first: str, second: str, one: float, other: float, phase: float, path: Path) -> None:
    write_translated(path, first, one)
    write_translated(path, second, other, phase=phase)


def one_stack(alone: float, both: float, phase: float, path: Path) -> None:
    write_translated(path, "transformer", alone, variant="decoder-only")
    write_translated(path, "transformer", both, phase=phase)


def bleu_by_length(lstm: float, attention: float, phase: float, path: Path, short: float = 0.9) -> None:
    """Shares of right translations among long sentences."""
    write_translated(path, "lstm", short, long_share=lstm)
    write_translated(path, "bahdanau", 0.9, long_share=attention, phase=phase)


def attention_heads(maps: list[tuple[float, ...]], path: Path) -> None:
    write_heads(path, maps)


def in_processes(write: Write, number: int, path: Path) -> None:
    write(path)
    speed.repeat(path, number)


def thrice(cases: Sequence[Write]) -> list[Write]:
    return [partial(in_processes, write, 3) for write in cases]


def power(exponent: float) -> Cost:
    return lambda n: n**exponent


def even(n: float) -> float:
    return 1.0


def linear(n: float) -> float:
    return n


PAIR_TASKS = ("associative-recall",)
FORGET, VECTOR = (
    "RNNs forget: before training the gradient of the first words fades",
    "One fixed vector must hold everything",
)
BEYOND = "Beyond the lengths of training the Transformer loses accuracy on some task"
QUALITY = "The Transformer trains faster to the same quality"
DIRECT = "The Transformer relates any two positions directly, distance is irrelevant"
WAITING = "RNN training is sequential: more length, more waiting; the Transformer does it in parallel"
DECODING = "At decoding recurrence has the constant cost a token, the Transformer's grows"
NOT_FASTER = "Attention on top of the RNN does not fix the speed"
TEMPLATES = "RNN and Transformer are close on agreement (templates)"
HEADS = "Several heads see several relations (in translation)"
LONG = f"{VECTOR}: the LSTM alone loses more BLEU on long sentences (multi30k)"
FADES = "RNNs forget: the first words fade with the gap (plain RNN)"
COPIES = "No model copies far beyond its training length"
BOTH_SIDES = "Reading in both directions answers better than reading from left to right"
STRUCTURE = "The LSTM is ahead of the Transformer on logical structure"
PARITY = "LSTMs generalise on parity where Transformers do not"
KEEPS = "Attention costs O(n²): memory that keeping all weights adds"
FUSED = "A fused attention kernel needs linear memory"
QUADRATIC = [(f"Transformer, {variant}", variant) for variant in ("narrow", "narrow-math-attention")]
FACTS: dict[str, Sequence[Write]] = {  # and what only a wrong implementation measures
    "Without positions, “dog bites man” equals “man bites dog”": some(shuffled, 0.0, 0.1),
    "1/√d keeps the softmax from saturating (random queries and keys)": some(softmax, 1.0, 4.5),
    "The LSTM does fewer operations than the Transformer when length exceeds width": some(operations, 129.0, 1e9),
    "A word's state knows what follows only if both directions were read": some(read_off, (1.0, 0.85), (0.8, 0.9)),
}
# Accuracies at one x that support a claim, contradict it, leave it open, and where the measurement could not tell
ACCURACIES: dict[str, tuple[tuple[str, str, str, int], tuple[Any, Any, Any], tuple[Any, ...]]] = {
    DIRECT: (("recall", "gap", "transformer lstm", 32), ((1.0, 0.93), (0.93, 1.0), (0.95, 0.9)), ((1.0, 0.97),)),
    "A gap alone does not break the LSTM": (
        ("recall", "gap", "lstm rnn", 32),
        ((1.0, 0.93), (0.93, 1.0), (0.95, 0.9)),
        ((1.0, 0.97),),
    ),
    FADES: (("recall", "gap", "rnn", 32), (0.93, 0.97, 0.95), ()),
    PARITY: (("parity", "length", "lstm transformer", 128), ((1.0, 0.93), (0.95, 0.95), (0.9, 0.5)), ()),
    COPIES: (("copy", "length", "lstm transformer", 64), ((0.8, 0.5), (0.88, 0.5), (0.84, 0.84)), ()),  # to the fourth
    TEMPLATES: (
        ("agreement", "distance", "transformer lstm", 32),
        ((0.93, 0.93), (1.0, 0.92), (0.97, 0.93)),
        ((0.96, 0.96), (0.15, 0.13)),
    ),
    BOTH_SIDES: (
        ("senses", "clue", "transformer/encoder-only transformer/decoder-only", 32),
        ((1.0, 0.93), (0.93, 0.93), (0.97, 0.92)),
        ((1.0, 1.0), (0.15, 0.13)),
    ),
    STRUCTURE: (
        ("inference", "operators", "lstm/encoder-only transformer/encoder-only", 64),
        ((1.0, 0.93), (0.93, 1.0), (0.97, 0.92)),
        (),
    ),
    "One stack is as good as encoder and decoder (copy)": (
        ("copy", "length", "transformer/decoder-only transformer", 32),
        ((0.93, 0.93), (0.92, 1.0), (0.97, 0.93)),
        ((0.96, 0.96), (0.15, 0.13)),
    ),
    **{
        f"{BEYOND}{f' ({name} positions)' if name else ''}": (
            ("copy", "length", f"transformer/{name} lstm", 64),
            ((0.93, 1.0), (1.0, 0.93), (0.95, 1.0)),
            ((1.0, 0.97),),
        )
        for name in ("", "rotary", "alibi", "sinusoidal", "learned")
    },
    **{
        f"Relative positions reach further beyond training than absolute ones ({relative} against sinusoidal, copy)": (
            ("copy", "length", f"transformer/{relative} transformer/sinusoidal", 64),
            ((1.0, 0.93), (0.93, 1.0), (1.0, 0.95)),
            ((0.97, 1.0), (0.15, 0.13)),
        )
        for relative in ("rotary", "alibi")
    },
    **{
        f"{VECTOR}: the LSTM alone fails as {more}": (
            (task, "length", "lstm bahdanau rnn", 32),
            ((0.93, 1.0, 1.0), (0.97, 1.0, 0.9), (0.95, 1.0, 0.9)),
            (),
        )
        for task, more in (("copy", "copies grow"), *((task, f"pairs grow ({task})") for task in PAIR_TASKS))
    },
    **{
        f"Attention on top of the RNN, in the better of its forms, fixes the accuracy ({task})": (
            (task, "length", "lstm bahdanau", 32),
            ((0.95, 0.985), (0.95, 0.949), (0.95, 0.974)),  # 0.949 of the tokens are 0.81 of the answers
            ((0.98, 1.0),),
        )
        for task in ("copy", *PAIR_TASKS)
    },
    **{
        f"{text} ({task}, {variant})": (
            (task, "length", f"transformer transformer/{variant} transformer/another", 32),
            ((1.0, 0.93, 1.0), (1.0, 0.97, 0.93), (1.0, 0.95, 0.9)),
            ((1.0, 0.97, 0.97),),
        )
        for text, task, variant in (
            ("1/√d matters for what is learned", "copy", "unscaled-d64"),
            ("Several heads see several relations", "two-keys", "heads1"),
            ("Residual connections are a safety net", "copy", "no-residual-layers2"),
        )
    },
}
BETTER = {
    f"{text} (multi30k)": systems
    for text, systems in (
        ("The Transformer translates better than the LSTM + attention", ("transformer", "bahdanau")),
        ("The Transformer translates better than the LSTM", ("transformer", "lstm")),
        ("Attention on top of the RNN improves its translations", ("bahdanau", "lstm")),
    )
}
ONE_STACK = "One stack translates as well as encoder and decoder (multi30k)"
BY_QUALITY = ((1.15, 1.15), (1.05, 1.05), (1.2, 1.08))
TIMED: dict[str, Cases] = {
    WAITING: three(step_times, (power(0.15), even), (power(0.05), even), (wobbly(power(0.2)), even)),
    **{
        f"Attention costs O(n²): time ({name})": three(
            partial(cost_by_length, variant), power(0.7), power(0.2), wobbly(power(0.33))
        )
        for name, variant in QUADRATIC
    },
    NOT_FASTER: three(real_sentences, (5400.0, 0.01), (5600.0, 0.01), (5600.0, 0.2)),
    **{
        f"More GPUs, proportionally faster: {kind} scaling": three(devices, 0.85, 0.75, 0.81)
        for kind in ("weak", "strong")
    },
    f"{QUALITY} (seconds)": three(to_quality, *BY_QUALITY),
    DECODING: three(decoding, (even, lambda n: 1 + n / 800), (even, even), (even, lambda n: 1 + n / 1200)),
}
CASES: dict[str, Cases] = {
    **{text: three(partial(accuracies, *where), *values) for text, (where, values, _) in ACCURACIES.items()},
    **{
        f"{FORGET} ({name})": three(partial(gradients, model), 0.3, 0.9, 0.5)
        for name, model in (("plain RNN", "rnn"), ("LSTM", "lstm"))
    },
    f"RNN and Transformer are close on agreement ({PAIRS})": three(pairs, (0.92, 0.92), (0.99, 0.92), (0.96, 0.92)),
    **{text: (thrice(cases)[0], thrice(cases)[1], thrice(cases)[2]) for text, cases in TIMED.items()},
    KEEPS: three(kept, power(0.7), power(0.2), wobbly(power(0.33))),
    FUSED: three(partial(cost_by_length, "narrow"), power(0.2), power(0.7), wobbly(power(0.33))),
    f"{QUALITY} (operations)": three(to_quality, *BY_QUALITY),
    **{
        text: three(bleu, (*systems, 0.8, 0.2, 0.0), (*systems, 0.2, 0.8, 0.0), (*systems, 0.5, 0.5, 0.3))
        for text, systems in BETTER.items()
    },
    ONE_STACK: three(one_stack, (0.5, 0.5, 0.0), (0.2, 0.8, 0.0), (0.5, 0.5, 0.3)),
    LONG: three(bleu_by_length, (0.3, 0.9, 0.0), (0.9, 0.3, 0.0), (0.6, 0.6, 0.4)),
    HEADS: three(
        attention_heads,
        [(0.8, 0.1), (0.7, 0.1), (0.9, 0.1)],
        [(0.3, 0.3), (0.3, 0.2), (0.3, 0.3)],
        [(0.8, 0.1), (0.3, 0.3), (0.5, 0.4)],
    ),
}
# Measurements that lack one kind of power each
NARROW = {4: 1.0, 15: 0.3}  # a factor of less than 4
TOO_LITTLE: list[tuple[int, tuple[float, float]]] = [(64, (0.15, 0.13)), (47, (1.0, 0.5)), (64, (0.96, 0.96))]
SHORT = {"lengths": speed.LENGTHS[:-1]}  # three lengths at which most operations are quadratic
UNLIKE: list[Write] = [partial(to_quality, 1.15, 1.15, **each) for each in ({"seeds": 2}, {"larger": 1.06})]
POWERLESS: dict[str, Sequence[Write]] = {
    **{text: some(partial(accuracies, *where), *values) for text, (where, _, values) in ACCURACIES.items()},
    FADES: [partial(curve, "recall", "gap", "rnn", values) for values in ({4: 0.85, 32: 0.3}, NARROW)],
    PARITY: [partial(accuracies, "parity", "length", "lstm transformer", 47, 1.0, 0.5)],
    STRUCTURE: [partial(accuracies, *ACCURACIES[STRUCTURE][0][:3], x, *values) for x, values in TOO_LITTLE],
    COPIES: [
        partial(accuracies, "copy", "length", "lstm transformer", 47, 0.5, 0.5),
        partial(curve, "copy", "length", "lstm transformer", {4: 1.0, 32: 0.8, 64: 0.5}),
    ],
    **{
        f"{VECTOR}: the LSTM alone fails as {more}": [
            *(partial(falling, task, lstm) for lstm in ({4: 0.85, 32: 0.3}, NARROW)),
            partial(accuracies, task, "length", "lstm bahdanau", 32, 0.5, 0.85),
            partial(accuracies, task, "length", "lstm bahdanau", 32, 0.97, 1.0),
        ]
        for task, more in (("copy", "copies grow"), *((task, f"pairs grow ({task})") for task in PAIR_TASKS))
    },
    **{
        f"{FORGET} ({name})": [partial(gradients, model, 0.2, last=16)]
        for name, model in (("plain RNN", "rnn"), ("LSTM", "lstm"))
    },
    f"RNN and Transformer are close on agreement ({PAIRS})": some(pairs, (0.96, 0.955), (0.54, 0.53)),
    **{text: [partial(in_processes, cases[0], 2)] for text, cases in TIMED.items()},
    WAITING: [
        partial(in_processes, TIMED[WAITING][0], 2),
        *thrice(
            [
                partial(step_times, power(0.15), even, changes={"machine": machine(())}),
                partial(step_times, power(0.15), even, lengths=(16, 64, 256)),
                partial(step_times, power(0.15), even, lengths=(16, 32, 64, 100)),
            ]
        ),
    ],
    **{
        f"Attention costs O(n²): time ({name})": [
            partial(in_processes, partial(cost_by_length, variant, power(0.7)), 2),
            *thrice([partial(cost_by_length, variant, power(0.7), **SHORT)]),
        ]
        for name, variant in QUADRATIC
    },
    KEEPS: [partial(kept, power(0.7), **SHORT)],
    FUSED: [partial(cost_by_length, "narrow", even, **SHORT)],
    **{
        f"More GPUs, proportionally faster: {kind} scaling": [
            partial(in_processes, partial(devices, 0.9), 2),
            *thrice([partial(devices, 0.9, gpus=gpus) for gpus in (0, 1)]),
        ]
        for kind in ("weak", "strong")
    },
    DECODING: [
        partial(in_processes, TIMED[DECODING][0], 2),
        *thrice([partial(decoding, even, lambda n: 1 + n / 800, growing=1e7)]),
    ],
    f"{QUALITY} (operations)": UNLIKE,
    f"{QUALITY} (seconds)": [partial(in_processes, partial(to_quality, 1.15, 1.15), 2), *thrice(UNLIKE)],
    **{text: some(bleu, (*systems, 0.8, 0.05, 0.0)) for text, systems in BETTER.items()},
    ONE_STACK: some(one_stack, (0.8, 0.05, 0.0)),
    LONG: [partial(bleu_by_length, 0.05, 0.9, 0.0, short=0.05), partial(bleu_by_length, 0.3, 0.0, 0.0)],
    HEADS: [partial(attention_heads, [(0.8, 0.1)])],
}
