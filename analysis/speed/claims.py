"""The claims about speed, each with its source and the rule that decides it."""

from dataclasses import replace

from analysis.claims.evidence import Claim, Evidence, Verdict
from analysis.long_range.claims import BAHDANAU, VASWANI, judged
from analysis.page.labels import label
from analysis.speed import rules
from analysis.speed.runs import Speed
from analysis.store import System

POPULAR = "Commonly told"
SEQUENTIAL = (
    "Effect: exponent of the LSTM's step time in length, at a fixed number of tokens a batch, minus that of the "
    "Transformer (slope of their ratio), over all common lengths, at least four over a factor of eight. Supported if "
    "the t interval of the LSTM's own exponent lies above 0.1 and that of the difference above 0; contradicted if "
    "either lies below."
)
QUADRATIC = (
    "Effect: exponent in length of the {what} of one sequence over the longer half of the lengths, at least three: 1 "
    "more than that of a batch of a fixed number of tokens. 1 is linear, 2 quadratic. Supported if its t interval "
    "lies above 1.5, contradicted if below. Terms linear in length hold it down until length exceeds width: what is "
    "judged is the cost at the lengths measured, not the limit."
)
NOT_FASTER = (
    "Effect: target tokens/s of the LSTM + attention over those of the LSTM, bare step on real sentences, 32-bit, "
    "with the bootstrap interval of the median over rounds that timed both, else from quartiles. Supported if the "
    "interval lies below 1.1, contradicted if above."
)
PROPORTIONAL = (
    "Effect: {kind}-scaling efficiency of the base model that scales worst, at the most processes, with the bootstrap "
    "interval of the median over rounds, else from quartiles. "
    "Supported if its interval lies above 0.8, contradicted if below."
)
SAME_QUALITY = (
    "Effect: {what} that the LSTM + attention needs to the highest validation BLEU both reach, over those of the "
    "Transformer; lowest and highest over seeds and over 90, 95 and 100 % of that BLEU. Supported if all lie above "
    "1.1, contradicted if all lie below{but}."
)
SIDE_BY_SIDE = "; not decided where other runs shared the machine, or threads or machines differ"
DECODING = (
    "Effect: the Transformer's latency a token at the largest length over that at the smallest, greedy. Supported if "
    "its interval lies above 1.2 and the LSTM's below 1.2; contradicted if the LSTM's lies above or the Transformer's "
    "below."
)
OPERATIONS = (
    "Effect: counted operations of the LSTM's step over those of the Transformer's at the longest length. Supported if "
    "below 1 at every length above the width, contradicted if above 1 at every such length. Counts are exact."
)


def all_claims(evidence: Evidence) -> list[Claim]:
    speed = evidence.speed
    task = next((quality.task for quality in evidence.qualities), "")
    return [*by_length(speed), *on_devices(speed), *to_quality(task), *contrary()]


def verdicts(evidence: Evidence) -> list[tuple[Claim, Verdict]]:
    return [(claim, judged(claim, evidence)) for claim in all_claims(evidence)]


def by_length(speed: Speed) -> list[Claim]:
    waiting = "RNN training is sequential: more length, more waiting; the Transformer does it in parallel"
    base = "speed-step-seconds-length"
    rows = [about(waiting, f"{VASWANI}, section 1", SEQUENTIAL, rules.waiting, base)]
    kernels = [s for s in speed.systems("length") if s.model == "transformer" and "attention" in s.variant]
    for system in [System("transformer", "base"), *kernels]:
        own = "" if system.variant == "base" else "-transformer"
        for metric, what in (("step_seconds", "time"), ("peak_memory", "memory")):
            name = f"Attention costs O(n²): {what} ({label(system)})"
            rule = QUADRATIC.format(what=what)
            figure = f"speed-{metric.replace('_', '-')}-length{own}"
            rows.append(about(name, f"{VASWANI}, Table 1", rule, rules.quadratic(metric, system), figure))
    return rows


def on_devices(speed: Speed) -> list[Claim]:
    rows = [
        about(
            "Attention on top of the RNN does not fix the speed",
            BAHDANAU,
            NOT_FASTER,
            rules.attention_is_not_faster,
            "speed-step-seconds-length",
        )
    ]
    devices = {"More GPUs, proportionally faster": True}
    if not rules.has_gpus(speed):
        devices["More devices, proportionally faster (CPU processes)"] = False
    for name, on_gpus in devices.items():
        for kind in ("weak", "strong"):
            rule, judge = PROPORTIONAL.format(kind=kind), rules.proportional(kind, on_gpus=on_gpus)
            rows.append(about(f"{name}: {kind} scaling", POPULAR, rule, judge, f"speed-devices-{kind}"))
    return rows


def to_quality(task: str) -> list[Claim]:
    """`task` is the translation task whose curves are judged."""
    text = "The Transformer trains faster to the same quality"
    rows = []
    for what, metric, but, figure in (
        ("seconds", "seconds", SIDE_BY_SIDE, f"curve-{task}-val-bleu-seconds"),
        ("operations", "flops", "", f"speed-quality-{task}"),
    ):
        rule = SAME_QUALITY.format(what=what, but=but)
        rows.append(about(f"{text} ({what})", VASWANI, rule, rules.faster_to_quality(metric), figure))
    return rows


def contrary() -> list[Claim]:
    """Claims against the popular story."""
    decoding = "At decoding recurrence has the constant cost a token, the Transformer's grows"
    fewer = "The LSTM does fewer operations than the Transformer when length exceeds width"
    rows = [
        about(
            decoding, "Katharopoulos et al. 2020", DECODING, rules.constant_at_decoding, "speed-decoding-length-greedy"
        ),
        about(fewer, f"{VASWANI}, Table 1", OPERATIONS, rules.fewer_operations, "speed-flops-per-step-length"),
    ]
    return [replace(claim, contrary=True) for claim in rows]


def about(text: str, source: str, rule: str, judge: rules.Judge, figure: str) -> Claim:
    return Claim(text, source, rule, judge, "", figure=figure)
