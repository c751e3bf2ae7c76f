"""Settings as recorded: everything that a fair comparison depends on, and no failure without it."""

from pathlib import Path
from typing import Any

import pytest

from analysis.long_range.axes import systems_of
from analysis.long_range.networks import described, direction, forget_bias, positions, table
from analysis.page.blocks import Table
from analysis.store import Store, read_store
from tests.support.fakes.long_range import NETWORKS, VARIANTS, axis_rows, settings_of, write_long_range

ROWS = axis_rows({4: 1.0, 8: 0.9}, "length")


def stored(path: Path) -> Store:
    return read_store(path, "quick")


def table_of(path: Path) -> Table | None:
    store = stored(path)
    return table(store, "copy", systems_of(store, "copy"))


@pytest.mark.parametrize(
    ("model", "network", "settings"),
    [
        ("rnn", "cell rnn, embedding 64, layers 1, hidden 208", ("one direction", "–", "–")),
        (
            "bahdanau",
            "cell lstm, embedding 64, layers 1, hidden 82, routing input_feeding",
            ("one direction", "–", "1"),
        ),
        (
            "transformer",
            "width 64, heads 4, feed forward 128, encoder layers 2, decoder layers 2, norm pre",
            ("both directions", "rotary", "–"),
        ),
    ],
)
def test_networks_are_described_by_their_settings(model: str, network: str, settings: tuple[str, ...]) -> None:
    found = NETWORKS[model]
    assert described(found) == network
    assert (direction(found), positions(found), forget_bias(found)) == settings


@pytest.mark.parametrize(
    ("model", "change", "said"),
    [
        ("lstm", {"dropout": 0.2}, "dropout 0.2"),
        ("lstm", {"tied": False}, "tied no"),
        ("lstm", {"feed_context": True}, "feed context yes"),
        ("lstm", {"reversed_source": True}, "reversed source yes"),
        ("transformer", {"residual": False}, "residual no"),
        ("transformer", VARIANTS["unscaled-d64"], "heads 1, feed forward 128"),
        ("transformer", VARIANTS["unscaled-d64"], "scale scores no"),
        ("transformer", {"state_size": 16.0, "gates": [1, 2]}, "state size 16, gates 1, 2"),
    ],
)
def test_what_is_out_of_the_ordinary_is_said(model: str, change: dict[str, Any], said: str) -> None:
    assert said in described(NETWORKS[model] | change)
    assert said not in described(NETWORKS[model])


def test_the_table_has_a_row_for_each_system_and_a_column_for_what_else_differs(tmp_path: Path) -> None:
    write_long_range(tmp_path, "copy", "gru", ROWS)
    for seed, rate in ((0, 0.001), (1, 0.002)):
        settings = settings_of("lstm", learning_rate=rate)
        write_long_range(tmp_path, "copy", "lstm", ROWS, seed=seed, settings=settings)
    before = table_of(tmp_path)
    write_long_range(tmp_path, "copy", "transformer", ROWS, settings=settings_of("transformer", warmup_steps=200))
    found = table_of(tmp_path)
    assert before is not None
    assert found is not None
    assert before.header[5:] == ["initialisation scale", "learning rate"]
    assert found.header[5:] == [*before.header[5:], "warmup steps"]
    assert [[line[0], *line[5:]] for line in found.rows] == [
        ["GRU", "–", "–", "–"],  # it recorded no settings
        ["LSTM", "1.5", "0.001 or 0.002", "50"],
        ["Transformer", "1.5", "0.004", "200"],
    ]
    assert found.rows[1][1] == "cell lstm, embedding 64, layers 1, hidden 104"
    assert ["except for the last columns" in table.caption for table in (before, found)] == [False, True]


@pytest.mark.parametrize("settings", [None, {}, {"init_args": {}}])
def test_without_settings_there_is_no_table(tmp_path: Path, settings: dict[str, Any] | None) -> None:
    write_long_range(tmp_path, "copy", "lstm", ROWS, settings=settings)
    assert table_of(tmp_path) is None
    assert stored(tmp_path).problems == []
