"""The scoreboard: one question per row, one model per column, the best value marked where its interval allows it."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from analysis.long_range.evidence import Control, axes, controls, main_axis, tasks_of
from analysis.long_range.wording import at, title
from analysis.page.blocks import Best, Block, Paragraph, Section, SectionLink, Table
from analysis.page.labels import NONE, decimal, label, ordered, slug, whole
from analysis.page.prose import PROSE
from analysis.speed.runs import Median, Speed
from analysis.speed.units import memory, milliseconds
from analysis.statistics.intervals import Interval
from analysis.store import Store, System
from analysis.translation.bleu import TestSet
from experiments.record.metrics import MASTERED, metrics

WEAK, UNABLE = " †", " ‡"


class Score(NamedTuple):
    """How well a model did: the value shown, the interval that decides.

    `weak` if the model was under-trained, `unable` if it did not learn the task with ten times the budget either.
    """

    text: str
    interval: Interval
    weak: bool = False
    unable: bool = False


class Question(NamedTuple):
    """One row: each model's score of a metric; `section` is where the numbers come from."""

    text: str
    scores: Mapping[System, Score]
    metric: str
    section: str

    @property
    def best(self) -> System | None:
        """The model whose interval lies apart from all others on the good side; None while that is open.

        With an under-trained model in the row none is best: more training might change that.
        """
        if len(self.scores) < 2 or any(score.weak for score in self.scores.values()):
            return None
        sign = 1 if metrics()[self.metric].better == "higher" else -1
        first = max(self.scores, key=lambda system: sign * self.scores[system].interval.value)
        others = [score.interval for system, score in self.scores.items() if system != first]
        return first if all(is_beyond(self.scores[first].interval, other, sign) for other in others) else None


def is_beyond(interval: Interval, other: Interval, sign: int) -> bool:
    """Whether two intervals do not overlap and the first lies higher (`sign` 1) or lower (-1); never without both."""
    near, far = (interval.low, other.high) if sign > 0 else (interval.high, other.low)
    return sign * near > sign * far  # False where either is NaN


def build(store: Store, test_sets: Sequence[TestSet], speed: Speed) -> Section | None:
    """None where no model has been measured."""
    questions = [*translation(test_sets), *long_range(store), *fast(speed)]
    if not questions:
        return None
    systems = ordered(system for question in questions for system in question.scores)
    rows = []
    for question in questions:
        best = question.best
        cells = [shown(question.scores.get(system), system == best) for system in systems]
        rows.append([question.text, *cells, SectionLink(question.section)])
    blocks: list[Block] = [Table(PROSE["scoreboard"], ["question", *map(label, systems), "more"], rows, wrap=True)]
    if any(score.weak for question in questions for score in question.scores.values()):
        text = f"{WEAK.strip()} under-trained: below {MASTERED} at the easiest setting too, so no sign of inability."
        blocks.append(Paragraph(text))
    if any(score.unable for question in questions for score in question.scores.values()):
        blocks.append(Paragraph(f"{UNABLE.strip()} not learned with ten times the budget."))
    return Section("scoreboard", "Scoreboard", blocks)


def shown(score: Score | None, is_best: bool) -> str:
    if score is None:
        return NONE
    text = score.text + (WEAK if score.weak else UNABLE if score.unable else "")
    return Best(text) if is_best else text


def translation(test_sets: Sequence[TestSet]) -> list[Question]:
    return [
        Question(
            f"Translation: BLEU on {found.task}, {found.name}",
            {
                system: Score(decimal(outcome.mean), outcome.interval)
                for system, outcome in found.outcomes.items()
                if system.variant == "base"
            },
            "bleu",
            section="results",
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
        axis, known = main_axis(found).bases, controls(store, task)
        inside = [point.x for point in axis.points if point.trained is not False]
        for x, beyond in [(max(inside, default=None), ""), (max(axis.beyond, default=None), ", beyond training")]:
            if x is None:
                continue
            points = {s: p for s, curve in axis.curves.items() for p in curve if p.x == x}
            scores = {s: Score(decimal(p.value, 3), p.interval, *standing(known.get(s))) for s, p in points.items()}
            text = f"Long range: {title(task).lower()}, accuracy {at(axis.vary, x)}{beyond}"
            questions.append(Question(text, scores, metric, section=slug("task", task)))
    return questions


def standing(control: Control | None) -> tuple[bool, bool]:
    """Whether a model was under-trained, and whether it did not learn with ten times the budget either."""
    return (control.under_trained, control.unable) if control else (False, False)


def fast(speed: Speed) -> list[Question]:
    """Training and decoding at the shortest and at the longest length measured, and training on real sentences."""
    questions = []
    for task, metric, text, show in (
        ("length", "step_seconds", "a training step in ms", milliseconds),
        ("length", "peak_memory", "memory of a training step", memory),
        ("decoding", "greedy_seconds_per_token", "decoding one more token in ms", milliseconds),
    ):
        curves = {system: speed.curve(task, system, metric, "length") for system in speed.bases(task)}
        lengths = sorted({x for curve in curves.values() for x in curve})
        for x in dict.fromkeys((lengths[0], lengths[-1])) if lengths else ():
            medians = {system: curve[x] for system, curve in curves.items() if x in curve}
            questions.append(asked(f"Speed: {text}, length {x:g}", medians, show, metric))
    for task in speed.kind("text"):
        medians = {s: speed.median(task, s, "target_tokens_per_second", "loop", "trainer") for s in speed.bases(task)}
        text = f"Speed: target tokens/s in training, {task.removeprefix('text-')}"
        questions.append(asked(text, medians, whole, "target_tokens_per_second"))
    return [question for question in questions if question.scores]


def asked(text: str, medians: Mapping[System, Median], show: Callable[[float], str], metric: str) -> Question:
    measured = {system: median for system, median in medians.items() if not math.isnan(median.value)}
    scores = {system: Score(show(median.value), Interval(*median)) for system, median in measured.items()}
    return Question(text, scores, metric, section="speed")
