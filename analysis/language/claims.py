"""The claims about language models: who makes each, its rule, and what the rule needs to show either outcome."""

import math
from collections.abc import Mapping

from analysis.claims.verdict import (
    ABOVE,
    ATTENTION,
    INTERVAL,
    LSTM,
    TRANSFORMER,
    Claim,
    Finding,
    Line,
    Needs,
    Power,
    Rule,
    above,
)
from analysis.language import scaling
from analysis.language.evidence import CUT, DISTANCE, EXPERIMENT, NEAR, POSITION, at_end, overall, pick, tasks_of
from analysis.page.curves import Point
from analysis.page.labels import decimal, label, slug
from analysis.statistics.intervals import Interval
from analysis.store import Store, System
from experiments.record.metrics import metrics

READING = (
    "On generated stories the share of right answers decides, where they were said longest ago; on a text of "
    f"characters the loss, and by how much it falls when more than {NEAR} characters of context are read. Intervals "
    "cover the choice of test text and are widened until they hold every seed."
)
MARGIN = {"token_accuracy": 0.05, "context_gain": 0.02, "loss": 0.02}  # a difference that matters
WORTH = {"token_accuracy": 0.5, "context_gain": 0.02}  # of the better model: with less, the context was of use to none
STORIES = "stories"
NEAREST = 8  # words: the nearest bin of distances


def all_claims(store: Store) -> list[Claim]:
    """Each claim on every text: stories, and texts of characters."""
    claims = []
    for task in tasks_of(store) or [STORIES]:
        claims += about(store, task)
    return [*claims, *scaling.all_claims(store)]


def has_answers(store: Store, task: str) -> bool:
    return task == STORIES or len(store.rows(EXPERIMENT, task=task, x_name=DISTANCE)) > 0


def from_context(store: Store, task: str) -> tuple[str, str, dict[System, Point]]:
    """What shows the use of a long context on a text: its metric, in words, and each model's value."""
    if has_answers(store, task):
        words = "Share of right answers to what was said longest ago"
        return "token_accuracy", words, at_end(store, task, "token_accuracy", DISTANCE)
    words = f"Nats gained from context beyond {NEAR} characters"
    return "context_gain", words, at_end(store, task, "context_gain", CUT, NEAR)


def about(store: Store, task: str) -> list[Claim]:
    """The claims on one text; how close attention brings the LSTM is seen on the loss where no answers are known."""
    metric, words, gained = from_context(store, task)
    answers = has_answers(store, task)
    compared, values = (metric, gained) if answers else ("loss", overall(store, task, "loss"))
    figures = slug(metric, task, DISTANCE if answers else CUT), slug(compared, task, DISTANCE if answers else POSITION)
    what = words if answers else "Loss in nats"
    near = at_end(store, task, metric, DISTANCE, NEAREST) if answers else None
    lower_loss = f"The Transformer reaches a lower loss than the LSTM ({task})"
    needs, loss = Needs(EXPERIMENT, task, "loss"), overall(store, task, "loss")
    return [
        Claim(
            f"From a long context the Transformer gains more than the LSTM ({task})",
            "Kaplan et al. 2020, figure 7",
            Needs(EXPERIMENT, task, metric),
            leads(gained, metric, words, near),
            figures[0],
        ),
        Claim(
            f"One attention over its past brings the LSTM close to the Transformer ({task})",
            "Merity 2019",
            Needs(EXPERIMENT, task, compared),
            makes_up(values, compared, what, near),
            figures[1],
        ),
        Claim(lower_loss, "Kaplan et al. 2020, figure 7", needs, loses_less(loss), slug("loss", task, POSITION)),
    ]


def loses_less(points: Mapping[System, Point]) -> Rule:
    """The LSTM's loss minus the Transformer's, as if on two texts: wider than if their losses were paired."""

    def measure() -> Finding:
        lstm, transformer = pick(points, LSTM, TRANSFORMER)
        effect = combined((1, lstm), (-1, transformer))
        return Finding(said(points, LSTM, TRANSFORMER), effect, power=[len(lstm.seeds.keys() & transformer.seeds)])

    effect = "loss of the LSTM minus that of the Transformer, of equal size after equal training, in nats"
    return Rule(effect, above(MARGIN["loss"]), measure, [scaling.SEEDS])


def leads(points: Mapping[System, Point], metric: str, what: str, near: Mapping[System, Point] | None) -> Rule:
    """The Transformer's quantity minus the LSTM's; an LSTM that knows little of what is `near` is not judged."""

    def measure() -> Finding:
        lstm, transformer = pick(points, LSTM, TRANSFORMER)
        effect = combined((1, transformer), (-1, lstm))
        best = max(lstm.value, transformer.value)
        return Finding(said(points, LSTM, TRANSFORMER), effect, power=[best, *known(near, LSTM)])

    power = [Power(f"the better model's {lower(what)}", ABOVE, WORTH[metric]), *knows(near, LSTM)]
    line = Line(INTERVAL, ABOVE, MARGIN[metric])
    return Rule(f"{what}: that of the Transformer minus that of the LSTM", [line], measure, power)


def knows(near: Mapping[System, Point] | None, system: System) -> list[Power]:
    """Where answers are known: who knows little of what was said last says nothing of what was said long ago."""
    what = f"the {label(system)}'s share of right answers to what was said within {NEAREST} words"
    return [Power(what, ABOVE, WORTH["token_accuracy"])] if near else []


def known(near: Mapping[System, Point] | None, system: System) -> list[float]:
    return [point.value for point in pick(near, system)] if near else []


def makes_up(
    points: Mapping[System, Point], metric: str, what: str, near: Mapping[System, Point] | None = None
) -> Rule:
    """How far the LSTM with attention is beyond the middle between the LSTM and the Transformer."""
    sign = 1 if metrics()[metric].better == "higher" else -1

    def measure() -> Finding:
        lstm, attention, transformer = pick(points, LSTM, ATTENTION, TRANSFORMER)
        effect = combined((sign, attention), (-sign / 2, lstm), (-sign / 2, transformer))
        lead = sign * (transformer.value - lstm.value)
        power = [lead, *known(near, ATTENTION)]
        return Finding(said(points, LSTM, ATTENTION, TRANSFORMER), effect, power=power)

    power = [Power("the lead of the Transformer over the LSTM", ABOVE, MARGIN[metric]), *knows(near, ATTENTION)]
    effect = f"{what}: how much better the LSTM with attention is than the middle between LSTM and Transformer"
    return Rule(effect, above(0), measure, power)


def lower(text: str) -> str:
    return text[0].lower() + text[1:]


def combined(*parts: tuple[float, Point]) -> Interval:
    """A weighted sum of quantities as if independent, with an interval widened until it holds that of any seeds."""
    value = sum(weight * point.value for weight, point in parts)
    ends = [(weight, point.interval) for weight, point in parts]
    low = math.hypot(*(weight * (i.value - (i.low if weight > 0 else i.high)) for weight, i in ends))
    high = math.hypot(*(weight * ((i.high if weight > 0 else i.low) - i.value) for weight, i in ends))
    of_seeds = [[weight * seed for seed in point.seeds.values()] for weight, point in parts]
    return Interval(value, min(value - low, sum(map(min, of_seeds))), max(value + high, sum(map(max, of_seeds))))


def said(points: Mapping[System, Point], *systems: System) -> str:
    return "; ".join(f"{label(system)} {decimal(points[system].value, 3)}" for system in systems)
