"""The explorer of attention maps: bytes that are the weights, tokens that stay text, and what a browser makes of it."""

import base64
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from analysis.attention.maps import attention_map, blocks, by_key, packed
from analysis.page.blocks import Explorer
from analysis.page.look import COLOURS, Look
from analysis.page.render import environment
from analysis.store import System
from tests.support.fakes.inspection import SOURCE_SENTENCES, sentences

MODELS = ("bahdanau", "transformer")
PAGE = (
    '{% from "attention.html.jinja" import explorer, style %}<!DOCTYPE html><html lang="en"><meta charset="utf-8">'
    "<title>maps</title><style>{{ style() }}</style><figure><div id='figure-static'></div></figure>"
    "{{ explorer(block) }}</html>"
)
SVG = "{http://www.w3.org/2000/svg}"
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@given(arrays(np.float64, array_shapes(min_dims=3, max_dims=3, max_side=5), elements=st.floats(0, 1)))
def test_bytes_are_the_weights_to_half_a_255th(weights: NDArray[np.float64]) -> None:
    found = np.frombuffer(base64.b64decode(packed(weights)), np.uint8).reshape(weights.shape)
    assert np.abs(found / 255 - weights).max() <= 0.5 / 255 + 1e-12


@pytest.mark.parametrize("token", ["$x_1$", "$", "<script>alert(1)</script>", "&amp;", '"', "▁Straße", "_", "\\frac"])
def test_any_token_is_shown_as_written(token: str) -> None:
    weights = np.full((3, 2), 0.5)
    figure = attention_map("map", "Transformer", COLOURS["transformer"], weights, [token, "</s>"], ["a", token, "</s>"])
    shown = ET.fromstring(figure.svg).iter(f"{SVG}text")
    assert ["".join(text.itertext()) for text in shown].count(token) == 2
    assert "<script" not in figure.svg


def test_the_title_stands_above_the_words_of_the_columns() -> None:
    figure = attention_map("map", "Head 1", COLOURS["transformer"], np.eye(2), ["riverside", "office"], ["a", "b"])
    texts = {"".join(text.itertext()): text for text in ET.fromstring(figure.svg).iter(f"{SVG}text")}
    (word,) = re.findall(r"translate\([\d.]+ ([\d.]+)\)", texts["riverside"].attrib["transform"])
    (title,) = re.findall(r"([\d.]+)\)", texts["Head 1"].attrib["transform"])
    assert float(title) < float(word) - 4 * 9, "by more than the height of four letters"


def made(caption: str = "Every map.") -> Explorer:
    kept = {System(m, "base"): by_key(sentences(m)) for m in MODELS}
    shown = {System("bahdanau", "base"): ("additive", 0), System("transformer", "base"): ("cross layer 2", 1)}
    (_, explored) = blocks(Look(kept), "multi30k", caption, kept, next(iter(kept[System("bahdanau", "base")])), shown)
    assert isinstance(explored, Explorer)
    return explored


def page(block: Explorer) -> str:
    return environment().from_string(PAGE).render(block=block)


def test_every_sentence_has_every_map_of_every_model() -> None:
    block = made()
    assert len(block.sentences) == SOURCE_SENTENCES
    for i, sentence in enumerate(block.sentences):
        *words, end = sentences("bahdanau")[i]["source_tokens"]
        assert end == "</s>"
        assert sentence["name"] == f"{7 * i} of test2016, {len(words)} words"
        assert [model["label"] for model in sentence["models"]] == ["LSTM + attention", "Transformer"]
        for name, model in zip(MODELS, sentence["models"], strict=True):
            recorded = sentences(name)[i]
            assert (model["source"], model["target"]) == (recorded["source_tokens"], recorded["target_tokens"])
            for kept in model["maps"]:
                weights = np.asarray(recorded["maps"][kept["name"]])
                found = np.frombuffer(base64.b64decode(kept["weights"]), np.uint8).reshape(weights.shape)
                assert kept["heads"] == len(weights)
                assert np.abs(found / 255 - weights).max() < 0.002


def test_nothing_is_loaded_from_elsewhere_and_without_scripts_it_is_hidden() -> None:
    html = re.sub(r"<script type=.application/json.>.*?</script>", "", page(made()), flags=re.DOTALL)
    html = html.replace("http://www.w3.org/2000/svg", "")  # a name, not an address
    assert not re.search(r"https?:|\bsrc=|@import|url\(|\bimport\b|fetch", html)
    assert '<figure class="explorer" id="explorer-multi30k" hidden>' in html


ACT = """<script type="module">
const [sentence, kind] = document.querySelectorAll(".explorer select");
for (const [select, value] of [[sentence, 2], [kind, KIND]]) {
  select.value = value;
  select.dispatchEvent(new Event("change"));
}
const press = (element, key) => element.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const panel = document.querySelectorAll(".explorer .model")[1];
for (let i = 0; i < MOVES; i++) press(panel.querySelector("[role=radio][aria-checked=true]"), "ArrowRight");
for (const key of ["ArrowRight", "ArrowDown"]) press(panel.querySelector(".view"), key);
</script>"""


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
@pytest.mark.parametrize(
    ("kind", "name", "head"), [("encoder", "encoder layer 2", 2), ("decoder", "decoder layer 1", 1)]
)
def test_arrow_keys_choose_a_head_and_read_the_map(tmp_path: Path, kind: str, name: str, head: int) -> None:
    kept = sentences("transformer")[2]
    kinds = list(dict.fromkeys(each.split()[0] for each in kept["maps"]))
    heads = [(each, h) for each, of in kept["maps"].items() if each.startswith(kind) for h in range(len(of))]
    script = ACT.replace("KIND", str(kinds.index(kind))).replace("MOVES", str(heads.index((name, head - 1))))
    body = browsed(page(made()) + script, tmp_path)
    drawing = drawings(body)[1]
    shown = [float(value) for value in re.findall(r'fill-opacity="([\d.]+)"', drawing)]
    weights = np.asarray(kept["maps"][name][head - 1])
    assert shown == pytest.approx(weights.flatten().tolist(), abs=0.005)
    source, target = kept["source_tokens"], kept["target_tokens"]
    expected = {"encoder": [*source, *source], "decoder": [*target, "<s>", *target[:-1]]}[kind]
    assert [unescape(text) for text in re.findall(r"<text[^>]*>(.*?)</text>", drawing)] == expected
    assert f"Transformer, {name}, head {head}" in unescape(drawing)
    rows = source if kind == "encoder" else target
    column = expected[len(rows) :][0]
    said = unescape(re.findall(r'<p class="said" aria-live="polite">(.*?)</p>', body)[1])
    text, _, number = said.rpartition(": ")
    assert text == f"“{rows[1]}” looks at “{column}”"
    assert float(number) == pytest.approx(weights[1][0], abs=0.01)


def browsed(html: str, folder: Path) -> str:
    """What a browser makes of a page, without its scripts."""
    (folder / "page.html").write_text(html, encoding="utf-8")
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", f"file://{folder}/page.html"]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    return re.sub(r"<script.*?</script>", "", dom, flags=re.DOTALL)


def drawings(body: str) -> list[str]:
    return re.findall(r"<svg.*?</svg>", body, re.DOTALL)
