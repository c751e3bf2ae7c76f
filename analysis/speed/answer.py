"""Which model trains faster: target tokens per second on real sentences, and how a step's time grows with length."""

import math
from collections.abc import Sequence

from analysis.claims.verdict import CENTRAL
from analysis.page.blocks import Answer
from analysis.page.canvas import Figure
from analysis.page.labels import label, listing, whole
from analysis.page.look import Look
from analysis.speed.figures import STEP_TIME, Chart, logarithmic
from analysis.speed.runs import EXPERIMENT, STEP, Speed, growth, ratio
from analysis.speed.units import RATE, precision_name, rounded
from analysis.store import Store

QUESTION = "Which trains faster?"


def answer(store: Store, speeds: Sequence[Speed]) -> Answer:
    if not any(speed.runs for speed in speeds):
        ran = store.ran(EXPERIMENT)
        missing = "no speed run has finished yet" if ran else f"the suite {store.suite} has no speed runs"
        return Answer(QUESTION, f"No answer: {missing}.")
    text = " ".join(filter(None, map(in_words, speeds))) or "No answer: nothing was timed."
    caption = (
        "Every batch has the same number of tokens: longer means fewer sentences; a flat line, that a token costs "
        "the same at any length. Bars: quartiles, of several processes the lowest and the highest."
    )
    charts = [chart for chart in map(figure, speeds) if chart]
    return Answer(QUESTION, text, charts, caption if charts else "")


def in_words(speed: Speed) -> str:
    found = next(filter(None, (on_sentences(speed, task) for task in speed.kind("text"))), "")
    return " ".join(filter(None, (found, by_length(speed))))


def device(speed: Speed) -> str:
    """One H100, or the CPU and its threads."""
    machine = next(iter(speed.runs.values())).record["machine"]
    return str(machine["gpus"][0]) if machine.get("gpus") else f"{machine.get('threads')} CPU threads"


def on_sentences(speed: Speed, task: str) -> str:
    """Target tokens/s of the Transformer and of the LSTM with attention, the faster first, then of the rest."""
    rates = {s: speed.series(task, s, RATE, "loop", "bare") for s in speed.bases(task)}
    rates = {s: rate for s, rate in rates.items() if not math.isnan(rate.median.value)}
    if not rates:
        return ""
    precision = precision_name(str(speed.runs[task, next(iter(rates))].record["signatures"].get("precision", "")))
    where = f"On {device(speed)}{f' in {precision}' if precision else ''}"
    sentences = []
    if all(system in rates for system in CENTRAL):
        fast, slow = sorted(CENTRAL, key=lambda system: -rates[system].median.value)
        times = ratio(rates[fast], rates[slow])
        against = f"{whole(rates[fast].median.value)} against {whole(rates[slow].median.value)} target tokens/s"
        said = f"no clear difference between the {label(fast)} and the {label(slow)}"
        if times.low > 1:
            said = f"the {label(fast)} trains {rounded(times.value)} times as fast as the {label(slow)}"
        sentences.append(f"{where}, on the sentences of the translation task, {said}: {against}.")
    rest = [f"{label(s)} {whole(rate.median.value)}" for s, rate in rates.items() if s not in CENTRAL or not sentences]
    if rest:
        sentences.append(f"Others: {listing(rest)}." if sentences else f"{where}, target tokens/s: {listing(rest)}.")
    return " ".join(sentences)


def by_length(speed: Speed) -> str:
    """How much longer a step takes at the greatest length than at the smallest, the number of tokens being equal."""
    systems = [system for system in CENTRAL if speed.curve("length", system, STEP)] or speed.bases("length")
    (first, last), grown = growth(speed, "length", systems, STEP)
    if not grown:
        return ""
    taken = [(rounded(times.value), label(system)) for system, times in grown.items()]
    than = f" as long as at length {first:g}"  # said once
    each = listing([f"{times} times{'' if i else than} for the {name}" for i, (times, name) in enumerate(taken)])
    where = f"{speed.place[0].upper()}{speed.place[1:]}, at" if speed.place else "At"
    return f"{where} length {last:g} a step on as many tokens takes {each}."


def figure(speed: Speed) -> Figure | None:
    curves = {system: curve for system in speed.bases("length") if (curve := speed.curve("length", system, STEP))}
    if not curves:
        return None
    title = f"Time of a training step ({device(speed)})"
    chart = Chart(
        f"answer-step-time{speed.name.removeprefix('speed')}",
        title,
        "length of source and target",
        "step time",
        "ms",
        curves,
        scale=STEP_TIME.scale,
        direct=True,
    )
    return logarithmic(Look(system for _, system in speed.runs), chart)
