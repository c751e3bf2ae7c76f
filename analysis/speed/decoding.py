"""Latency per token in greedy and beam search, by length and by number of sentences."""

from collections.abc import Sequence

from analysis.page.blocks import Block, Figures, Heading, Paragraph, Table
from analysis.page.labels import NONE, label, listing
from analysis.page.look import Look
from analysis.speed.figures import Chart, logarithmic
from analysis.speed.runs import Speed, growth
from analysis.speed.units import rounded, times, with_quartiles
from analysis.store import System

WAYS = {"greedy": "greedy", "beam5": "beam 5"}


def blocks(speed: Speed, look: Look) -> list[Block]:
    if "decoding" not in speed.tasks:
        return []
    found: list[Block] = [Heading("Decoding"), Paragraph(in_words(speed))]
    systems = speed.bases("decoding")
    for axis, held in (("length", "batch"), ("batch", "length")):
        charts = []
        for way, name in WAYS.items():
            metric, title = f"{way}_seconds_per_token", f"Latency per token by {axis}, {name}"
            curves = {s: curve for s in systems if (curve := speed.curve("decoding", s, metric, axis))}
            chart = Chart(
                f"{speed.name}-decoding-{axis}-{way}", title, axis, "latency", "ms per token", curves, scale=1000
            )
            charts += [logarithmic(look, chart)] if curves else []
        if charts:
            flat = " A flat line is a constant cost per token." if axis == "length" else ""
            text = f"Time for one more token of every sentence in the batch, by {axis} at a fixed {held}.{flat}"
            found.append(Figures(text, charts))
        found += table(speed, systems, axis)
    return found


def in_words(speed: Speed) -> str:
    """The cost of decoding in principle and as measured."""
    text = (
        "All models decode one token after another. A recurrent decoder carries a state of fixed size, so its cost per "
        "token stays constant (with attention it also reads every source token); the Transformer attends to all tokens "
        "decoded so far, so its cost per token grows with their number."
    )
    (first, last), grown = growth(speed, "decoding", speed.bases("decoding"), "greedy_seconds_per_token")
    if not grown:
        return text
    parts = [f"×{times(found)} for the {label(system)}" for system, found in grown.items()]
    ends = f"length {first:g} to {last:g} of source and target"
    return f"{text} Measured with greedy search from {ends}, a token's latency changed {listing(parts)}."


def table(speed: Speed, systems: Sequence[System], axis: str) -> list[Block]:
    curves = {(s, w): speed.curve("decoding", s, f"{w}_seconds_per_token", axis) for s in systems for w in WAYS}
    xs = sorted({x for curve in curves.values() for x in curve})
    rows = []
    for (system, way), curve in curves.items():
        cells = []
        for x in xs:
            rate = speed.value("decoding", system, f"{way}_tokens_per_second", axis, x)
            cells.append(f"{with_quartiles(curve[x], 1000)}; {rounded(rate)}/s" if x in curve else NONE)
        rows += [[label(system), WAYS[way], *cells]] if curve else []
    caption = f"Decoding by {axis}: latency per token in ms [quartiles]; tokens per second of the whole batch."
    return [Table(caption, ["model", "search", *(f"{axis} {x:g}" for x in xs)], rows, left=2)] if rows else []
