"""Figures: well-formed, readable without eyes or colour, the same every time."""

import itertools
import re
import struct
import xml.etree.ElementTree as ET
from collections.abc import Sequence

import numpy as np
import pytest
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure as Canvas

from analysis.attention.maps import attention_map
from analysis.page.canvas import PANEL, Figure, Line, learning_curve, legend_columns, scale_x
from analysis.page.labels import label, ordered
from analysis.page.look import COLOURS, Look
from analysis.store import System

SYSTEMS = [System(model, "base") for model in ("transformer", "lstm", "bahdanau")]
SVG = "{http://www.w3.org/2000/svg}"


def curve(name: str = "curve", systems: Sequence[System] = SYSTEMS) -> Figure:
    lines = [Line(s, [100, 200], [3.0, 2.0]) for s in systems for _ in range(2)]
    return learning_curve(name, "Validation loss", Look(systems), lines, "step", "validation loss")


def crowded() -> Figure:
    """One with a legend of eight lines."""
    return curve(systems=[System("lstm", f"a variant of many words {number}") for number in range(8)])


def grown() -> Figure:
    """A figure as large as its labels need."""
    weights = np.full((3, 2), 0.5)
    return attention_map("map", "Transformer", COLOURS["transformer"], weights, ["a", "b"], ["x", "y", "z" * 40])


def size(figure: Figure) -> tuple[float, float]:
    root = ET.fromstring(figure.svg)
    return float(root.get("width", "").removesuffix("pt")), float(root.get("height", "").removesuffix("pt"))


@pytest.mark.parametrize("figure", [curve(), grown()])
def test_svg_is_accessible_and_stands_alone(figure: Figure) -> None:
    root = ET.fromstring(figure.svg)
    assert root.get("role") == "img"
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert set(root.get("aria-labelledby", "").split()) <= set(ids)
    assert root.findtext(f"{SVG}title") == figure.title
    assert root.findtext(f"{SVG}desc") == figure.description
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:url\(#|href="#)([^")]+)', figure.svg)) <= set(ids)
    assert re.findall(r'(?:href|src)="(?!#|data:)([^"]*)"', figure.svg) == []
    assert "#010203" not in figure.svg
    assert "currentColor" in figure.svg
    assert ET.fromstring(figure.standalone).find(f"{SVG}rect") is not None


@pytest.mark.parametrize(("figure", "at_least"), [(curve(), (266.4, 208.8)), (grown(), (150, 60))])
def test_everything_lies_inside_the_picture(figure: Figure, at_least: tuple[float, float]) -> None:
    """A panel keeps its size; labels that need room outside make the other kind grow."""
    width, height = size(figure)
    assert width >= at_least[0]
    assert height >= at_least[1]
    places = re.findall(r'<text[^>]* x="([\d.-]+)" y="([\d.-]+)"', figure.svg)
    assert len(places) > 4
    assert all(0 <= float(x) <= width and 0 <= float(y) <= height for x, y in places)


@pytest.mark.parametrize("xs", [(16, 64, 256, 1024, 2048), (4, 8, 16, 24, 32, 40, 48, 64), tuple(range(0, 1100, 100))])
def test_marks_of_the_axis_do_not_overlap(xs: tuple[int, ...]) -> None:
    """Seen: 1024 and 2048 printed over each other, in a panel whose lines are labelled at their ends."""
    canvas = Canvas(figsize=PANEL)
    axes = canvas.add_axes((0.15, 0.15, 0.55, 0.7))
    scale_x(axes, xs)
    axes.set_xlim(xs[0], xs[-1])
    boxes = [text.get_window_extent(RendererAgg(1, 1, canvas.dpi)) for text in axes.get_xticklabels()]
    assert len(boxes) >= 4
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(sorted(boxes, key=lambda box: box.x0)))


def test_figures_of_one_page_share_no_id() -> None:
    ids = [re.findall(r' id="([^"]+)"', curve(name).svg) for name in ("curve", "curve-2")]
    assert ids[0]
    assert not {*ids[0]} & {*ids[1]}


@pytest.mark.parametrize("figure", [curve(), crowded()])
def test_a_png_has_the_proportions_of_its_figure(figure: Figure) -> None:
    assert figure.png[:4] == b"\x89PNG"
    width, height = struct.unpack(">II", figure.png[16:24])
    assert width / height == pytest.approx(size(figure)[0] / size(figure)[1], rel=0.01)


def test_a_long_legend_takes_no_room_from_the_curves() -> None:
    few, many = (figure.fitted.axes[0].bbox.height for figure in (curve(), crowded()))
    assert many > 0.9 * few


def test_few_share_a_dash_where_only_they_are_drawn() -> None:
    variants = [System("lstm", name) for name in ("base", "a", "b", "c", "doubled")]
    every, drawn = Look(variants), (variants[0], variants[-1])
    assert len({every.dash(system) for system in drawn}) == 1
    assert len({every.among(drawn).dash(system) for system in drawn}) == 2


def test_colours_are_constant_whoever_else_is_there() -> None:
    alone = Look([System("transformer", "base")])
    crowd = Look([*SYSTEMS, System("mamba", "base"), System("transformer", "big"), System("s4", "base")])
    assert alone.colour(SYSTEMS[0]) == crowd.colour(SYSTEMS[0]) == COLOURS["transformer"]
    assert len({crowd.colour(s) for s in crowd.systems}) == 5
    assert crowd.dash(System("transformer", "base")) != crowd.dash(System("transformer", "big"))
    assert len({crowd.marker(s) for s in crowd.systems}) == 5


def test_systems_are_ordered_and_labelled() -> None:
    mixed = [System("mamba", "base"), System("lstm", "gru"), *SYSTEMS]
    assert [label(s) for s in ordered(mixed)] == ["LSTM", "LSTM, gru", "LSTM + attention", "Transformer", "mamba"]


def test_legend_names_each_system_once_and_the_description_has_the_numbers() -> None:
    texts = ["".join(t.itertext()) for t in ET.fromstring(curve().svg).iter(f"{SVG}text")]
    assert texts.count("Transformer") == 1
    assert "Transformer ends at 2" in curve().description


@pytest.mark.parametrize(
    ("labels", "columns"),
    [
        (["plain RNN", "GRU", "LSTM", "LSTM + attention", "Transformer", "chance: guessing", "trained range"], 2),
        (["LSTM", "chance: agrees with the nearest noun", "chance: agrees with most nouns", "trained range"], 1),
        (["GRU", "LSTM", "chance"], 3),
    ],
)
def test_legends_are_as_wide_as_their_panel_and_no_wider(labels: list[str], columns: int) -> None:
    assert legend_columns(labels) == columns
