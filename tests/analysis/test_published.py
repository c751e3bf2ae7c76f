"""The published figures: whole, sourced, and named like ours only where the metric is the same."""

import re
from pathlib import Path

import pytest

from analysis.compare.sides import read_side
from analysis.page.labels import NAMES
from analysis.published import FILE, Published, published

PATH = Path(__file__).parents[2] / "analysis" / FILE
OURS = {"bleu", "bleu_tokenised"}  # the only metrics of measurements.csv that anybody has published with our definition


def test_every_row_has_a_source_and_a_metric() -> None:
    assert len(published()) > 50
    for row in published():
        needed = (row.experiment, row.task, row.model, row.variant, row.metric, row.system, row.published_metric)
        assert all((*needed, row.source, row.where)), row
        assert re.fullmatch(r"https://\S+", row.link), row
        assert re.fullmatch(r"(19|20)\d\d|", row.year), row
        assert row.value > 0


def test_no_row_stands_twice() -> None:
    keys = [(*row[:7],) for row in published()]
    assert len(keys) == len(set(keys))
    assert read_side("B", PATH).absent == []  # and the file is a side of a comparison


def test_units_fit_their_values() -> None:
    for row in published():
        assert 0 <= row.value <= {"share": 1, "BLEU": 100}.get(row.unit, 1e9), row


def test_a_metric_is_named_like_ours_only_with_our_definition() -> None:
    for row in published():
        if row.metric == "bleu":
            assert "sacreBLEU" in row.published_metric
            assert "case:mixed" in row.published_metric
            assert "tok:13a" in row.published_metric
        elif row.metric == "bleu_tokenised":
            for word in ("BLEU-4", "without smoothing", "lower-cased", "punctuation-normalised", "Moses-tokenised"):
                assert word in row.published_metric
        else:
            assert "_" not in row.metric, f"{row.metric} could be taken for one of ours"
    assert {row.metric for row in published()} & OURS == OURS


def test_models_of_ours_have_our_names() -> None:
    assert {row.model for row in published()} - set(NAMES) == {"convolution", "mingru", "minlstm"}


@pytest.mark.parametrize(
    ("task", "system", "value"),
    [
        ("multi30k-en-de", "Transformer-tiny, 4+4 layers, width 128", 41.02),
        ("iwslt14-de-en", "Transformer, 32k BPE, 19M parameters", 33.73),
        ("wmt14-en-de", "Transformer base", 27.3),
        ("wmt14-en-fr", "RNNsearch-50", 26.75),
        ("parity", "Transformer", 0.52),
    ],
)
def test_known_figures(task: str, system: str, value: float) -> None:
    (row,) = (row for row in published() if (row.task, row.system) == (task, system))
    assert row.value == value


def test_citation() -> None:
    row = published()[0]
    assert row.cited == "Wu et al. 2021, authors' code LividWo/Revisit-MMT, README-baseline.md"
    assert Published(*row[:12], "", *row[13:]).cited.startswith("Wu et al., ")
