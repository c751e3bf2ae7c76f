"""What a text read before is worth on a task with few examples."""

from pathlib import Path

import pytest

from analysis.claims.verdict import CANNOT_TELL, CONTRADICTED, NOT_DECIDED, SUPPORTED, Verdict, judged
from analysis.long_range.axes import few, tasks_of
from analysis.long_range.transfer import FIGURE, all_claims, sections
from analysis.page.blocks import Figures, Table
from analysis.store import Store, read_store
from tests.support.fakes.long_range import axis_rows, write_long_range
from tests.support.fakes.runs import row

CHANCES = {"guessing": 0.125, "the nearest in a sentence like the clue's": 0.8}


def write_transfer(root: Path, examples: int, read: float, scratch: float, seed: int = 0) -> None:
    """A Transformer that has read, and one that has not, on as many examples; each is better near than far."""
    for variant, accuracy in (("decoder-only-pretrained", read), ("decoder-only", scratch)):
        curve = {-16: accuracy - 0.02, 16: accuracy + 0.02}
        rows = [*axis_rows(curve, "clue", chance=CHANCES), row("training_examples", examples, "examples", 1)]
        write_long_range(root, f"transfer-{examples}", "transformer", rows, variant=variant, seed=seed, control=0.5)


def store_of(root: Path) -> Store:
    return read_store(root, "quick")


def verdicts(root: Path) -> dict[str, Verdict]:
    return {claim.text.partition("Transformer, ")[2]: verdict for claim, verdict in judged(all_claims(store_of(root)))}


@pytest.mark.parametrize(
    ("read", "scratch", "expected"),
    [
        (0.7, 0.3, SUPPORTED),
        (0.3, 0.7, CONTRADICTED),
        (0.5, 0.45, NOT_DECIDED),
        (0.16, 0.14, CANNOT_TELL),  # nobody learned
        (0.97, 0.96, CANNOT_TELL),  # nothing left to gain
    ],
)
def test_reading_decides_either_way(read: float, scratch: float, expected: str, tmp_path: Path) -> None:
    write_transfer(tmp_path, 512, read, scratch)
    (verdict,) = verdicts(tmp_path).values()
    assert verdict.outcome == expected


def test_a_seed_without_the_gain_leaves_it_open(tmp_path: Path) -> None:
    for seed, read in enumerate((0.7, 0.7, 0.3)):
        write_transfer(tmp_path, 512, read, 0.3, seed)
    assert verdicts(tmp_path)["512 masked words)"].outcome == NOT_DECIDED


def test_each_number_of_examples_has_its_claim_from_the_fewest(tmp_path: Path) -> None:
    for examples in (8192, 512, 2048):
        write_transfer(tmp_path, examples, 0.7, 0.3)
    assert few(store_of(tmp_path)) == {"transfer-512": 512, "transfer-2048": 2048, "transfer-8192": 8192}
    assert list(verdicts(tmp_path)) == ["512 masked words)", "2,048 masked words)", "8,192 masked words)"]
    assert tasks_of(store_of(tmp_path)) == []


def test_the_section_shows_accuracy_by_examples(tmp_path: Path) -> None:
    write_transfer(tmp_path, 512, 0.7, 0.3)
    write_transfer(tmp_path, 2048, 0.8, 0.5)
    (section,) = sections(store_of(tmp_path))
    (figures,) = [block for block in section.blocks if isinstance(block, Figures)]
    assert [figure.name for figure in figures.figures] == [FIGURE]
    table = next(block for block in section.blocks if isinstance(block, Table))
    assert table.header == ["model", "512", "2,048"]
    assert [row[0] for row in table.rows][-2:] == [
        "chance: guessing",
        "chance: the nearest in a sentence like the clue's",
    ]
    assert [[cell[:5] for cell in row[1:]] for row in table.rows[:2]] == [["0.300", "0.500"], ["0.700", "0.800"]]
    assert len(section.sources) == 4


def test_without_such_runs_there_is_one_claim_not_run_and_no_section(tmp_path: Path) -> None:
    write_long_range(tmp_path, "copy", "lstm", axis_rows({4: 1.0}, "length"))
    assert sections(store_of(tmp_path)) == []
    (verdict,) = verdicts(tmp_path).values()
    assert not verdict.tested
