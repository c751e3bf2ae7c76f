"""Published figures in the report: beside ours only where task and metric are the same."""

from pathlib import Path

import pytest

from analysis.page.blocks import Heading, Paragraph, Section, Table
from analysis.published_section import build
from analysis.store import Store, read_store
from tests.support.fakes.long_range import FLAT, axis_rows, write_long_range
from tests.support.fakes.runs import result, row, write_json, write_suite


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


def test_ours_stand_first_with_an_interval_then_published_ones(tmp_path: Path) -> None:
    store = store_with(
        tmp_path, "multi30k-en-de", {"transformer": [38.0, 39.0, 40.0], "lstm": [20.0]}, "bleu_tokenised"
    )
    (section,) = build(store)
    beside = tables(section)[0]
    assert beside.caption.startswith("multi30k-en-de, test2016: tokenised BLEU (lower-cased")
    assert beside.caption.endswith("No published figure at hand is of the kind of LSTM.")
    assert beside.header[2] == "tokenised BLEU"
    assert [r[:4] for r in beside.rows[:2]] == [
        ["LSTM", "this report, one seed", "20.00", "–"],
        ["Transformer", "this report, 3 seeds", "39.00", "36.52 to 41.48"],
    ]
    assert [r[2] for r in beside.rows[2:]] == ["41.02", "41.45", "41.96"]
    assert all("Wu et al. 2021" in r[1] for r in beside.rows[2:])


def test_another_metric_is_said_to_be_not_comparable(tmp_path: Path) -> None:
    store_with(tmp_path, "multi30k-en-de", {"lstm": [20.0]}, "bleu_tokenised")
    folder = tmp_path / "full" / "bleu" / "multi30k-en-de" / "gru" / "base" / "seed0"
    measured = [row("bleu", 19.0, "BLEU", 1000, "test_set", x) for x in ("test2016", "mscoco")]
    write_json(folder / "result.json", result("full", "gru", "base", 0, measured) | {"task": "multi30k-en-de"})
    (section,) = build(read_store(tmp_path, "full"))
    assert [b.text for b in section.blocks if isinstance(b, Heading)] == ["What is not comparable"]
    assert [b.text for b in section.blocks if isinstance(b, Paragraph)][-1] == (
        "Nothing published with the same metric is at hand for sacreBLEU on multi30k-en-de (test2016 and mscoco)."
    )
    apart = {r[0]: r for r in tables(section)[-1].rows}
    assert apart["Multimodal Transformer"][3:5] == ["38.7", "BLEU, tokenised, test set test2016"]
    assert apart["Multimodal Transformer"][5] == "another metric; it also sees the images"
    assert apart["LSTM, 2 layers, no attention"][1] == "multi30k-de-en"
    assert apart["LSTM, 2 layers, no attention"][5] == "another direction of translation"


def test_the_other_direction_alone_is_no_match(tmp_path: Path) -> None:
    assert build(store_with(tmp_path, "multi30k-de-en", {"lstm": [20.0]}, "bleu")) == []


def test_another_test_set_is_no_match(tmp_path: Path) -> None:
    assert build(store_with(tmp_path, "multi30k-en-de", {"lstm": [20.0]}, "bleu_tokenised", "test2017")) == []


def test_a_figure_on_another_test_set_stands_apart(tmp_path: Path) -> None:
    store_with(tmp_path, "wmt14-en-de", {"lstm": [20.0]}, "bleu", "newstest2013")
    (section,) = build(store_with(tmp_path, "multi30k-en-de", {"lstm": [20.0]}, "bleu_tokenised"))
    reasons = [r[5] for r in tables(section)[-1].rows if r[2].startswith("JoeyNMT")]
    assert reasons == [
        "another test set; validation set 24.36",
        "another direction of translation; validation set 30.60",
    ]


def test_sacrebleu_stands_beside_sacrebleu(tmp_path: Path) -> None:
    (section,) = build(store_with(tmp_path, "wmt14-en-de", {"transformer": [25.0]}, "bleu", "newstest2014"))
    assert [r[2] for r in tables(section)[0].rows] == ["25.00", "24.38"]
    vaswani = [r for r in tables(section)[-1].rows if r[2].startswith("Vaswani")]
    assert [r[0] for r in vaswani][-2:] == ["Transformer base", "Transformer big"]
    assert all(r[5].startswith("another metric") for r in vaswani)


def test_long_range_figures_stand_apart(tmp_path: Path) -> None:
    store_with(tmp_path, "multi30k-en-de", {"lstm": [20.0]}, "bleu_tokenised")
    write_long_range(tmp_path, "parity", "lstm", axis_rows(FLAT, "length"), suite="full")
    (section,) = build(read_store(tmp_path, "full"))
    rows = [r for r in tables(section)[-1].rows if r[2].startswith("Delétang")]
    assert {r[0] for r in rows} == {"LSTM", "Transformer", "plain RNN"}
    assert {r[5] for r in rows} == {"another metric"}


@pytest.mark.parametrize("suite", ["translation", "long range"])
def test_no_section_where_nothing_is_comparable(tmp_path: Path, suite: str) -> None:
    if suite == "translation":
        write_suite(tmp_path, sentences=20)
    else:
        write_long_range(tmp_path, "parity", "lstm", axis_rows(FLAT, "length"))
    assert build(read_store(tmp_path, "quick")) == []
