"""The rules of the claims about speed: what each measures, its lines, and what it needs to show either outcome."""

import math
from collections.abc import Mapping, Sequence

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
    Undecided,
)
from analysis.page.labels import decimal, label, listing, whole
from analysis.speed.quality import NEAR_THE_TOP, Quality
from analysis.speed.runs import STEP, Speed, growth, ratio, round_ratios
from analysis.speed.scaling_laws import Fit, over, power_law, upper_half
from analysis.speed.units import RATE, milliseconds, operations, text_title, times
from analysis.statistics.intervals import Interval
from analysis.store import System

LATENCY, COUNTED = "greedy_seconds_per_token", "flops_per_step"
GROWS = 0.1  # an exponent above it is growth
QUADRATIC = 1.5  # the exponent of one sequence's cost half-way between linear and quadratic
FASTER = 1.1  # a ratio that matters
PROPORTIONAL = 0.8  # efficiency from which several devices are said to be proportionally faster
CONSTANT = 1.2  # a cost a token that changes by less than this factor is called constant
FEWEST = Power("the number of common lengths", AT_LEAST, 4)
WIDEST = Power("the longest of them over the shortest", AT_LEAST, 8)
LONGEST = Power("the number of lengths in the longer half", AT_LEAST, 3)
BEYOND = Power("the longest length over the width", ABOVE, 1)


def values(speed: Speed, system: System, metric: str) -> Mapping[float, float]:
    found = speed.values("length", system, metric)
    if not found:
        raise NotRun(f"no {metric.replace('_', ' ')} by length of {label(system)}")
    return found


def fitted(curve: Mapping[float, float], fewest: float) -> Fit:
    fit = power_law(curve)
    if fit is None or fit.points < fewest:
        raise NotRun(f"fewer than {fewest} lengths")
    return fit


def waiting(speed: Speed) -> Rule:
    """The LSTM's step time grows with length at fixed tokens, and faster than the Transformer's."""

    def measure() -> Finding:
        recurrent, parallel = (values(speed, system, STEP) for system in (LSTM, TRANSFORMER))
        shared = over(recurrent, parallel)
        if len(shared) < FEWEST.at or max(shared) < WIDEST.at * min(shared):
            raise NotRun(f"fewer than {FEWEST.at} common lengths over a factor of {WIDEST.at}")
        own = fitted({n: recurrent[n] for n in shared}, FEWEST.at).exponent
        other = fitted({n: parallel[n] for n in shared}, FEWEST.at).exponent
        apart = fitted(shared, FEWEST.at).exponent
        reason = (
            f"exponent of step time {times(own)} for the LSTM, {times(other)} for the Transformer, lengths "
            f"{min(shared):g} to {max(shared):g}"
        )
        return Finding(reason, apart, [own, apart])

    effect = (
        "exponent of the LSTM's step time in length, at a fixed number of tokens per batch, minus that of the "
        "Transformer (slope of their ratio), over all common lengths, with t intervals"
    )
    lines = [Line("the exponent of the LSTM", ABOVE, GROWS), Line("the difference of the exponents", ABOVE, 0)]
    return Rule(effect, lines, measure, [FEWEST, WIDEST])


def quadratic(speed: Speed, metric: str, system: System, what: str) -> Rule:
    """The cost of one sequence is nearer to n² than to n over the longer half of the lengths."""

    def measure() -> Finding:
        longest = upper_half(values(speed, system, metric))
        at_fixed_tokens = fitted(longest, LONGEST.at).exponent
        one = Interval(*(1 + exponent for exponent in at_fixed_tokens))
        ended = speed.out_of_memory("length", system)
        memory = f", out of memory at {min(ended):g}" if ended else ""
        width = listing([f"{value:g}" for value in widths(speed)] or ["not recorded"])
        reason = f"lengths {min(longest):g} to {max(longest):g}{memory}, width {width}"
        flops = speed.values("length", system, COUNTED)
        counted = power_law({n: flops[n] for n in longest if n in flops})
        if counted and metric == STEP:
            reason += f"; by the operations counted it would be {decimal(1 + counted.exponent.value, 2)}"
        return Finding(reason, one)

    effect = (
        f"exponent in length of the {what} of one sequence over the longer half of the lengths, with its t interval: 1 "
        "more than the exponent of a batch of a fixed number of tokens. 1 is linear, 2 quadratic"
    )
    note = (
        "Terms linear in length lower the exponent until length exceeds width: the rule judges the cost at the lengths "
        "measured, not the limit"
    )
    return Rule(effect, [Line(INTERVAL, ABOVE, QUADRATIC)], measure, [LONGEST], note=note)


def widths(speed: Speed) -> list[float]:
    return [float(value) for value in speed.held("length", "width") if isinstance(value, int | float)]


def attention_is_not_faster(speed: Speed) -> Rule:
    """Tokens/s of the LSTM with attention over those of the LSTM, on real sentences."""

    def measure() -> Finding:
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
        "target tokens/s of the LSTM + attention over those of the LSTM, bare step on real sentences, 32-bit, with the "
        "bootstrap interval of the median over rounds that timed both, else from quartiles"
    )
    return Rule(effect, [Line(INTERVAL, BELOW, FASTER)], measure)


def proportional(speed: Speed, kind: str, *, on_gpus: bool) -> Rule:
    """The efficiency of the base model that scales worst, at the largest number of processes, each on a GPU or none."""

    def measure() -> Finding:
        found = {s: efficiency(speed, s, kind) for s in speed.bases("devices")}
        shares = {s: (n, share) for s, pair in found.items() if pair for n, share in [pair]}
        if not shares:
            raise NotRun(f"no base model on one and on several {'GPUs' if on_gpus else 'CPU processes'}")
        if on_gpus and not has_gpus(speed):
            raise NotRun("no GPUs; what was measured are processes that share the cores of one CPU")
        each = listing([f"{label(s)} {decimal(share.value, 2)} on {n:g}" for s, (n, share) in shares.items()])
        worst = min((share for _, share in shares.values()), key=lambda share: share.value)
        return Finding(f"{'GPUs' if on_gpus else 'CPU processes, no GPU'}: {each}", worst)

    effect = (
        f"{kind}-scaling efficiency of the base model that scales worst, at the largest number of processes, with the "
        "bootstrap interval of the median over rounds, else from quartiles"
    )
    return Rule(effect, [Line(INTERVAL, ABOVE, PROPORTIONAL)], measure)


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


def faster_to_quality(qualities: Sequence[Quality], what: str) -> Rule:
    """What the LSTM + attention spends over what the Transformer spends to the highest BLEU both reach."""
    in_seconds = what == "seconds"

    def measure() -> Finding:
        found = [q for q in qualities if {ATTENTION, TRANSFORMER} <= set(q.curves)]
        if not found:
            raise NotRun("no validation BLEU of the Transformer and the LSTM + attention")
        quality = found[0]
        if in_seconds and quality.flaws:
            reason = f"times on {quality.task} cannot be compared: {'; '.join(quality.flaws)}"
            raise Undecided(reason, "The same runs one after another on one machine with as many threads each.")
        spent = quality.ratio(ATTENTION, TRANSFORMER, "seconds" if in_seconds else "flops")
        if spent is None:
            missing = "no seed of both" if in_seconds else "FLOPs a target token were not counted for both"
            raise NotRun(f"{missing} on {quality.task}")
        return Finding(said(quality, in_seconds), spent)

    *others, last = (f"{100 * share:.0f}" for share in NEAR_THE_TOP)
    effect = (
        f"{what} that the LSTM + attention needs to the highest validation BLEU both reach, over those of the "
        f"Transformer; lowest and highest over seeds and over {', '.join(others)} and {last} % of that BLEU"
    )
    note = "Not decided where other runs shared the machine, or threads or machines differ" if in_seconds else ""
    return Rule(effect, [Line(INTERVAL, ABOVE, FASTER)], measure, note=note)


def said(quality: Quality, in_seconds: bool) -> str:
    level = min(quality.best(system) for system in (ATTENTION, TRANSFORMER))
    seed = next(seed for seed in quality.curves[ATTENTION] if seed in quality.curves[TRANSFORMER])
    spent = {s: found for s in (ATTENTION, TRANSFORMER) if (found := quality.spent(s, seed, level))}
    each = [f"{label(s)} {f'{whole(c.seconds)} s' if in_seconds else operations(c.flops)}" for s, c in spent.items()]
    return f"{quality.task} to BLEU {decimal(level)}: {', '.join(each)} (seed {seed})"


def constant_at_decoding(speed: Speed) -> Rule:
    """A token's latency at the largest length over that at the smallest: LSTM unchanged, Transformer grown."""

    def measure() -> Finding:
        lstm, transformer = (latency_growth(speed, system) for system in (LSTM, TRANSFORMER))
        curve = speed.curve("decoding", LSTM, LATENCY, "length")
        reason = (
            f"greedy, length {min(curve):g} to {max(curve):g}: ×{times(lstm)} for the LSTM, ×{times(transformer)} for "
            f"the Transformer; {milliseconds(curve[max(curve)].value)} ms a token for the LSTM at the end"
        )
        return Finding(reason, transformer, [transformer, lstm])

    effect = "the Transformer's latency per token at the largest length over that at the smallest, greedy"
    lines = [Line("the growth of the Transformer", ABOVE, CONSTANT), Line("that of the LSTM", BELOW, CONSTANT)]
    return Rule(effect, lines, measure)


def latency_growth(speed: Speed, system: System) -> Interval:
    grown = growth(speed, "decoding", system, LATENCY)
    if grown is None:
        raise NotRun(f"decoding of {label(system)} at more than one length")
    return grown


def fewer_operations(speed: Speed) -> Rule:
    """Operations of a step of the LSTM over those of the Transformer at the lengths above the width; exact counts."""

    def measure() -> Finding:
        counts = over(*(values(speed, system, COUNTED) for system in (LSTM, TRANSFORMER)))
        found = widths(speed)
        if not found:
            raise Undecided("the width of the models was not recorded", "Runs that record it.")
        width = max(found)
        ratios = {n: counts[n] for n in sorted(counts) if n > width * BEYOND.at}
        if not ratios:
            raise NotRun(f"no length above the width {width:g}")
        last = ratios[max(ratios)]
        each = ", ".join(f"{decimal(value, 2)} at {n:g}" for n, value in ratios.items())
        reason = f"operations of a step, LSTM over Transformer, above width {width:g}: {each}"
        every = Interval(last, min(ratios.values()), max(ratios.values()))
        return Finding(reason, Interval(last, math.nan, math.nan), [every])

    effect = "counted operations of the LSTM's step over those of the Transformer's at the longest length; exact"
    return Rule(effect, [Line("the ratio at the lengths above the width", BELOW, 1)], measure, [BEYOND])
