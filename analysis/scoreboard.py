"""The scoreboard: one question per row, one model per column, the best value marked where its interval allows it."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from analysis.language import claims as language_claims
from analysis.language import evidence as language_evidence
from analysis.long_range.axes import FEWEST, Control, axes, controls, main_axis, tasks_of, with_tenfold
from analysis.long_range.rules import over_seeds
from analysis.long_range.wording import at, title
from analysis.page.blocks import Best, Section, SectionLink, Table, Weak
from analysis.page.labels import NONE, decimal, label, ordered, slug, whole
from analysis.page.prose import PROSE
from analysis.speed.rules import FRESH
from analysis.speed.runs import Median, Speed
from analysis.speed.units import RATE, memory, milliseconds
from analysis.statistics.intervals import Interval
from analysis.store import Store, System
from analysis.translation.bleu import TestSet
from analysis.translation.pairs import Pair
from experiments.record.metrics import metrics


class Score(NamedTuple):
    """How well a model did: the value shown, the interval that decides.

    `weak` if the model was under-trained, `unable` if it did not learn the task with ten times the budget either,
    `tenfold` if it did.
    """

    text: str
    interval: Interval
    weak: bool = False
    unable: bool = False
    tenfold: bool = False


class Question(NamedTuple):
    """One row: each model's score of a metric; `section` is where the numbers come from.

    Where two models were compared in `pairs`, the paired test decides between them and not their intervals. Who is not
    surely above `chance` is not best.
    """

    text: str
    scores: Mapping[System, Score]
    metric: str
    section: str
    pairs: Sequence[Pair] = ()
    chance: float = -math.inf

    @property
    def best(self) -> System | None:
        """The model better than every other one; None while that is open.

        With an under-trained model in the row none is best: more training might change that. Nor is one that was
        trained for longer.
        """
        if len(self.scores) < 2 or any(score.weak for score in self.scores.values()):
            return None
        sign = 1 if metrics()[self.metric].better == "higher" else -1
        first = max(self.scores, key=lambda system: sign * self.scores[system].interval.value)
        ahead = all(self.beats(first, other, sign) for other in self.scores if other != first)
        above = self.scores[first].interval.low > self.chance
        return first if ahead and above and not self.scores[first].tenfold else None

    def beats(self, first: System, other: System, sign: int) -> bool:
        pair = next((pair for pair in self.pairs if {pair.first, pair.second} == {first, other}), None)
        if pair:
            return pair.better == first
        return is_beyond(self.scores[first].interval, self.scores[other].interval, sign)


def is_beyond(interval: Interval, other: Interval, sign: int) -> bool:
    """Whether two intervals do not overlap and the first lies higher (`sign` 1) or lower (-1); never without both."""
    near, far = (interval.low, other.high) if sign > 0 else (interval.high, other.low)
    return sign * near > sign * far  # False where either is NaN


def build(store: Store, test_sets: Sequence[TestSet], speeds: Sequence[Speed]) -> Section | None:
    """None where no model has been measured."""
    questions = [*translation(test_sets), *long_range(store), *language(store)]
    questions += [row for speed in speeds for row in fast(speed)]
    if not questions:
        return None
    questions = [question for question in questions if len(question.scores) > 1] or questions  # one alone is no score
    systems = ordered(system for question in questions for system in question.scores)[::-1]
    rows = []
    for question in questions:
        best = question.best
        cells = [shown(question.scores.get(system), system == best) for system in systems]
        rows.append([SectionLink.to(question.section, question.text), *cells])
    table = Table(PROSE["scoreboard"], ["question", *map(label, systems)], rows, board=True)
    return Section("scoreboard", "Scoreboard", [table], short="Scores")


def shown(score: Score | None, is_best: bool) -> str:
    if score is None:
        return NONE
    if score.weak or score.unable:
        return Weak(f"{score.text} {'under-trained' if score.weak else 'not learned'}")
    if score.tenfold:
        return f"{score.text} tenfold"
    return Best(score.text) if is_best else score.text


def translation(test_sets: Sequence[TestSet]) -> list[Question]:
    return [
        Question(
            f"BLEU on {found.task}, {found.name}",
            {
                system: Score(decimal(outcome.mean), outcome.interval)
                for system, outcome in found.outcomes.items()
                if system.variant == "base"
            },
            "bleu",
            "results",
            found.pairs,
        )
        for found in test_sets
    ]


def long_range(store: Store) -> list[Question]:
    """For each task the largest value trained on, and the largest beyond it."""
    questions = []
    for task in tasks_of(store):
        metric = "contrastive_accuracy" if task.startswith("contrastive-") else "token_accuracy"
        found = axes(store, task, metric)
        if not found:
            continue
        axis, known = main_axis(found), controls(store, task)
        later = {s: axis.curve(with_tenfold(s)) for s, control in known.items() if control.later}
        axis = replace(axis, curves={**axis.bases.curves, **later}).bases
        inside = [point.x for point in axis.points if point.trained is not False]
        for x, beyond in [(max(inside, default=None), ""), (max(axis.beyond, default=None), ", beyond training")]:
            if x is None:
                continue
            points = {s: p for s, curve in axis.curves.items() for p in curve if p.x == x and p.n >= FEWEST}
            scores = {s: Score(decimal(p.value, 3), over_seeds(p), *standing(known.get(s))) for s, p in points.items()}
            text = f"{title(task)} {at(axis.vary, x)}{beyond}"
            if scores:
                questions.append(Question(text, scores, metric, slug("task", task), chance=axis.chance_at(x)))
    return questions


def language(store: Store) -> list[Question]:
    """For each text the loss, and what is gained from context."""
    questions = []
    for task in language_evidence.tasks_of(store):
        loss = language_evidence.overall(store, task, "loss")
        metric, words, gained = language_claims.from_context(store, task)
        lines = language_evidence.chance(store, task).values()
        guess = max((line[-1][1] for line in lines), default=-math.inf) if metric == "token_accuracy" else -math.inf
        rows = ((f"Loss in nats on {task}", "loss", loss, -math.inf), (f"{words} on {task}", metric, gained, guess))
        for text, name, points, chance in rows:
            scores = {s: Score(decimal(p.value, 3), p.interval) for s, p in points.items() if s.variant == "base"}
            questions += [Question(text, scores, name, slug("text", task), chance=chance)] if scores else []
    return questions


def standing(control: Control | None) -> tuple[bool, bool, bool]:
    """Whether a model was under-trained, did not learn with ten times the budget either, or learned with it."""
    if control is None:
        return False, False, False
    return control.under_trained and not control.later, control.unable, control.later


def fast(speed: Speed) -> list[Question]:
    """Training and decoding at the shortest and at the longest length of several models, and on real sentences."""
    questions = []
    for task in speed.kind("text"):
        medians = {s: speed.median(task, s, RATE, "loop", "bare") for s in speed.bases(task)}
        text = f"Target tokens/s in training, {task.removeprefix('text-')}"
        questions.append(asked(speed, text, medians, whole, RATE))
    for task, metric, text, show in (
        ("length", "step_seconds", "Training step in ms", milliseconds),
        ("length", "peak_memory", "Memory of a training step", memory),
        ("decoding", "greedy_seconds_per_token", "Decoding one more token in ms", milliseconds),
    ):
        curves = {system: speed.curve(task, system, metric, "length") for system in speed.bases(task)}
        measured = Counter(x for curve in curves.values() for x in curve)
        lengths = sorted(x for x, systems in measured.items() if systems > 1 or len(curves) == 1)
        ends = lengths[-1:] if metric == "peak_memory" else [*lengths[:1], *lengths[-1:]]
        for x in dict.fromkeys(ends):
            medians = {system: curve[x] for system, curve in curves.items() if x in curve}
            questions.append(asked(speed, f"{text}, length {x:g}", medians, show, metric))
    return [question for question in questions if question.scores]


def asked(
    speed: Speed, text: str, medians: Mapping[System, Median], show: Callable[[float], str], metric: str
) -> Question:
    """With fewer processes than a claim asks for none is best."""
    few = len(speed.processes) < FRESH.at
    measured = {system: median for system, median in medians.items() if not math.isnan(median.value)}
    scores = {s: Score(show(m.value), Interval(*(m._replace(low=math.nan) if few else m))) for s, m in measured.items()}
    return Question(speed.here(text), scores, metric, speed.name)
