"""Tuning: every trial shown, unequal treatment reported, and values set by hand never passed off as chosen."""

import json
from pathlib import Path
from typing import Any

import pytest

from analysis.page.blocks import Listing, Notice, Paragraph, Section, Table
from analysis.page.tuning import build
from analysis.store import read_store
from tests.support.fakes.long_range import (
    axis_rows,
    folder_of,
    settings_of,
    trial,
    trials_of,
    write_long_range,
    write_pairs,
)

ROWS = axis_rows({4: 1.0, 8: 0.9}, "length")


def write(
    path: Path,
    model: str,
    trials: dict[str, Any] | None,
    task: str = "copy",
    variant: str = "base",
    seed: int = 0,
    **optimisation: float,
) -> None:
    settings = settings_of(model, variant, **optimisation)
    write_long_range(path, task, model, ROWS, settings=settings, trials=trials, variant=variant, seed=seed)


def section(path: Path) -> Section:
    (found,) = build(read_store(path, "quick"))
    return found


def notices(path: Path) -> list[str]:
    return [block.text for block in section(path).blocks if isinstance(block, Notice)]


def rows(path: Path) -> list[list[str]]:
    tables = [block for block in section(path).blocks if isinstance(block, Table)]
    return [[cell.replace("\N{NO-BREAK SPACE}", " ") for cell in line] for table in tables for line in table.rows]


def test_every_trial_is_in_the_table_and_one_paragraph_says_how_it_was_done(tmp_path: Path) -> None:
    write(tmp_path, "lstm", trials_of(5))
    write(tmp_path, "lstm", trials_of(4), variant="hidden64")
    first, second = rows(tmp_path)
    assert first[:3] == ["copy", "LSTM", "5 (2 finished, 1 pruned, 1 diverged, 1 failed)"]
    assert first[3:6] == ["learning rate 0.004, initialisation scale 1.5", "2.051", "450 (30 %)"]
    assert first[6].split("; ") == [
        "0.004 × 1.5: 2.051 (chosen)",
        "0.00284 × 0.891: 2.104",
        "0.0128 × 0.604: pruned at step 225",
        "0.0199 × 1.9: diverged at step 225",
        "0.000568 × 1.36: failed at step 225",
    ]
    assert second[1] == "LSTM, hidden64"
    paragraph = section(tmp_path).blocks[0]
    assert isinstance(paragraph, Paragraph)
    assert paragraph.text.endswith(
        "Space: learning rate 0.0005 to 0.02 (log-uniform) and initialisation scale 0.5 to 2 (log-uniform). Sampler: 4 "
        "points of a sequence, then TPE. Pruner: median of complete trials. Seed of the trials: 100. Chosen: lowest "
        "last val/loss of a finished trial."
    )
    assert notices(tmp_path) == ["Unequal numbers of trials: copy (LSTM 5, LSTM, hidden64 4)."]


def test_the_chosen_trial_is_found_by_its_number(tmp_path: Path) -> None:
    trials = trials_of(4)
    trials["trials"] = [trial(7, 0.02, 2.0, 3.0), trial(8, 0.004, 1.5, 0.00012345)]
    trials["chosen"] = 8
    write(tmp_path, "lstm", trials)
    assert rows(tmp_path)[0][3:5] == ["learning rate 0.004, initialisation scale 1.5", "0.0001234"]


def test_a_model_tuned_in_another_way_is_named(tmp_path: Path) -> None:
    write(tmp_path, "lstm", trials_of())
    write(tmp_path, "transformer", trials_of() | {"sampler": "a grid"})
    paragraph, listed = section(tmp_path).blocks[:2]
    assert isinstance(paragraph, Paragraph)
    assert paragraph.text.endswith("Not all were tuned in the same way.")
    assert isinstance(listed, Listing)
    assert [text.partition(": ")[0] for text in listed.items] == ["LSTM on copy", "Transformer on copy"]
    assert "Sampler: a grid." in listed.items[1]


def test_unequal_treatment_is_reported_task_by_task(tmp_path: Path) -> None:
    write(tmp_path, "lstm", None)
    assert section(tmp_path).blocks == [Notice("Not tuned: learning rates and the like were set by hand.")]
    write(tmp_path, "lstm", trials_of(4))
    write(tmp_path, "lstm", trials_of(3), task="recall")
    assert notices(tmp_path) == []
    write(tmp_path, "transformer", trials_of(3))
    write(tmp_path, "gru", None)
    assert notices(tmp_path) == [
        "Unequal numbers of trials: copy (LSTM 4, Transformer 3).",
        "Values set by hand, not tuned: GRU on copy.",
    ]
    (folder_of(tmp_path, "copy", "gru") / "result.json").unlink()  # an unfinished run does not count
    assert len(notices(tmp_path)) == 1


def test_what_was_scored_without_training_needs_no_trials(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    assert build(read_store(tmp_path, "quick")) == []


def test_runs_must_have_the_values_that_were_chosen_and_seeds_the_same_trials(tmp_path: Path) -> None:
    for seed in (0, 1):
        write(tmp_path, "lstm", trials_of(), seed=seed)
    assert notices(tmp_path) == []
    write(tmp_path, "lstm", trials_of(3), seed=1)
    write(tmp_path, "transformer", trials_of(), learning_rate=0.02)
    assert notices(tmp_path) == [
        "The seeds have different trials; the table shows the first: LSTM on copy.",
        "Not trained with the values that were chosen: Transformer on copy (learning rate 0.02 instead of 0.004).",
    ]


@pytest.mark.parametrize("content", [b"\xff\xfe{}", json.dumps(trials_of() | {"chosen": 2}).encode()])
def test_trials_that_cannot_be_read_are_a_problem_and_not_set_by_hand(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, "lstm", trials_of())
    write(tmp_path, "transformer", trials_of())
    path = folder_of(tmp_path, "copy", "transformer") / "trials.json"
    path.write_bytes(content)
    assert rows(tmp_path)[1][2] == "cannot be read"
    assert notices(tmp_path) == []
    store = read_store(tmp_path, "quick")
    build(store)
    assert str(path.relative_to(tmp_path / "quick")) in store.problems[0]
