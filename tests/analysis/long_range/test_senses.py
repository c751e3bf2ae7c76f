from pathlib import Path

import pytest

from analysis.attention.maps import by_key
from analysis.long_range.senses import attention, looked, to_the_place
from analysis.page.blocks import Explorer, Figures, Paragraph
from analysis.store import read_store
from tests.support.fakes.long_range import axis_rows, folder_of, write_long_range
from tests.support.fakes.runs import write_json

PAIR = ("the bank _ by the river .", "the bank _ by the office .")
BANK, PLACE, WORDS = 1, 5, 7


def write_maps(root: Path, variant: str, share: float, head: int = 1) -> None:
    """Of two heads one gives the place this share of what the noun looks at, and the noun itself the rest."""
    folder = write_long_range(root, "senses", "transformer", axis_rows({8: 1.0}, "clue"), variant=variant)
    assert folder == folder_of(root, "senses", "transformer", variant)
    own = [[float(row == column) for column in range(WORDS)] for row in range(WORDS)]
    looking = [list(row) for row in own]
    looking[BANK][BANK], looking[BANK][PLACE] = 1 - share, share
    maps = {"encoder layer 1": [own, own], "encoder layer 2": [looking if h == head else own for h in range(2)]}
    records = [
        {"test_set": "examples", "id": i, "source_tokens": text.split(), "target_tokens": ["closed"], "maps": maps}
        for i, text in enumerate(PAIR)
    ]
    write_json(folder / "attention.json", records)


def test_the_head_that_looks_most_at_the_place_is_shown_and_said(tmp_path: Path) -> None:
    write_maps(tmp_path, "encoder-only", 0.75)
    write_maps(tmp_path, "decoder-only", 0.25, head=0)
    store = read_store(tmp_path, "quick")
    _, text, figures, explorer = attention(store, "senses")
    assert isinstance(text, Paragraph)
    assert "“bank”" in text.text
    each = ("75 % to “{}” (head 2 of encoder layer 2)", "25 % to “{}” (head 1 of encoder layer 2)")
    one, other = (f"{said.format('river')} and {said.format('office')} in the " for said in each)
    assert f"{one}Transformer, encoder-only" in text.text
    assert f"{other}Transformer, decoder-only" in text.text
    assert isinstance(figures, Figures)
    assert len(figures.figures) == 2
    assert "bank → river" in next(f.description for f in figures.figures if "encoder-only" in f.name)
    assert isinstance(explorer, Explorer)
    assert store.problems == []


def test_the_place_is_what_a_pair_differs_in(tmp_path: Path) -> None:
    write_maps(tmp_path, "encoder-only", 0.75)
    (run,) = (store := read_store(tmp_path, "quick")).finished("long-range")
    sentences = by_key(store.attention(run))
    assert to_the_place(sentences, ("examples", 0)) == ("encoder layer 2", 1)
    assert looked(sentences, ("examples", 1), "encoder layer 2", 1) == ("bank", "office", pytest.approx(0.75))


def test_without_maps_nothing_is_shown(tmp_path: Path) -> None:
    folder = write_long_range(tmp_path, "senses", "lstm", axis_rows({8: 1.0}, "clue"), variant="encoder-only")
    write_json(folder / "attention.json", [])
    assert attention(read_store(tmp_path, "quick"), "senses") == []
