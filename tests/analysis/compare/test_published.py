"""Published figures: whole, sourced, and next to ours only where task and metric are the same."""

import re
from pathlib import Path

import pytest

from analysis.compare.published import build, published
from analysis.compare.sides import read_side
from analysis.page.blocks import Section, Table
from analysis.page.labels import NAMES
from analysis.store import Store, read_store
from tests.support.fakes.runs import result, row, write_json

PATH = Path(__file__).parents[3] / "analysis" / "compare" / "published.csv"


def test_every_row_is_whole_sourced_and_there_once() -> None:
    assert len(published()) > 50
    for one in published():
        needed = (one.experiment, one.task, one.model, one.variant, one.metric, one.system, one.published_metric)
        assert all((*needed, one.source, one.where)), one
        assert re.fullmatch(r"https://\S+", one.link), one
        assert re.fullmatch(r"(19|20)\d\d|", one.year), one
        assert 0 < one.value <= {"share": 1, "BLEU": 100}.get(one.unit, 1e9), one
    keys = [(*one[:7],) for one in published()]
    assert len(keys) == len(set(keys))
    assert read_side("B", PATH).absent == []  # and the file is a side of a comparison
    assert {one.model for one in published()} - set(NAMES) == {"convolution", "mingru", "minlstm"}


def test_a_metric_is_named_like_ours_only_with_our_definition() -> None:
    definitions = {
        "bleu": ("sacreBLEU", "case:mixed", "tok:13a"),
        "bleu_tokenised": ("BLEU-4", "without smoothing", "lower-cased", "punctuation-normalised", "Moses-tokenised"),
    }
    for one in published():
        assert all(word in one.published_metric for word in definitions.get(one.metric, ()))
        assert one.metric in definitions or "_" not in one.metric, f"{one.metric} could be taken for one of ours"
    assert {one.metric for one in published()} >= set(definitions)


def store_with(
    tmp_path: Path, task: str, scores: dict[str, list[float]], metric: str, test_set: str = "test2016"
) -> Store:
    for model, seeds in scores.items():
        for seed, value in enumerate(seeds):
            measured = [row(metric, value, "BLEU", 1000, "test_set", test_set)]
            record = result("full", model, "base", seed, measured) | {"task": task}
            write_json(tmp_path / "full" / "bleu" / task / model / "base" / f"seed{seed}" / "result.json", record)
    return read_store(tmp_path, "full")


def tables(section: Section) -> list[Table]:
    return [block for block in section.blocks if isinstance(block, Table)]


def test_ours_come_first_with_an_interval_then_published_ones(tmp_path: Path) -> None:
    scores = {"transformer": [38.0, 39.0, 40.0], "lstm": [20.0]}
    (section,) = build(store_with(tmp_path, "multi30k-en-de", scores, "bleu_tokenised"))
    ours = tables(section)[0]
    assert ours.caption.startswith("multi30k-en-de, test2016: tokenised BLEU (lower-cased")
    assert ours.caption.endswith("Nothing published with this metric is listed for LSTM.")
    assert ours.header[2] == "tokenised BLEU"
    assert [r[:4] for r in ours.rows[:2]] == [
        ["LSTM", "this report, one seed", "20.00", "–"],
        ["Transformer", "this report, 3 seeds", "39.00", "36.52 to 41.48"],
    ]
    assert [r[2] for r in ours.rows[2:]] == ["41.02", "41.45", "41.96"]
    assert all("Wu et al. 2021" in r[1] for r in ours.rows[2:])


def test_sacrebleu_is_next_to_sacrebleu(tmp_path: Path) -> None:
    (section,) = build(store_with(tmp_path, "wmt14-en-de", {"transformer": [25.0]}, "bleu", "newstest2014"))
    assert [r[2] for r in tables(section)[0].rows] == ["25.00", "24.38"]


@pytest.mark.parametrize(
    ("task", "metric", "test_set"),
    [
        ("multi30k-de-en", "bleu", "test2016"),
        ("multi30k-en-de", "bleu_tokenised", "test2017"),
        ("a-task", "bleu", "test"),
    ],
)
def test_no_section_where_nothing_is_comparable(tmp_path: Path, task: str, metric: str, test_set: str) -> None:
    assert build(store_with(tmp_path, task, {"lstm": [20.0]}, metric, test_set)) == []
