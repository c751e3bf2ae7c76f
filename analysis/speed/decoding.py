"""Speed beyond the step: decoding, several devices, other people's code, and the way to a translation quality."""

import math
from collections.abc import Sequence

from analysis.page.blocks import Block, Figures, Heading, Notice, Paragraph, Table
from analysis.page.canvas import Line, learning_curve
from analysis.page.labels import NONE, decimal, duration, label, listing, ordered, whole
from analysis.page.look import Look
from analysis.speed.figures import Chart, logarithmic
from analysis.speed.quality import Quality
from analysis.speed.runs import Median, Speed, round_ratios
from analysis.speed.wording import (
    RATE,
    decoding_words,
    device_words,
    figure,
    operations,
    percent,
    text_title,
    with_quartiles,
)
from analysis.store import System

WAYS = {"greedy": "greedy", "beam5": "beam 5"}
PEER = "joeynmt"
TRANSLATED = "sentences_per_second"
PEERS = {
    "fp32": "ours, 32-bit",
    "bf16": "ours, bf16",
    "joeynmt": "JoeyNMT, 32-bit",
    "torch": "torch.nn.Transformer in a textbook loop",
    "textbook": "textbook code",
}


def decoding(speed: Speed, look: Look) -> list[Block]:
    if "decoding" not in speed.tasks:
        return []
    blocks: list[Block] = [Heading("Decoding"), Paragraph(decoding_words(speed))]
    systems = speed.bases("decoding")
    for axis, held in (("length", "batch"), ("batch", "length")):
        charts = []
        for way, name in WAYS.items():
            metric = f"{way}_seconds_per_token"
            curves = {s: speed.curve("decoding", s, metric, axis) for s in systems}
            curves = {s: curve for s, curve in curves.items() if curve}
            if curves:
                title = f"Latency of a token by {axis}, {name}"
                unit = "ms a token"
                chart = Chart(f"speed-decoding-{axis}-{way}", title, axis, "latency", unit, curves, scale=1000)
                charts.append(logarithmic(look, chart))
        if charts:
            flat = " A flat line is a constant cost a token." if axis == "length" else ""
            text = f"Time for one more token of every sentence in the batch, by {axis} at a fixed {held}.{flat}"
            blocks.append(Figures(text, charts))
        blocks += decoding_table(speed, systems, axis)
    return blocks


def decoding_table(speed: Speed, systems: Sequence[System], axis: str) -> list[Block]:
    curves = {(s, w): speed.curve("decoding", s, f"{w}_seconds_per_token", axis) for s in systems for w in WAYS}
    xs = sorted({x for curve in curves.values() for x in curve})
    rows = []
    for (system, way), curve in curves.items():
        cells = []
        for x in xs:
            rate = speed.value("decoding", system, f"{way}_tokens_per_second", axis, x)
            cells.append(f"{with_quartiles(curve[x], 1000)}; {figure(rate)}/s" if x in curve else NONE)
        rows += [[label(system), WAYS[way], *cells]] if curve else []
    caption = f"Decoding by {axis}: latency of a token in ms [quartiles]; tokens of the whole batch per second."
    return [Table(caption, ["model", "search", *(f"{axis} {x:g}" for x in xs)], rows, left=2)] if rows else []


def devices(speed: Speed, look: Look) -> list[Block]:
    if "devices" not in speed.tasks:
        return []
    systems = speed.bases("devices")
    figures = []
    for kind in ("weak", "strong"):
        curves = {s: speed_up(speed, s, kind) for s in systems}
        curves = {s: curve for s, curve in curves.items() if len(curve) > 1}
        if curves:
            xs = sorted({x for curve in curves.values() for x in curve})
            title = f"{kind.capitalize()} scaling"
            chart = Chart(
                f"speed-devices-{kind}",
                title,
                "processes",
                "speed-up over one process",
                "",
                curves,
                ideal=[(x, x) for x in xs],
            )
            figures.append(logarithmic(look, chart))
    blocks: list[Block] = [Heading("Several devices"), Paragraph(device_words(speed))]
    if figures:
        blocks.append(Figures("Global target tokens/s relative to one process; dashed: proportional.", figures))
    rows = []
    for system in systems:
        for n in speed.curve("devices", system, "weak_tokens_per_second", "processes"):
            cells = [
                label(system),
                f"{n:g}",
                figure(speed.value("devices", system, "threads_per_process")),
            ]
            for kind in ("weak", "strong"):
                rate = speed.median("devices", system, f"{kind}_tokens_per_second", "processes", n)
                share = speed.value("devices", system, f"{kind}_efficiency", "processes", n)
                cells += [with_quartiles(rate), percent(share)]
            rows.append(cells)
    header = ["model", "processes", "threads each", "weak: tokens/s", "efficiency", "strong: tokens/s", "efficiency"]
    return [*blocks, Table("Target tokens/s of all processes together [quartiles].", header, rows)]


def speed_up(speed: Speed, system: System, kind: str) -> dict[float, Median]:
    """Rates divided by the median of one process."""
    curve = speed.curve("devices", system, f"{kind}_tokens_per_second", "processes")
    one = curve[1.0].value if 1.0 in curve else math.nan
    return {} if math.isnan(one) else {x: Median(*(value / one for value in median)) for x, median in curve.items()}


def peers(speed: Speed, task: str) -> list[Block]:
    """Ours against JoeyNMT: for each model a table on training, and one on translating where that was timed."""
    blocks: list[Block] = []
    for model in dict.fromkeys(system.model for system in speed.systems(task)):
        systems = sorted((s for s in speed.systems(task) if s.model == model), key=place_of_peer)
        name = label(System(model, "base"))
        caption = (
            f"Training the {name} on {text_title(task)}, the same files, sizes, tokens a batch and threads; medians "
            "[quartiles]. Ratios of medians, in brackets the lowest and highest of a round in which both were timed."
        )
        header = ["system", "target tokens/s", "to JoeyNMT", "padding", "parameters"]
        blocks.append(Table(caption, header, [training_row(speed, task, system) for system in systems]))
        timed = [s for s in systems if not math.isnan(speed.value(task, s, TRANSLATED))]
        if timed:
            caption = f"Translating the test set with the {name}, beam 5; ratios as above."
            header = ["system", "sentences/s", "to JoeyNMT", "tokens a hypothesis"]
            blocks.append(Table(caption, header, [translation_row(speed, task, system) for system in timed]))
    return blocks


def place_of_peer(system: System) -> tuple[bool, int, str]:
    kind = system.variant.split("-")[0]
    return "-" in system.variant, list(PEERS).index(kind) if kind in PEERS else len(PEERS), system.variant


def peer_name(variant: str) -> str:
    kind, _, rest = variant.partition("-")
    return f"{PEERS.get(kind, kind)}{f', {rest}' if rest else ''}".replace("dropout0", "no dropout").replace(
        "settings", "freed memory kept and products by oneDNN as in our runs"
    )


def opposite(speed: Speed, task: str, system: System) -> System | None:
    """The JoeyNMT run with the same dropout, as its users start it."""
    rest = system.variant.partition("-")[2].removeprefix("settings")
    other = System(system.model, f"{PEER}-{rest}" if rest else PEER)
    return other if (task, other) in speed.runs and other != system else None


def training_row(speed: Speed, task: str, system: System) -> list[str]:
    padding, parameters = (speed.value(task, system, metric) for metric in ("padding_share", "parameters"))
    return [*rate_and_ratio(speed, task, system, RATE), percent(padding), whole(parameters)]


def translation_row(speed: Speed, task: str, system: System) -> list[str]:
    tokens = decimal(speed.value(task, system, "mean_hypothesis_tokens"))
    return [*rate_and_ratio(speed, task, system, TRANSLATED), tokens]


def rate_and_ratio(speed: Speed, task: str, system: System, metric: str) -> list[str]:
    cells = [peer_name(system.variant), with_quartiles(speed.median(task, system, metric)), NONE]
    other = opposite(speed, task, system)
    if other:
        value = speed.value(task, system, metric) / speed.value(task, other, metric)
        each = round_ratios(*(speed.series(task, s, metric) for s in (system, other)))
        spread = f" ({decimal(min(each), 2)} to {decimal(max(each), 2)})" if each else ""
        cells[-1] = NONE if math.isnan(value) else f"{decimal(value, 2)}{spread}"
    return cells


def to_quality(quality: Quality, look: Look) -> list[Block]:
    """What each model had spent when its validation BLEU first reached each level."""
    blocks: list[Block] = [Heading(f"Time and operations to quality: {quality.task}")]
    if quality.flaws:
        text = f"The seconds below are no fair comparison: {'; '.join(quality.flaws)}. Tokens and operations are."
        blocks.append(Notice(text))
    blocks += [Paragraph(text) for text in quality.remarks]
    lines = []
    for system, seeds in quality.curves.items():
        flops = quality.flops.get(system, math.nan)
        if not math.isnan(flops):
            for curve in seeds.values():
                lines.append(Line(system, [p.target_tokens * flops for p in curve], [p.bleu for p in curve]))
    if lines:
        name = f"speed-quality-{quality.task}"
        title = "Validation BLEU by computed operations"
        drawn = learning_curve(name, title, look, lines, "training FLOPs", "validation BLEU")
        blocks.append(Figures("One line a run; the same by time and by tokens stands under Learning curves.", [drawn]))
    return [*blocks, quality_table(quality)]


def quality_table(quality: Quality) -> Table:
    rows = []
    systems = ordered(quality.curves)
    fastest = {level: min_seconds(quality, level) for level in quality.levels()}
    for level in quality.levels():
        for system in systems:
            spent = [quality.spent(system, seed, level) for seed in quality.curves[system]]
            done = [s for s in spent if s]
            cells = [label(system), decimal(level)]
            if len(done) < len(spent):
                some = f" by {len(spent) - len(done)} of {len(spent)} seeds" if done else ""
                rows.append([*cells, f"not reached{some}", NONE, NONE, NONE])
                continue
            seconds, tokens, flops = (sum(column) / len(done) for column in zip(*done, strict=True))
            ratio = decimal(seconds / fastest[level], 2)
            rows.append([*cells, duration(seconds), ratio, whole(tokens), operations(flops)])
    bests = listing([f"{label(s)} {decimal(quality.best(s))}" for s in systems])
    caption = (
        "Until validation BLEU first reached a level (straight lines between validations; means over seeds; seconds "
        f"include validation). Levels are 50, 75, 90 and 100 % of the best of the two weakest models. Best: {bests}."
    )
    header = ["model", "BLEU", "training time", "to the fastest", "target tokens", "operations"]
    return Table(caption, header, rows)


def min_seconds(quality: Quality, level: float) -> float:
    found = []
    for system, seeds in quality.curves.items():
        spent = [quality.spent(system, seed, level) for seed in seeds]
        if all(spent):
            found.append(sum(s.seconds for s in spent if s) / len(spent))
    return min(found, default=math.nan)
