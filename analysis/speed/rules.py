"""The rules of the claims about speed: what each measures, its lines, and what it needs to show either outcome."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from analysis.claims.verdict import (
    ABOVE,
    AT_LEAST,
    ATTENTION,
    BELOW,
    INTERVAL,
    LSTM,
    TRANSFORMER,
    Finding,
    Line,
    NotRun,
    Power,
    Rule,
    above,
    below,
    exact,
)
from analysis.page.labels import decimal, label, listing, whole
from analysis.speed.quality import NEAR_THE_TOP, Quality, flops, rate
from analysis.speed.runs import STEP, Speed, growth, ratio, round_ratios
from analysis.speed.scaling_laws import Fit, over, power_law, upper_half
from analysis.speed.units import RATE, milliseconds, text_title, times
from analysis.statistics.intervals import Interval
from analysis.store import System

LATENCIES, COUNTED = ("beam5_seconds_per_token", "greedy_seconds_per_token"), "flops_per_step"
GROWS = 0.1  # an exponent above it is growth
AS_COUNTED = 0.5  # half of the growth of the operations counted
FASTER = 1.1  # a ratio that matters
PROPORTIONAL = 0.8  # efficiency from which several devices are said to be proportionally faster
CONSTANT = 1.2  # a cost a token that changes by less than this factor is called constant
FRESH = Power("the number of fresh processes that measured it", AT_LEAST, 3)
FEWEST = Power("the number of common lengths", AT_LEAST, 4)
WIDEST = Power("the longest of them over the shortest", AT_LEAST, 8)
PARALLEL = Power("the number of GPUs", AT_LEAST, 1)
SEVERAL = Power("the number of GPUs", AT_LEAST, 2)
QUADRATIC = Power("the number of lengths where more than half of the operations counted are quadratic", AT_LEAST, 4)
COUNTED_GROWTH = Power("the growth of the Transformer's counted operations between these lengths", AT_LEAST, 1.5)
RUNS = Power("the number of runs of each model", AT_LEAST, 3)
SIZE = Power("the parameters of the larger model over those of the smaller", BELOW, 1.05)


def in_each_process(speed: Speed, measure: Callable[[Speed], Finding], *more: Power) -> dict[str, Any]:
    """What a rule measures in every fresh process: its interval holds those of all, and three have power.

    Within a process figures repeat to a few percent, between processes many move by 10 to 30 %, some by more.
    """

    def measure_all() -> Finding:
        found, missing = [], []
        for process in speed.processes:
            try:
                found.append(measure(process))
            except NotRun as error:
                missing.append(error)
        if not found:
            raise missing[0]
        first = found[0]
        each = ", ".join(decimal(finding.effect.value, 2) for finding in found)
        reason = f"{first.reason}; in {len(found)} processes: {each}" if len(found) > 1 else first.reason
        lines = [held_by(parts) for parts in zip(*(finding.intervals for finding in found), strict=True)]
        return Finding(reason, held_by([f.effect for f in found]), lines, [len(found), *first.power])

    return {"measure": measure_all, "power": [FRESH, *more]}


def held_by(intervals: Sequence[Interval]) -> Interval:
    """The mean, and what holds every interval."""
    values, lows, highs = np.array(intervals).T
    return Interval(float(values.mean()), float(lows.min()), float(highs.max()))


def values(speed: Speed, system: System, metric: str) -> Mapping[float, float]:
    found = speed.values("length", system, metric)
    if not found:
        raise NotRun(f"no {metric.replace('_', ' ')} by length of {label(system)}")
    return found


def fitted(curve: Mapping[float, float]) -> Fit:
    fit = power_law(curve)
    if fit is None:
        raise NotRun("fewer than two lengths")
    return fit


def waiting(speed: Speed) -> Rule:
    """The step time of every recurrent model grows with length at fixed tokens, and faster than the Transformer's."""

    def measure(speed: Speed) -> Finding:
        parallel = values(speed, TRANSFORMER, STEP)
        recurrent = {s: values(speed, s, STEP) for s in speed.bases("length") if s != TRANSFORMER}
        if not recurrent:
            raise NotRun(f"no {STEP.replace('_', ' ')} by length of a recurrent model")
        shared = sorted(set(parallel).intersection(*recurrent.values()))
        own = {s: fitted({n: curve[n] for n in shared}).exponent for s, curve in recurrent.items()}
        apart = {s: fitted({n: curve[n] / parallel[n] for n in shared}).exponent for s, curve in recurrent.items()}
        shown = own | {TRANSFORMER: fitted({n: parallel[n] for n in shared}).exponent}
        each = [f"{times(exponent)} for the {label(system)}" for system, exponent in shown.items()]
        reason = f"exponent of step time {listing(each)}, lengths {shared[0]:g} to {shared[-1]:g}"
        power = [len(shared), shared[-1] / shared[0], speed.gpus("length")]
        together = held_by(list(apart.values()))
        return Finding(reason, together, [held_by(list(own.values())), together], power)

    effect = (
        "exponent of a recurrent model's step time in length, at a fixed number of tokens per batch, minus that of the "
        "Transformer (slope of their ratio), over all common lengths and recurrent models, with t intervals"
    )
    lines = [Line("the exponent of each recurrent model", ABOVE, GROWS), Line("the difference", ABOVE, 0)]
    return Rule(effect, lines, **in_each_process(speed, measure, FEWEST, WIDEST, PARALLEL))


def quadratic(speed: Speed, metric: str, system: System, side: str = ABOVE, beyond: System | None = None) -> Rule:
    """A cost beyond linear in length against that of the operations counted, where most of these are quadratic.

    Of a cost that is linear in great part the quadratic one is what it has `beyond` another system's.
    """

    def measure(speed: Speed) -> Finding:
        curve, counts = values(speed, system, metric), values(speed, system, COUNTED)
        linear = values(speed, beyond, metric) if beyond else dict.fromkeys(curve, 0.0)
        curve = {n: cost - linear[n] for n, cost in curve.items() if n in counts and linear.get(n, cost) < cost}
        most = [n for n in quadratic_lengths(counts) if n in curve]
        chosen = most if len(most) >= QUADRATIC.at else sorted(upper_half(curve))
        found = fitted({counts[n]: curve[n] for n in chosen}).exponent
        ended = speed.out_of_memory("length", system)
        memory = f", out of memory at {min(ended):g}" if ended else ""
        grown = [curve[chosen[-1]] / curve[chosen[0]], counts[chosen[-1]] / counts[chosen[0]]]
        reason = (
            f"{label(system)}{f' beyond {label(beyond)}' if beyond else ''}, "
            f"from length {chosen[0]:g} to {chosen[-1]:g}: "
            f"{decimal(grown[0], 2)} times the cost a token, "
            f"{decimal(grown[1], 2)} times the operations counted{memory}"
        )
        return Finding(reason, found, power=[len(most)])

    effect = (
        "which power of the operations counted a token costs as length grows, with its t interval: 0 is a cost linear "
        "in length, 1 one as quadratic as the operations, at lengths where most of these are"
    )
    lines = [Line(INTERVAL, side, AS_COUNTED)]
    if metric == STEP:
        return Rule(effect, lines, **in_each_process(speed, measure, QUADRATIC))
    return Rule(effect, lines, lambda: measure(speed), [QUADRATIC])


def quadratic_lengths(counts: Mapping[float, float]) -> list[float]:
    """Lengths where more than half of the operations of a step, at fixed tokens a + b·n, are those that grow: b·n."""
    slope, fixed = np.polyfit(list(counts), list(counts.values()), 1) if len(counts) > 1 else (0.0, 1.0)
    return [n for n in sorted(counts) if slope * n > fixed]


def widths(speed: Speed) -> list[float]:
    return [float(value) for value in speed.held("length", "width") if isinstance(value, int | float)]


def attention_is_not_faster(speed: Speed) -> Rule:
    """Tokens/s of the LSTM with attention over those of the LSTM, on real sentences."""

    def measure(speed: Speed) -> Finding:
        tasks = [task for task in speed.kind("text") if {LSTM, ATTENTION} <= set(speed.systems(task))]
        if not tasks:
            raise NotRun("LSTM and LSTM + attention on real sentences")
        pair = [speed.series(tasks[0], system, RATE, "loop", "bare") for system in (ATTENTION, LSTM)]
        rates, where = [series.median.value for series in pair], text_title(tasks[0])
        if any(map(math.isnan, rates)):
            raise NotRun(f"no bare step of both on {where}")
        reason = f"{whole(rates[0])} against {whole(rates[1])} target tokens/s on {where}"
        rounds = len(round_ratios(*pair))
        return Finding(reason + (f", {rounds} rounds" if rounds else ""), ratio(*pair))

    effect = (
        "target tokens/s of the LSTM + attention over those of the LSTM, bare step on real sentences, with the "
        "bootstrap interval of the median over rounds that timed both, else from quartiles"
    )
    return Rule(effect, below(FASTER), **in_each_process(speed, measure))


def proportional(speed: Speed, kind: str) -> Rule:
    """The efficiency of the base model that scales worst, at the largest number of processes, each on a GPU."""

    def measure(speed: Speed) -> Finding:
        found = {s: efficiency(speed, s, kind) for s in speed.bases("devices")}
        shares = {s: (n, share) for s, pair in found.items() if pair for n, share in [pair]}
        if not shares:
            raise NotRun("no base model on one and on several devices")
        each = listing([f"{label(s)} {decimal(share.value, 2)} on {n:g}" for s, (n, share) in shares.items()])
        worst = min((share for _, share in shares.values()), key=lambda share: share.value)
        gpus = speed.gpus("devices")
        return Finding(f"{'GPUs' if gpus else 'processes that share one CPU'}: {each}", worst, power=[gpus])

    effect = (
        f"{kind}-scaling efficiency of the base model that scales worst, at the largest number of processes, with the "
        "bootstrap interval of the median over rounds, else from quartiles"
    )
    return Rule(effect, above(PROPORTIONAL), **in_each_process(speed, measure, SEVERAL))


def efficiency(speed: Speed, system: System, kind: str) -> tuple[float, Interval] | None:
    """The largest number of processes, and the rate there over as many times the rate of one."""
    metric = f"{kind}_tokens_per_second"
    found = speed.curve("devices", system, metric, "processes")
    if len(found) < 2 or 1.0 not in found:
        return None
    n = max(found)
    speed_up = ratio(*(speed.series("devices", system, metric, "processes", x) for x in (n, 1.0)))
    return n, Interval(*(times / n for times in speed_up))


def faster_to_quality(speed: Speed, qualities: Sequence[Quality], what: str) -> Rule:
    """What the LSTM + attention spends over what the Transformer spends to the highest BLEU both reach."""
    in_seconds = what == "seconds"

    def measure(speed: Speed) -> Finding:
        found = [q for q in qualities if {ATTENTION, TRANSFORMER} <= set(q.curves)]
        if not found:
            raise NotRun("no validation BLEU of the Transformer and the LSTM + attention")
        quality = found[0]
        cost = seconds_of_a_token(speed, quality.task) if in_seconds else flops_of_a_token(speed, quality.task)
        tokens = quality.ratio(ATTENTION, TRANSFORMER)
        if tokens is None:
            raise NotRun(f"no run of both on {quality.task}")
        seeds = min(len(quality.curves[system]) for system in (ATTENTION, TRANSFORMER))
        sizes = [quality.parameters.get(system, math.nan) for system in (ATTENTION, TRANSFORMER)]
        spent = Interval(*(a * b for a, b in zip(tokens, cost, strict=True)))
        reason = f"{quality.task}: {times(tokens)} times the target tokens, each at {times(cost)} times the {what}"
        return Finding(reason, spent, power=[seeds, max(sizes) / min(sizes)])

    *others, last = (f"{100 * share:.0f}" for share in NEAR_THE_TOP)
    a_token = (
        "the seconds of a target token, measured with nothing beside it" if in_seconds else "its counted operations"
    )
    effect = (
        "target tokens that the LSTM + attention needs to the highest validation BLEU both reach, over those of the "
        f"Transformer (mean, lowest and highest over pairs of runs and {', '.join(others)} and {last} % of that BLEU), "
        f"times the same ratio of {a_token}"
    )
    if in_seconds:
        return Rule(effect, above(FASTER), **in_each_process(speed, measure, RUNS, SIZE))
    return Rule(effect, above(FASTER), lambda: measure(speed), [RUNS, SIZE])


def seconds_of_a_token(speed: Speed, task: str) -> Interval:
    """What a target token of training takes the LSTM + attention over what it takes the Transformer."""
    rates = [rate(speed, task, system) for system in (TRANSFORMER, ATTENTION)]
    if any(math.isnan(each.median.value) for each in rates):
        raise NotRun(f"no speed of both through the Trainer on {task}")
    return ratio(*rates)


def flops_of_a_token(speed: Speed, task: str) -> Interval:
    """Counted FLOPs of a target token of the LSTM + attention over those of the Transformer."""
    counted = [flops(speed, task, system) for system in (ATTENTION, TRANSFORMER)]
    if any(map(math.isnan, counted)):
        raise NotRun(f"FLOPs a target token were not counted for both on {task}")
    return Interval(*[counted[0] / counted[1]] * 3)


def constant_at_decoding(speed: Speed) -> Rule:
    """A token's latency at the largest length over that at the smallest: LSTM unchanged, Transformer grown."""

    def measure(speed: Speed) -> Finding:
        beam = speed.curve("decoding", TRANSFORMER, LATENCIES[0], "length")
        metric = LATENCIES[0] if beam else LATENCIES[1]
        (first, last), grown = growth(speed, "decoding", (LSTM, TRANSFORMER), metric)
        if missing := [label(system) for system in (LSTM, TRANSFORMER) if system not in grown]:
            raise NotRun(f"decoding of {listing(missing)} at more than one length")
        lstm, transformer = grown[LSTM], grown[TRANSFORMER]
        latency = speed.curve("decoding", LSTM, metric, "length")[last].value
        reason = (
            f"{'beam 5' if beam else 'greedy'}, length {first:g} to {last:g}: "
            f"×{times(lstm)} for the LSTM, ×{times(transformer)} for the Transformer; "
            f"{milliseconds(latency)} ms a token for the LSTM at the end"
        )
        return Finding(reason, transformer, [transformer, lstm], [counted_growth(speed, first, last)])

    effect = (
        "the Transformer's latency per token at the largest length over that at the smallest, with beam 5, else greedy"
    )
    lines = [Line("the growth of the Transformer", ABOVE, CONSTANT), Line("that of the LSTM", BELOW, CONSTANT)]
    return Rule(effect, lines, **in_each_process(speed, measure, COUNTED_GROWTH))


def counted_growth(speed: Speed, first: float, last: float) -> float:
    """By how much the operations a token of the Transformer grow from one length to another; NaN if not counted."""
    counts = speed.values("length", TRANSFORMER, COUNTED)
    if len(counts) < 2:
        return math.nan
    line = np.polynomial.Polynomial.fit(list(counts), list(counts.values()), 1)
    return float(line(last) / line(first))


def fewer_operations(speed: Speed) -> Rule:
    """Counted: operations of a step of the LSTM over those of the Transformer above the width."""

    def measure() -> Finding:
        counts = over(*(values(speed, system, COUNTED) for system in (LSTM, TRANSFORMER)))
        width = max(widths(speed), default=math.inf)
        ratios = {n: counts[n] for n in sorted(counts) if n > width}
        if not ratios:
            raise NotRun(f"no length above the width {width:g}")
        each = ", ".join(f"{decimal(value, 2)} at {n:g}" for n, value in ratios.items())
        reason = f"operations of a step, LSTM over Transformer, above width {width:g}: {each}"
        return Finding(reason, *exact(max(ratios.values())))

    effect = "counted operations of the LSTM's step over those of the Transformer's, the most at any length; exact"
    return Rule(effect, below(1), measure, fact=True)
