from pathlib import Path

import pytest

from analysis import scoreboard
from analysis.language.section import build
from analysis.page.blocks import Explorer, Figures, Section, Table
from analysis.page.look import Look
from analysis.speed.runs import measured
from analysis.store import System, read_store
from tests.support.fakes.language import write_attention, write_characters, write_model, write_stories


def sections(root: Path) -> list[Section]:
    store = read_store(root, "quick")
    return build(store, Look(run.system for run in store.runs))


def names(section: Section) -> set[str]:
    return {figure.name for block in section.blocks if isinstance(block, Figures) for figure in block.figures}


def tables(section: Section) -> list[Table]:
    return [block for block in section.blocks if isinstance(block, Table)]


def test_stories_have_curves_by_position_and_by_distance(tmp_path: Path) -> None:
    write_stories(tmp_path, {"lstm": 0.3, "transformer": 0.9})
    write_stories(tmp_path, {"lstm": 0.5, "transformer": 0.9}, seed=1)
    (section,) = sections(tmp_path)
    curves = {"loss-stories-position", "token_accuracy-stories-distance", "loss-stories-distance"}
    assert names(section) == curves | {"curve-stories-loss"}
    losses, *_, answers, _ = tables(section)
    assert losses.rows[0][:5] == ["LSTM", "1.600 (1.500 to 1.700)", "2.308", "4.00", "1.600"]
    assert losses.header[-3:] == ["validation loss", "parameters", "training time"]
    assert answers.rows[0] == ["LSTM", "0.900 (0.879 to 0.918)", "0.400 (0.300 to 0.500)"]


@pytest.mark.parametrize("head", [0, 1])
def test_the_head_that_finds_what_was_said_is_shown_first(head: int, tmp_path: Path) -> None:
    write_stories(tmp_path, {"lstm": 0.3, "transformer": 0.9})
    write_attention(tmp_path, "transformer", found_by=head)
    (section,) = sections(tmp_path)
    assert "attention-stories-test-0-transformer-base" in names(section)
    (explorer,) = (block for block in section.blocks if isinstance(block, Explorer))
    (sentence,) = explorer.sentences
    assert sentence["name"] == "0 of test, 7 words"
    (model,) = sentence["models"]
    assert (model["label"], model["shown"]) == ("Transformer", [0, head])
    assert model["written"] == ["<s>", *model["target"][:-1]]


def test_a_text_of_characters_has_curves_by_context(tmp_path: Path) -> None:
    write_characters(tmp_path, {"lstm": 0.02, "transformer": 0.08}, {"lstm": 1.7, "transformer": 1.6})
    (section,) = sections(tmp_path)
    changed = {f"context_gain-shakespeare-context-{how}" for how in ("cut", "shuffled-beyond", "reversed-beyond")}
    assert names(section) == changed | {"loss-shakespeare-position", "curve-shakespeare-loss"}
    cut = next(table for table in tables(section) if "cut to" in table.caption)
    assert cut.rows[0] == ["LSTM", "0.320 (0.310 to 0.330)", "0.020 (0.010 to 0.030)"]


def test_no_attention_is_asked_for_where_none_is_recorded(tmp_path: Path) -> None:
    write_characters(tmp_path, {"lstm": 0.02, "transformer": 0.08}, {"lstm": 1.7, "transformer": 1.6})
    store = read_store(tmp_path, "quick")
    build(store, Look(run.system for run in store.runs))
    assert store.problems == []


def test_the_scoreboard_has_a_row_for_loss_and_one_for_context(tmp_path: Path) -> None:
    write_characters(tmp_path, {"lstm": 0.02, "transformer": 0.08}, {"lstm": 1.7, "transformer": 1.6})
    write_model(tmp_path, "shakespeare", "transformer", 1.5, [], variant="width64")  # smaller, and no model of its own
    store = read_store(tmp_path, "quick")
    loss, gain = scoreboard.language(store)
    assert set(loss.scores) == {System("lstm", "base"), System("transformer", "base")}
    assert loss.best == gain.best == System("transformer", "base")
    assert loss.section == gain.section == "text-shakespeare"
    assert scoreboard.build(store, [], [measured(store)]) is not None
