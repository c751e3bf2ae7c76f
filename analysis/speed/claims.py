"""The claims about speed: who makes each, the measurements it needs, its rule and its figure."""

from collections.abc import Sequence

from analysis.claims.verdict import BAHDANAU, TRANSFORMER, VASWANI, Claim, Needs
from analysis.page.labels import label
from analysis.speed import rules
from analysis.speed.quality import TRANSLATION, Quality
from analysis.speed.runs import EXPERIMENT, STEP, Speed
from analysis.speed.units import RATE

READING = (
    "Claims on speed hold for the machine, the kernels and the sizes that they were measured with, and for no other. "
    "Their intervals cover the noise of the clock, or the distance of the points from a straight line on logarithmic "
    "axes (t interval of an exponent); counts of operations are exact."
)
POPULAR = "Commonly told"


def all_claims(speed: Speed, qualities: Sequence[Quality]) -> list[Claim]:
    return [*by_length(speed), *on_devices(speed), *to_quality(qualities), *contrary(speed)]


def by_length(speed: Speed) -> list[Claim]:
    waiting = "RNN training is sequential: more length, more waiting; the Transformer does it in parallel"
    needs = Needs(EXPERIMENT, "length", STEP)
    rows = [Claim(waiting, f"{VASWANI}, section 1", needs, rules.waiting(speed), "speed-step-seconds-length")]
    kernels = [s for s in speed.systems("length") if s.model == "transformer" and "attention" in s.variant]
    for system in [TRANSFORMER, *kernels]:
        own = "" if system == TRANSFORMER else "-transformer"
        for metric, what in ((STEP, "time"), ("peak_memory", "memory")):
            text = f"Attention costs O(n²): {what} ({label(system)})"
            figure = f"speed-{metric.replace('_', '-')}-length{own}"
            rule = rules.quadratic(speed, metric, system, what)
            rows.append(Claim(text, f"{VASWANI}, Table 1", Needs(EXPERIMENT, "length", metric), rule, figure))
    return rows


def on_devices(speed: Speed) -> list[Claim]:
    slower = "Attention on top of the RNN does not fix the speed"
    needs, rule = Needs(EXPERIMENT, "real sentences", RATE), rules.attention_is_not_faster(speed)
    rows = [Claim(slower, BAHDANAU, needs, rule, "speed-step-seconds-length")]
    devices = {"More GPUs, proportionally faster": True}
    if not rules.has_gpus(speed):
        devices["More devices, proportionally faster (CPU processes)"] = False
    for text, on_gpus in devices.items():
        for kind in ("weak", "strong"):
            needs = Needs(EXPERIMENT, "devices", f"{kind}_tokens_per_second")
            rule = rules.proportional(speed, kind, on_gpus=on_gpus)
            rows.append(Claim(f"{text}: {kind} scaling", POPULAR, needs, rule, f"speed-devices-{kind}"))
    return rows


def to_quality(qualities: Sequence[Quality]) -> list[Claim]:
    text = "The Transformer trains faster to the same quality"
    task = qualities[0].task if qualities else ""
    figures = {"seconds": f"curve-{task}-val-bleu-seconds", "operations": f"speed-quality-{task}"}
    needs = Needs(TRANSLATION, task, "val/bleu")
    return [
        Claim(f"{text} ({what})", VASWANI, needs, rules.faster_to_quality(qualities, what), figure)
        for what, figure in figures.items()
    ]


def contrary(speed: Speed) -> list[Claim]:
    """Claims against the popular story."""
    decoding = "At decoding recurrence has the constant cost a token, the Transformer's grows"
    fewer = "The LSTM does fewer operations than the Transformer when length exceeds width"
    latency, counts = Needs(EXPERIMENT, "decoding", rules.LATENCY), Needs(EXPERIMENT, "length", rules.COUNTED)
    constant, fewest = rules.constant_at_decoding(speed), rules.fewer_operations(speed)
    return [
        Claim(decoding, "Katharopoulos et al. 2020", latency, constant, "speed-decoding-length-greedy", contrary=True),
        Claim(fewer, f"{VASWANI}, Table 1", counts, fewest, "speed-flops-per-step-length", contrary=True),
    ]
