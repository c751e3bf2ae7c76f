import shutil
from pathlib import Path

import pytest

from analysis.claims.verdict import CANNOT_TELL, CONTRADICTED, NOT_DECIDED, SUPPORTED, Verdict, judged
from analysis.language.evidence import tasks_of
from analysis.language.scaling import all_claims, blocks, grid, laws
from analysis.page.blocks import Figures, Heading, Table
from analysis.page.look import Look
from analysis.store import System, read_store
from tests.support.fakes.language import folder_of, write_grid, write_model, write_stories
from tests.support.fakes.runs import row

LAW = (0.08, 0.05)


def verdicts(root: Path) -> list[Verdict]:
    """Twice the parameters, twice the data, to whom parameters are worth more, less predictable LSTM."""
    return [verdict for _, verdict in judged(all_claims(read_store(root, "quick")))]


def outcomes(root: Path) -> list[str]:
    return [verdict.outcome for verdict in verdicts(root)]


def test_a_law_is_found_again(tmp_path: Path) -> None:
    write_grid(tmp_path, "transformer", LAW)
    found = grid(read_store(tmp_path, "quick"), "text")
    for law in laws(found[System("transformer", "base")]).values():
        assert law == pytest.approx((*LAW, 0.0), abs=2e-4)
    assert tasks_of(read_store(tmp_path, "quick")) == ["text"]


@pytest.mark.parametrize(
    ("lstm", "exponents", "transformer", "expected"),
    [
        (0.04, LAW, 0.0, [SUPPORTED, SUPPORTED, CONTRADICTED, SUPPORTED]),
        (0.0, (0.09, 0.05), 0.01, [SUPPORTED, SUPPORTED, SUPPORTED, CONTRADICTED]),
        (0.01, (-0.03, 0.05), 0.01, [CONTRADICTED, SUPPORTED, CONTRADICTED, CONTRADICTED]),  # larger, and worse
        (0.04, LAW, 0.2, [CONTRADICTED, CONTRADICTED, CONTRADICTED, CONTRADICTED]),  # better, but unpredictably
    ],
)
def test_laws_decide_either_way(
    lstm: float, exponents: tuple[float, float], transformer: float, expected: list[str], tmp_path: Path
) -> None:
    write_grid(tmp_path, "lstm", LAW, lstm)
    write_grid(tmp_path, "transformer", exponents, transformer)
    assert outcomes(tmp_path) == expected


def test_seeds_that_disagree_leave_it_open(tmp_path: Path) -> None:
    write_grid(tmp_path, "lstm", LAW, 0.004, more=0.004)
    write_grid(tmp_path, "transformer", LAW)
    assert outcomes(tmp_path)[3] == NOT_DECIDED


def test_losses_that_hardly_differ_cannot_tell(tmp_path: Path) -> None:
    for model in ("lstm", "transformer"):
        write_grid(tmp_path, model, (0.012, 0.003))
    assert outcomes(tmp_path) == [CANNOT_TELL] * 4
    assert "the largest loss over the smallest is 1.03, not at least 1.06" in verdicts(tmp_path)[0].reason


def test_without_a_seed_in_every_combination_there_is_no_law(tmp_path: Path) -> None:
    for model in ("lstm", "transformer"):
        write_grid(tmp_path, model, LAW, seeds=1)
    shutil.rmtree(folder_of(tmp_path, "text", "transformer"))
    write_model(tmp_path, "text", "transformer", 2.0, [row("training_tokens", 1e6, "tokens", 1)], seed=1)
    assert [verdict.tested for verdict in verdicts(tmp_path)] == [False] * 4
    store = read_store(tmp_path, "quick")
    *_, table = blocks(store, Look(run.system for run in store.runs), "text")
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["LSTM"]


def test_models_without_a_common_seed_are_not_compared(tmp_path: Path) -> None:
    write_grid(tmp_path, "lstm", LAW, seeds=1)
    write_grid(tmp_path, "transformer", LAW, seeds=2)
    for share in ("", "-half", "-quarter"):
        for folder in (tmp_path / "quick" / "language" / f"text{share}" / "transformer").glob("*/seed0"):
            shutil.rmtree(folder)
    assert [verdict.tested for verdict in verdicts(tmp_path)] == [True, True, False, False]


def test_two_seeds_cannot_tell(tmp_path: Path) -> None:
    for model in ("lstm", "transformer"):
        write_grid(tmp_path, model, LAW, seeds=2)
    assert outcomes(tmp_path) == [CANNOT_TELL] * 4
    assert "the number of seeds is 2, not at least 3" in verdicts(tmp_path)[0].reason


def test_few_sizes_or_shares_cannot_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.fakes.language.SIZES", {"base": 800_000, "width64": 200_000})
    for model in ("lstm", "transformer"):
        write_grid(tmp_path, model, LAW, 0.04 if model == "lstm" else 0.0)
    assert outcomes(tmp_path) == [CANNOT_TELL, SUPPORTED, CANNOT_TELL, CANNOT_TELL]


def test_without_sizes_the_claims_are_open_and_nothing_is_drawn(tmp_path: Path) -> None:
    write_stories(tmp_path, {"lstm": 0.3, "transformer": 0.9})
    assert [(v.outcome, v.tested) for v in verdicts(tmp_path)] == [(NOT_DECIDED, False)] * 4
    store = read_store(tmp_path, "quick")
    assert blocks(store, Look(run.system for run in store.runs), "stories") == []


def test_the_laws_are_drawn_and_tabled(tmp_path: Path) -> None:
    for model in ("lstm", "transformer"):
        write_grid(tmp_path, model, LAW)
    store = read_store(tmp_path, "quick")
    heading, figures, table = blocks(store, Look(run.system for run in store.runs), "text")
    assert isinstance(heading, Heading)
    assert isinstance(figures, Figures)
    assert [figure.name for figure in figures.figures] == ["scaling-text-parameters", "scaling-text-training_tokens"]
    assert isinstance(table, Table)
    assert table.rows[0] == ["LSTM", "0.080 (0.080 to 0.080)", "5.4 %", "0.050 (0.050 to 0.050)", "3.4 %", "0.01 %"]
