"""Language models: one section of the page for each text, from loss to what is gained from context."""

from collections.abc import Callable

import numpy as np

from analysis.attention.maps import Sentences, blocks, by_key, shared, with_maps
from analysis.language import scaling
from analysis.language.evidence import (
    CHANGED,
    DISTANCE,
    EXPERIMENT,
    POSITION,
    bases,
    chance,
    curves,
    is_of_words,
    overall,
    tasks_of,
)
from analysis.page.blocks import Block, Figures, Heading, Notice, Paragraph, Section, Table
from analysis.page.canvas import Figure, learning_curve, lines
from analysis.page.curves import Curves, Point, by_x
from analysis.page.labels import NONE, decimal, label, shortest, slug, whole, with_span
from analysis.page.look import Look
from analysis.page.run_sources import behind, chosen
from analysis.store import Store

NETWORKS = (
    "Every model here is one stack without an encoder, and reads from left to right: a plain RNN, GRU or LSTM; an LSTM "
    "whose state attends to all its states so far; a Transformer of causal self-attention."
)
CAPTION = "Lines are means over seeds, bands 95 % intervals over the test text widened to hold every seed."


def build(store: Store, look: Look) -> list[Section]:
    nothing = Notice("No language model has finished yet: there is nothing to compare.")
    sections = [section(store, look, task) for task in tasks_of(store)]
    return sections or [Section("language", "Language models", [nothing])]


def section(store: Store, look: Look, task: str) -> Section:
    unit = "words" if is_of_words(store, task) else "characters"
    evidence: list[Block] = [losses(store, task, unit)]
    evidence += along(store, look, task, POSITION, "loss", "Loss by position", f"{unit} read", "loss (nats)")
    asked = "words since it was said"
    evidence += along(store, look, task, DISTANCE, "token_accuracy", "Answers by distance", asked, "share right")
    evidence += along(store, look, task, DISTANCE, "loss", "Loss on answers by distance", asked, "loss (nats)")
    evidence += context(store, look, task, unit)
    evidence += scaling.blocks(store, look, task)
    shown = [Paragraph(NETWORKS), *evidence, *attention(store, look, task), *learning(store, look, task)]
    return Section(slug("text", task), f"Language models: {task}", shown, behind(store, EXPERIMENT, task))


def losses(store: Store, task: str, unit: str) -> Table:
    """Loss in every unit, and what it cost."""
    one = unit[:-1]
    columns: dict[str, tuple[str, Callable[[Point], str]]] = {
        "bits": (f"bits per {one}", lambda point: decimal(point.value, 3)),
        "perplexity": ("perplexity", lambda point: decimal(point.value, 2)),
        "val_loss": ("validation loss", lambda point: decimal(point.value, 3)),
        "parameters": ("parameters", lambda point: whole(point.value)),
        "train_seconds": ("training time", lambda point: shortest(point.seeds.values())),
    }
    found = {metric: overall(store, task, metric) for metric in columns}
    rows = []
    for system, loss in overall(store, task, "loss").items():
        points = [(found[metric].get(system), show) for metric, (_, show) in columns.items()]
        rows.append([label(system), with_span(loss.interval, 3), *(show(p) if p else NONE for p, show in points)])
    header = ["model", f"loss, nats per {one}", *(name for name, _ in columns.values())]
    return Table("On the test text: means over seeds, the time that of the fastest.", header, rows)


def along(
    store: Store, look: Look, task: str, axis: str, metric: str, title: str, x_label: str, y_label: str
) -> list[Block]:
    """A figure and a table of a metric along an axis; none where it was not measured."""
    found = bases(curves(store, task, metric, axis))
    if not found:
        return []
    share = metric == "token_accuracy"
    figure = by_x(
        slug(metric, task, axis),
        title,
        look,
        found,
        chance(store, task) if share else {},
        x_label,
        y_label,
        share=share,
    )
    caption = f"{CAPTION} A point is everything since the one before it: 1 to 8, 9 to 16, 17 to 32 and so on."
    return [Heading(title), Figures(caption, [figure]), by_value(found, f"{title}.", f"{x_label}, up to")]


def by_value(found: Curves, caption: str, x_label: str) -> Table:
    xs = sorted({point.x for points in found.values() for point in points})
    rows = []
    for system, points in found.items():
        values = {point.x: with_span(point.interval, 3) for point in points}
        rows.append([label(system), *(values.get(x, NONE) for x in xs)])
    return Table(f"{caption} Columns: {x_label}.", ["model", *(f"{x:g}" for x in xs)], rows)


def context(store: Store, look: Look, task: str, unit: str) -> list[Block]:
    """What the same checkpoints lose when the context is cut, shuffled or reversed."""
    figures: list[Figure] = []
    tables: list[Table] = []
    for axis, words in CHANGED.items():
        found = bases(curves(store, task, "context_gain", axis))
        if found:
            title, x_label = f"Context {words} this many {unit}", f"{unit} left as they were"
            name = slug("context_gain", task, axis)
            figures.append(by_x(name, title, look, found, {}, x_label, "loss added (nats)", share=False))
            tables.append(by_value(found, f"{title}: by how much the loss rises.", x_label))
    if not figures:
        return []
    text = (
        f"The last {unit[:-1]} of each piece of test text is predicted again from a changed context, without further "
        "training: what is added to the loss is what the rest of the context was worth (Khandelwal et al. 2018)."
    )
    return [Heading("What the context is worth"), Figures(f"{text} {CAPTION}", figures), *tables]


def attention(store: Store, look: Look, task: str) -> list[Block]:
    """Where each model looks when it says a word again, every other head a touch away; none on texts of characters."""
    if not curves(store, task, "token_accuracy", DISTANCE):
        return []
    runs = {system: run for system, run in chosen(store, EXPERIMENT, task).items() if system.variant == "base"}
    found = shared(with_maps({system: by_key(store.attention(run)) for system, run in runs.items()}))
    if not (keys := list(next(iter(found.values()), {}))):
        return []
    caption = "Rows are words being predicted, columns the words before each"
    shown = {system: looks_back(sentences) for system, sentences in found.items()}
    return [Heading("What attention sees"), *blocks(look, task, caption, found, keys[0], shown)]


def looks_back(sentences: Sentences) -> tuple[str, int]:
    """The map and the head that look most at where a word was said before, of words that were said once."""

    def share(place: tuple[str, int]) -> float:
        found = [0.0]
        for sentence in sentences.values():
            weights = sentence["maps"][place[0]][place[1]]
            for row, word in enumerate(sentence["target"]):
                before = [column for column, said in enumerate(sentence["written"][: row + 1]) if said == word]
                found += weights[row, before].tolist() if len(before) == 1 else []
        return float(np.mean(found))

    maps = next(iter(sentences.values()))["maps"]
    return max(((name, head) for name in maps for head in range(len(maps[name]))), key=share)


def learning(store: Store, look: Look, task: str) -> list[Block]:
    runs = [run for run in store.finished(EXPERIMENT, task) if run.variant == "base"]
    found = lines(store, runs, "val/loss")
    if not found:
        return []
    figure = learning_curve(slug("curve", task, "loss"), "Validation loss by step", look, found, "step", "loss (nats)")
    return [Heading("Learning curves"), Figures("Loss on validation text, one line per run.", [figure])]
