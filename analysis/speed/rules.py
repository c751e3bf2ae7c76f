"""The decision rules of the claims about speed: each makes a judge that looks at the evidence."""

import math
from collections.abc import Mapping, Sequence

from analysis.claims.evidence import (
    ABOVE,
    ATTENTION,
    BELOW,
    LSTM,
    TRANSFORMER,
    Condition,
    Evidence,
    NotRun,
    Undecided,
    Verdict,
    above,
    below,
    decided,
)
from analysis.long_range.rules import Judge
from analysis.page.labels import decimal, label, listing, whole
from analysis.speed.quality import Quality
from analysis.speed.runs import Speed, growth, ratio, round_ratios
from analysis.speed.scaling_laws import Fit, over, power_law, upper_half
from analysis.speed.wording import RATE, milliseconds, operations, text_title, times
from analysis.statistics.intervals import Interval
from analysis.store import System
from experiments.record.files import is_number

GROWS = 0.1  # an exponent above it is growth
QUADRATIC = 1.5  # the exponent of one sequence's cost half-way between linear and quadratic
FASTER = 1.1  # a ratio that matters
PROPORTIONAL = 0.8  # efficiency from which several devices are said to be proportionally faster
CONSTANT = 1.2  # a cost a token that changes by less than this factor is called constant
FEWEST, WIDEST = 4, 8  # lengths, and the factor between the shortest and the longest, for an exponent over all
LONGEST = 3  # lengths for an exponent over the longer half


def values(speed: Speed, system: System, metric: str) -> Mapping[float, float]:
    found = {x: median.value for x, median in speed.curve("length", system, metric).items()}
    if not found:
        raise NotRun(f"no {metric.replace('_', ' ')} by length of {label(system)}")
    return found


def fitted(curve: Mapping[float, float], fewest: int) -> Fit:
    fit = power_law(curve)
    if fit is None or fit.points < fewest:
        raise NotRun(f"fewer than {fewest} lengths")
    return fit


def waiting(evidence: Evidence) -> Verdict:
    """The LSTM's step time grows with length at fixed tokens, and faster than the Transformer's."""
    speed = evidence.speed
    recurrent, parallel = (values(speed, system, "step_seconds") for system in (LSTM, TRANSFORMER))
    shared = over(recurrent, parallel)
    if len(shared) < FEWEST or max(shared) < WIDEST * min(shared):
        raise NotRun(f"fewer than {FEWEST} common lengths over a factor of {WIDEST}")
    own = fitted({n: recurrent[n] for n in shared}, FEWEST).exponent
    other = fitted({n: parallel[n] for n in shared}, FEWEST).exponent
    apart = fitted(shared, FEWEST).exponent
    reason = (
        f"exponent of step time {times(own)} for the LSTM, {times(other)} for the Transformer, lengths "
        f"{min(shared):g} to {max(shared):g}"
    )
    return decided(
        reason,
        apart,
        Condition("the exponent of the LSTM", own, ABOVE, GROWS),
        Condition("the difference of the exponents", apart, ABOVE, 0),
    )


def quadratic(metric: str, system: System = TRANSFORMER) -> Judge:
    """The cost of one sequence is nearer to n² than to n over the longer half of the lengths."""

    def judge(evidence: Evidence) -> Verdict:
        speed = evidence.speed
        longest = upper_half(values(speed, system, metric))
        at_fixed_tokens = fitted(longest, LONGEST).exponent
        one = Interval(*(1 + exponent for exponent in at_fixed_tokens))
        ended = speed.out_of_memory("length", system)
        memory = f", out of memory at {min(ended):g}" if ended else ""
        reason = f"lengths {min(longest):g} to {max(longest):g}{memory}, width {width_in_words(speed)}"
        flops = speed.curve("length", system, "flops_per_step")
        counted = power_law({n: flops[n].value for n in longest if n in flops})
        if counted and metric == "step_seconds":
            reason += f"; by the operations counted it would be {decimal(1 + counted.exponent.value, 2)}"
        return above(one, QUADRATIC, reason)

    return judge


def width_in_words(speed: Speed) -> str:
    found = widths(speed)
    return listing([f"{value:g}" for value in found]) if found else "not recorded"


def widths(speed: Speed) -> list[float]:
    return [float(value) for value in speed.held("length", "width") if is_number(value)]


def attention_is_not_faster(evidence: Evidence) -> Verdict:
    """Tokens/s of the LSTM with attention over those of the LSTM, on real sentences."""
    speed = evidence.speed
    tasks = [task for task in speed.kind("text") if {LSTM, ATTENTION} <= set(speed.systems(task))]
    if not tasks:
        raise NotRun("LSTM and LSTM + attention on real sentences")
    task = tasks[0]
    pair = [speed.series(task, system, RATE, "loop", "bare") for system in (ATTENTION, LSTM)]
    rates = [series.median.value for series in pair]
    if any(map(math.isnan, rates)):
        raise NotRun(f"no bare step of both on {text_title(task)}")
    reason = f"{whole(rates[0])} against {whole(rates[1])} target tokens/s on {text_title(task)}"
    rounds = len(round_ratios(*pair))
    reason += f", {rounds} rounds" if rounds else ""
    return below(ratio(*pair), FASTER, reason)


def proportional(kind: str, *, on_gpus: bool) -> Judge:
    """The efficiency of the base model that scales worst, at the largest number of processes, each on a GPU or none."""

    def judge(evidence: Evidence) -> Verdict:
        speed = evidence.speed
        found = {s: efficiency(speed, s, kind) for s in speed.bases("devices")}
        shares = {s: (n, share) for s, pair in found.items() if pair for n, share in [pair]}
        if not shares:
            raise NotRun(f"no base model on one and on several {'GPUs' if on_gpus else 'CPU processes'}")
        if on_gpus and not has_gpus(speed):
            raise NotRun("no GPUs; what was measured are processes that share the cores of one CPU")
        each = listing([f"{label(s)} {decimal(share.value, 2)} on {n:g}" for s, (n, share) in shares.items()])
        reason = f"{'GPUs' if on_gpus else 'CPU processes, no GPU'}: {each}"
        worst = min((share for _, share in shares.values()), key=lambda share: share.value)
        return above(worst, PROPORTIONAL, reason)

    return judge


def has_gpus(speed: Speed) -> bool:
    """Whether scaling over devices was measured on GPUs."""
    runs = [run for (task, _), run in speed.runs.items() if task == "devices"]
    return any(run.record["machine"].get("gpus") for run in runs)


def efficiency(speed: Speed, system: System, kind: str) -> tuple[float, Interval] | None:
    """The largest number of processes, and the rate there over as many times the rate of one."""
    metric = f"{kind}_tokens_per_second"
    found = speed.curve("devices", system, metric, "processes")
    if len(found) < 2 or 1.0 not in found:
        return None
    n = max(found)
    speed_up = ratio(*(speed.series("devices", system, metric, "processes", x) for x in (n, 1.0)))
    return n, Interval(*(times / n for times in speed_up))


def faster_to_quality(what: str) -> Judge:
    """What the LSTM + attention spends over what the Transformer spends to the highest BLEU both reach."""

    def judge(evidence: Evidence) -> Verdict:
        found = [q for q in evidence.qualities if {ATTENTION, TRANSFORMER} <= set(q.curves)]
        if not found:
            raise NotRun("no validation BLEU of the Transformer and the LSTM + attention")
        quality = found[0]
        if what == "seconds" and quality.flaws:
            reason = f"times on {quality.task} cannot be compared: {'; '.join(quality.flaws)}"
            raise Undecided(reason, "The same runs one after another on one machine with as many threads each.")
        spent = quality.ratio(ATTENTION, TRANSFORMER, what)
        if spent is None:
            missing = "FLOPs a target token were not counted for both" if what == "flops" else "no seed of both"
            raise NotRun(f"{missing} on {quality.task}")
        return above(spent, FASTER, said(quality, ATTENTION, what))

    return judge


def said(quality: Quality, slow: System, what: str) -> str:
    level = min(quality.best(slow), quality.best(TRANSFORMER))
    seeds = [seed for seed in quality.curves[slow] if seed in quality.curves[TRANSFORMER]]
    each = []
    for system in (slow, TRANSFORMER):
        spent = quality.spent(system, seeds[0], level)
        if spent:
            amount = f"{whole(spent.seconds)} s" if what == "seconds" else operations(spent.flops)
            each.append(f"{label(system)} {amount}")
    return f"{quality.task} to BLEU {decimal(level)}: {', '.join(each)} (seed {seeds[0]})"


def constant_at_decoding(evidence: Evidence) -> Verdict:
    """A token's latency at the largest length over that at the smallest: LSTM unchanged, Transformer grown."""
    speed = evidence.speed
    grown = {system: latency_growth(speed, system) for system in (LSTM, TRANSFORMER)}
    lstm, transformer = grown[LSTM], grown[TRANSFORMER]
    curve = speed.curve("decoding", LSTM, "greedy_seconds_per_token", "length")
    reason = (
        f"greedy, length {min(curve):g} to {max(curve):g}: ×{times(lstm)} for the LSTM, ×{times(transformer)} for the "
        f"Transformer; {milliseconds(curve[max(curve)].value)} ms a token for the LSTM at the end"
    )
    return decided(
        reason,
        transformer,
        Condition("the growth of the Transformer", transformer, ABOVE, CONSTANT),
        Condition("that of the LSTM", lstm, BELOW, CONSTANT),
    )


def latency_growth(speed: Speed, system: System) -> Interval:
    grown = growth(speed, "decoding", system, "greedy_seconds_per_token")
    if grown is None:
        raise NotRun(f"decoding of {label(system)} at more than one length")
    return grown


def fewer_operations(evidence: Evidence) -> Verdict:
    """Operations of a step of the LSTM over those of the Transformer at the lengths above the width; exact counts."""
    speed = evidence.speed
    counts = over(*(values(speed, system, "flops_per_step") for system in (LSTM, TRANSFORMER)))
    found = widths(speed)
    if not found:
        raise Undecided("the width of the models was not recorded", "Runs that record it.")
    beyond: Sequence[float] = [n for n in counts if n > max(found)]
    if not beyond:
        raise NotRun(f"no length above the width {max(found):g}")
    effect = Interval(counts[max(beyond)], math.nan, math.nan)
    each = ", ".join(f"{decimal(counts[n], 2)} at {n:g}" for n in sorted(counts) if n in beyond)
    reason = f"operations of a step, LSTM over Transformer, above width {max(found):g}: {each}"
    ratios = [counts[n] for n in beyond]
    every = Interval(effect.value, min(ratios), max(ratios))
    return decided(reason, effect, Condition("the ratio at the lengths above the width", every, BELOW, 1))
