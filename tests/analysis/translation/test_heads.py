"""Roles of attention heads: every rule at its line, what does not apply, and every seed counted."""

import math
from pathlib import Path

import pandas as pd
import pytest

from analysis.page.blocks import Block, Figures, Paragraph, Table
from analysis.page.look import COLOURS, FURTHER_COLOURS, Look
from analysis.store import Store, read_store
from analysis.translation.heads import COLUMNS, ROLES, build, counted_roles, roles_of
from tests.support.fakes.inspection import CHANCE, HEADS, write_inspection

NOTHING = dict.fromkeys(COLUMNS, math.nan)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_begins_at_its_line(role: str) -> None:
    lines = ROLES[role]
    assert roles_of(NOTHING | lines) == [role]
    for metric, line in lines.items():
        assert roles_of(NOTHING | lines | {metric: line - 1e-9}) == []


def test_a_head_may_play_two_roles_and_counts_for_both() -> None:
    both = NOTHING | {"head_next": 0.5, "head_edge": 0.5}
    assert roles_of(both) == ["next token", "edge"]
    counts = counted_roles(pd.DataFrame([both, NOTHING]))
    assert counts["next token"] == counts["edge"] == counts["without a role"] == 1


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    path = tmp_path_factory.mktemp("heads")
    for model in HEADS:
        write_inspection(path, model)
    return read_store(path, "quick")


def built(store: Store) -> list[Block]:
    return build(store, Look(run.system for run in store.runs), "multi30k")


@pytest.fixture(scope="module")
def blocks(store: Store) -> list[Block]:
    return built(store)


def tables_of(blocks: list[Block]) -> list[Table]:
    return [block for block in blocks if isinstance(block, Table)]


def test_the_table_of_roles_counts_by_kind_and_marks_what_cannot_be(blocks: list[Block]) -> None:
    table = tables_of(blocks)[0]
    assert list(table.header) == ["attention", "heads", *ROLES, "without a role"]
    assert [list(row) for row in table.rows] == [
        ["LSTM + attention, additive", "1", "–", "–", "–", "0", "1", "0", "0"],
        ["Transformer, encoder", "4", "1", "0", "1", "1", "–", "0", "1"],
        ["Transformer, decoder", "2", "1", "1", "–", "0", "–", "0", "0"],
        ["Transformer, cross", "4", "–", "–", "–", "0", "3", "1", "0"],
    ]
    text = " ".join(block.text for block in blocks if isinstance(block, Paragraph))
    assert f"(by chance {CHANCE})" in text
    assert "fixed before any head was measured" in text


def test_the_figure_has_a_colour_for_each_kind_and_the_models_own_for_one(blocks: list[Block]) -> None:
    (figure,) = next(block for block in blocks if isinstance(block, Figures)).figures
    for name in ("LSTM + attention: additive", "Transformer: encoder", "Transformer: decoder", "Transformer: cross"):
        assert name in figure.svg
    assert COLOURS["bahdanau"].lower() in figure.svg.lower()
    assert COLOURS["transformer"].lower() not in figure.svg.lower()
    assert "Transformer, cross: 4 heads, distance 1.5 to 4.0, entropy 0.30 to 0.95" in figure.description


def test_a_variant_with_the_same_kind_of_attention_has_a_colour_of_its_own(tmp_path: Path) -> None:
    for variant in ("base", "doubled"):
        write_inspection(tmp_path, "bahdanau", variant=variant)
    (figure,) = next(block for block in built(read_store(tmp_path, "quick")) if isinstance(block, Figures)).figures
    assert all(colour.lower() in figure.svg.lower() for colour in (COLOURS["bahdanau"], FURTHER_COLOURS[0]))


def test_every_seed_is_counted(tmp_path: Path) -> None:
    for seed in (0, 1, 2):
        write_inspection(tmp_path, "transformer", seed=seed, config_hash=f"hash{seed}")
    (table,) = tables_of(built(read_store(tmp_path, "quick")))
    assert [row[1] for row in table.rows] == ["12", "6", "12"]


def test_models_without_attention_have_no_heads(tmp_path: Path) -> None:
    write_inspection(tmp_path, "lstm")
    assert built(read_store(tmp_path, "quick")) == []
