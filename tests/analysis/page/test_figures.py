"""Figures: well-formed, readable without eyes or colour, and safe against what models may write."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from analysis.long_range.evidence import Point
from analysis.page.figures import (
    Figure,
    Line,
    attention_map,
    bin_names,
    bleu_by_length,
    by_x,
    learning_curve,
    legend_columns,
)
from analysis.page.labels import COLOURS, Look, label, ordered
from analysis.statistics.intervals import Interval
from analysis.store import System

SYSTEMS = [System(model, "base") for model in ("transformer", "lstm", "bahdanau")]
SVG = "{http://www.w3.org/2000/svg}"


def by_length(name: str = "length", systems: list[System] = SYSTEMS) -> Figure:
    curves = {s: {1: Interval(30, 28, 32), 11: Interval(20 + i, 18, 24)} for i, s in enumerate(systems)}
    return bleu_by_length(name, "test2016", Look(systems), curves, {1: 40, 11: 7})


def curve(systems: list[System] = SYSTEMS) -> Figure:
    lines = [Line(s, [100, 200], [3.0, 2.0]) for s in systems for _ in range(2)]
    return learning_curve("curve", "Validation loss", Look(systems), lines, "step", "validation loss")


def attention(source: list[str], target: list[str]) -> Figure:
    weights = np.full((len(target), len(source)), 1 / len(source))
    return attention_map("map", "Transformer", COLOURS["transformer"], weights, source, target)


def texts(figure: Figure) -> list[str]:
    return ["".join(t.itertext()) for t in ET.fromstring(figure.svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("figure", [by_length(), curve(), attention(["a", "b"], ["x", "y", "z"])])
def test_svg_is_accessible_and_stands_alone(figure: Figure) -> None:
    root = ET.fromstring(figure.svg)
    assert root.get("role") == "img"
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert set(root.get("aria-labelledby", "").split()) <= set(ids)
    assert root.findtext(f"{SVG}title") == figure.title
    assert root.findtext(f"{SVG}desc") == figure.description
    assert all(i is not None and i.startswith(figure.name) for i in ids)
    references = set(re.findall(r'(?:url\(#|href="#)([^")]+)', figure.svg))
    assert references <= set(ids)
    assert "#010203" not in figure.svg
    assert "currentColor" in figure.svg
    addresses = re.findall(r'(?:href|src)="(?!#|data:)([^"]*)"', figure.svg)
    assert addresses == []
    alone = ET.fromstring(figure.standalone)
    assert alone.find(f"{SVG}rect") is not None


def test_figures_are_the_same_every_time_and_share_no_ids() -> None:
    assert by_length().svg == by_length().svg
    first, second = by_length("one"), by_length("two")
    assert not set(re.findall(r'id="([^"]+)', first.svg)) & set(re.findall(r'id="([^"]+)', second.svg))


def test_colours_are_constant_whoever_else_is_there() -> None:
    alone = Look([System("transformer", "base")])
    crowd = Look([*SYSTEMS, System("mamba", "base"), System("transformer", "big"), System("s4", "base")])
    assert alone.colour(SYSTEMS[0]) == crowd.colour(SYSTEMS[0]) == COLOURS["transformer"]
    assert len({crowd.colour(s) for s in crowd.systems}) == 5
    assert crowd.dash(System("transformer", "base")) != crowd.dash(System("transformer", "big"))
    assert len({crowd.marker(s) for s in crowd.systems}) == 5


def test_systems_are_ordered_and_labelled() -> None:
    mixed = [System("mamba", "base"), System("lstm", "gru"), *SYSTEMS]
    expected = ["LSTM", "LSTM, gru", "LSTM + attention", "Transformer", "mamba"]
    assert [label(s) for s in ordered(mixed)] == expected


def test_legend_names_each_system_once() -> None:
    assert sum(text == "Transformer" for text in texts(curve())) == 1
    assert "LSTM + attention" in texts(by_length())


def test_bins_are_named_with_their_sizes() -> None:
    assert bin_names([1, 11, 12]) == ["1–10", "11", "12+"]
    assert {"1–10", "n=40", "n=7"} <= set(texts(by_length()))


def test_description_says_the_numbers() -> None:
    assert "Transformer: 30.0, 20.0" in by_length().description
    assert "Transformer ends at 2" in curve().description


@pytest.mark.parametrize("token", ["$x_1$", "$", "<script>alert(1)</script>", "&amp;", '"', "▁Straße", "_", "\\frac"])
def test_any_token_is_shown_as_written(token: str) -> None:
    figure = attention([token, "</s>"], ["a", token, "</s>"])
    assert texts(figure).count(token) == 2
    assert "<script" not in figure.svg


def test_intervals_may_be_missing() -> None:
    curves = {SYSTEMS[0]: {1: Interval(30, float("nan"), float("nan"))}}
    assert "nan" not in bleu_by_length("length", "t", Look(SYSTEMS), curves, {1: 4}).svg.lower()


@pytest.mark.parametrize(("low", "marks"), [(0.002, {"0.002", "0.01", "0.05", "0.2"}), (1e-7, set())])
def test_logarithmic_axes_of_few_decades_have_marks_between_them(low: float, marks: set[str]) -> None:
    points = [Point(x, Interval(y, y, y), {0: y}, 8) for x, y in ((1, 0.2), (8, low))]
    figure = by_x(
        "errors", "Errors", Look(SYSTEMS), {SYSTEMS[0]: points}, {}, "length", "error", share=False, log_y=True
    )
    found = {text for text in texts(figure) if text.startswith("0.")}
    assert found >= marks
    assert bool(found) == bool(marks)


@pytest.mark.parametrize(
    ("labels", "columns"),
    [
        (["plain RNN", "GRU", "LSTM", "LSTM + attention", "Transformer", "chance: guessing", "trained range"], 3),
        (["Transformer", "Transformer, sinusoidal", "chance: guessing", "trained range"], 2),
        (["LSTM", "chance: agrees with the nearest noun", "chance: agrees with most nouns", "trained range"], 1),
        (["LSTM"], 3),
    ],
)
def test_legends_are_as_wide_as_their_panel_and_no_wider(labels: list[str], columns: int) -> None:
    assert legend_columns(labels) == columns
