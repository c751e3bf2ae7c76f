"""The claims about speed: who makes each, the measurements it needs, its rule and its figure."""

from collections.abc import Sequence
from dataclasses import replace

from analysis.claims.verdict import ABOVE, BELOW, TRANSFORMER, VASWANI, Claim, Needs
from analysis.page.labels import label
from analysis.speed import rules
from analysis.speed.quality import TRANSLATION, Quality
from analysis.speed.runs import EXPERIMENT, STEP, Speed, with_operations
from analysis.speed.units import RATE
from analysis.store import System

READING = (
    "Claims on speed hold for the machine, the kernels and the sizes that they were measured with, and for no other. "
    "Their intervals hold those of every fresh process: the noise of the clock, or the distance of the points from a "
    "straight line on logarithmic axes (t interval of an exponent)."
)
POPULAR = "Commonly told"
MEMORY = "peak_memory"
NARROW = System("transformer", "narrow")  # attention is most of its work from a few hundred tokens on
TEXTBOOK = System("transformer", "narrow-math-attention")  # softmax(QKᵀ/√d)V as written, with all n × n weights


def all_claims(speeds: Sequence[Speed], qualities: Sequence[Quality]) -> list[Claim]:
    """The claims about hardware on each kind of machine that was measured, about operations, and about quality."""
    here = [
        replace(claim, text=speed.here(claim.text), repeats=len(speed.processes))
        for kind in (by_length, on_devices, decoding)
        for speed in speeds
        for claim in kind(speed)
    ]
    seconds = [(speed, to_quality(speed, qualities, "seconds")) for speed in speeds]
    there = [replace(claim, text=speed.here(claim.text)) for speed, claim in seconds]
    return [*here, fewer_operations(speeds[0]), *there, to_quality(with_operations(speeds), qualities, "operations")]


def by_length(speed: Speed) -> list[Claim]:
    waiting = "RNN training is sequential: more length, more waiting; the Transformer does it in parallel"
    needs = Needs(EXPERIMENT, "length", STEP)
    rows = [Claim(waiting, f"{VASWANI}, section 1", needs, rules.waiting(speed), figure(speed, STEP))]
    table, kernels = f"{VASWANI}, Table 1", (NARROW, TEXTBOOK)
    for system in kernels:
        rule = rules.quadratic(speed, STEP, system)
        rows.append(
            Claim(f"Attention costs O(n²): time ({label(system)})", table, needs, rule, figure(speed, STEP, system))
        )
    keeps = next((s for s in kernels if speed.keeps_all(s)), TEXTBOOK)
    fused = next((s for s in kernels if not speed.keeps_all(s)), NARROW)
    for text, source, system, side, beyond in (
        ("Attention costs O(n²): memory that keeping all weights adds", table, keeps, ABOVE, fused),
        ("A fused attention kernel needs linear memory", "Dao et al. 2022", fused, BELOW, None),
    ):
        rule = rules.quadratic(speed, MEMORY, system, side, beyond)
        needs = Needs(EXPERIMENT, "length", MEMORY)
        rows.append(Claim(text, source, needs, rule, figure(speed, MEMORY, system)))
    return rows


def figure(speed: Speed, metric: str, system: System = TRANSFORMER) -> str:
    own = "" if system == TRANSFORMER else "-transformer"
    return f"{speed.name}-{metric.replace('_', '-')}-length{own}"


def on_devices(speed: Speed) -> list[Claim]:
    slower = "Attention on top of the RNN does not fix the speed"
    needs, rule = Needs(EXPERIMENT, "real sentences", RATE), rules.attention_is_not_faster(speed)
    rows = [Claim(slower, POPULAR, needs, rule, figure(speed, STEP))]
    for kind in ("weak", "strong"):
        needs = Needs(EXPERIMENT, "devices", f"{kind}_tokens_per_second")
        text, rule = f"More GPUs, proportionally faster: {kind} scaling", rules.proportional(speed, kind)
        rows.append(Claim(text, POPULAR, needs, rule, f"{speed.name}-devices-{kind}"))
    return rows


def to_quality(speed: Speed, qualities: Sequence[Quality], what: str) -> Claim:
    task = qualities[0].task if qualities else ""
    text, needs = f"The Transformer trains faster to the same quality ({what})", Needs(TRANSLATION, task, "val/bleu")
    return Claim(text, VASWANI, needs, rules.faster_to_quality(speed, qualities, what), f"speed-quality-{task}")


def decoding(speed: Speed) -> list[Claim]:
    text = "At decoding recurrence has the constant cost a token, the Transformer's grows"
    needs, rule = Needs(EXPERIMENT, "decoding", rules.LATENCIES[0]), rules.constant_at_decoding(speed)
    return [Claim(text, "Katharopoulos et al. 2020", needs, rule, f"{speed.name}-decoding-length-beam5", contrary=True)]


def fewer_operations(speed: Speed) -> Claim:
    """Counted, so the same on every machine."""
    text = "The LSTM does fewer operations than the Transformer when length exceeds width"
    needs, rule = Needs(EXPERIMENT, "length", rules.COUNTED), rules.fewer_operations(speed)
    return Claim(text, f"{VASWANI}, Table 1", needs, rule, figure(speed, rules.COUNTED), contrary=True)
