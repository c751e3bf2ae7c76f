"""Tuning: every trial shown, unequal treatment said, and values that were set by hand never passed off as chosen."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.long_range.tuning import build
from analysis.page.blocks import Heading, Listing, Notice, Paragraph, Section, Table
from analysis.store import Store, read_store
from tests.support.fakes.long_range import (
    PAIRS,
    axis_rows,
    folder_of,
    settings_of,
    trial,
    trials_of,
    write_long_range,
    write_pairs,
)

ROWS = axis_rows({4: 1.0, 8: 0.9}, "length")


def stored(path: Path) -> Store:
    return read_store(path, "quick")


def write(path: Path, model: str, trials: dict[str, Any] | None, task: str = "copy", **settings: Any) -> None:
    given = settings_of(model, settings.pop("variant", "base"), **settings.pop("optimisation", {}))
    write_long_range(path, task, model, ROWS, settings=given, trials=trials, **settings)


def section(path: Path) -> Section:
    (found,) = build(stored(path))
    return found


def notices(path: Path) -> list[str]:
    return [block.text for block in section(path).blocks if isinstance(block, Notice)]


def rows(path: Path) -> list[list[str]]:
    tables = [block for block in section(path).blocks if isinstance(block, Table)]
    return [[cell.replace("\N{NO-BREAK SPACE}", " ") for cell in line] for table in tables for line in table.rows]


def test_every_trial_stands_in_the_table_with_its_outcome(tmp_path: Path) -> None:
    write(tmp_path, "lstm", trials_of(5))
    (line,) = rows(tmp_path)
    assert line[:2] == ["LSTM", "5 (2 finished, 1 pruned, 1 diverged, 1 failed)"]
    assert line[2:6] == ["0.004", "1.5", "2.051", "450 (25 %)"]
    assert line[6].split("; ") == [
        "0.004 × 1.5: 2.051 (finished, chosen)",
        "0.00284 × 0.891: 2.104 (finished)",
        "0.0128 × 0.604: 2.478 (pruned at step 225)",
        "0.0199 × 1.9: no loss (diverged at step 225)",
        "0.000568 × 1.36: no loss (failed at step 225)",
    ]
    assert notices(tmp_path) == []


def test_the_chosen_trial_is_found_by_its_number(tmp_path: Path) -> None:
    trials = trials_of(4)
    trials["trials"] = [trial(7, 0.02, 2.0, 3.0), trial(8, 0.004, 1.5, 0.00012345)]
    trials["chosen"] = 8
    write(tmp_path, "lstm", trials)
    assert rows(tmp_path)[0][2:5] == ["0.004", "1.5", "0.0001234"]


def test_how_it_was_done_is_one_paragraph(tmp_path: Path) -> None:
    for model in ("lstm", "transformer"):
        write(tmp_path, model, trials_of())
    first = section(tmp_path).blocks[0]
    assert isinstance(first, Paragraph)
    for words in (
        "on validation data alone: no trial saw test data",
        "Variants of a model take the values of their model.",
        "learning rate 0.0005 to 0.02 (log-uniform) and initialisation scale 0.5 to 2 (log-uniform)",
        "Sampler: 4 points of a sequence, then TPE. Pruner: median of complete trials. Seed of the trials: 100.",
        "Chosen: lowest last val/loss of a finished trial.",
    ):
        assert words in first.text


def test_a_model_tuned_in_another_way_is_named(tmp_path: Path) -> None:
    write(tmp_path, "lstm", trials_of())
    write(tmp_path, "transformer", trials_of() | {"sampler": "a grid"})
    paragraph, listed = section(tmp_path).blocks[:2]
    assert isinstance(paragraph, Paragraph)
    assert paragraph.text.endswith("Not all were tuned in the same way.")
    assert isinstance(listed, Listing)
    assert [text.partition(": ")[0] for text in listed.items] == ["LSTM on copy", "Transformer on copy"]
    assert "Sampler: a grid." in listed.items[1]


def test_unequal_numbers_of_trials_are_said(tmp_path: Path) -> None:
    write(tmp_path, "lstm", trials_of(4))
    write(tmp_path, "transformer", trials_of(3))
    assert notices(tmp_path) == ["The models had unequal numbers of trials: LSTM 4 and Transformer 3."]


def test_tasks_are_compared_within_themselves_alone(tmp_path: Path) -> None:
    write(tmp_path, "lstm", trials_of(4))
    write(tmp_path, "lstm", trials_of(3), task="recall")
    assert notices(tmp_path) == []
    assert [block.text for block in section(tmp_path).blocks if isinstance(block, Heading)] == [
        "Copy",
        "Recall after a gap",
    ]


def test_values_set_by_hand_are_said_and_shown(tmp_path: Path) -> None:
    write(tmp_path, "lstm", trials_of())
    write(tmp_path, "transformer", None, optimisation={"learning_rate": 0.003})
    assert notices(tmp_path) == ["Values set by hand, not tuned: Transformer."]
    assert rows(tmp_path)[1] == ["Transformer", "none, set by hand", "0.003", "1.5", "–", "–", "–"]
    table = next(block for block in section(tmp_path).blocks if isinstance(block, Table))
    assert table.flagged == {1}


def test_untuned_tasks_share_one_notice_and_need_no_table(tmp_path: Path) -> None:
    write(tmp_path, "lstm", trials_of())
    for task in ("associative-recall-16-keys", "parity"):
        write(tmp_path, "lstm", None, task=task)
    assert notices(tmp_path) == [
        "Values set by hand, not tuned, for every model on these tasks: Associative recall, 16 keys; Parity."
    ]
    assert len(rows(tmp_path)) == 1


def test_a_suite_without_trials_says_so_in_one_sentence(tmp_path: Path) -> None:
    write(tmp_path, "lstm", None)
    (notice,) = section(tmp_path).blocks
    assert notice == Notice(
        "No finished run holds trials: learning rates and initialisation scales were set by hand, not tuned."
    )


def test_translation_is_tuned_elsewhere(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    assert build(stored(tmp_path)) == []
    assert (tmp_path / "quick" / "long-range" / PAIRS).is_dir()


def test_variants_have_no_row_but_must_have_the_values_of_their_model(tmp_path: Path) -> None:
    write(tmp_path, "lstm", trials_of())
    write(tmp_path, "lstm", trials_of(), variant="hidden64")
    assert notices(tmp_path) == []
    assert len(rows(tmp_path)) == 1
    folder = folder_of(tmp_path, "copy", "lstm", "hidden64")
    write_long_range(tmp_path, "copy", "lstm", ROWS, variant="hidden64", settings=settings_of("lstm"))
    record = json.loads((folder / "result.json").read_text())
    record["model_settings"]["init_args"]["optimisation"]["learning_rate"] = 0.02
    (folder / "result.json").write_text(json.dumps(record))
    assert notices(tmp_path) == [
        "Not trained with the values that were chosen: LSTM, hidden64 (learning rate 0.02 instead of 0.004)."
    ]


def test_seeds_share_their_trials_or_it_is_said(tmp_path: Path) -> None:
    write(tmp_path, "lstm", trials_of(), seed=0)
    write(tmp_path, "lstm", trials_of(), seed=1)
    assert notices(tmp_path) == []
    write(tmp_path, "lstm", trials_of(3), seed=1)
    assert notices(tmp_path) == ["The seeds hold different trials, of which the table shows the first: LSTM."]


def test_unfinished_runs_are_not_looked_at(tmp_path: Path) -> None:
    write(tmp_path, "lstm", trials_of())
    write(tmp_path, "transformer", None)
    (folder_of(tmp_path, "copy", "transformer") / "result.json").unlink()
    assert notices(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda r: r.pop("sampler"), "it has no sampler"),
        (lambda r: r.update(trials={}), "its trials is {}, not a list"),
        (lambda r: r.update(space={"learning_rate": [1, 2]}), "space of learning_rate: it is a list, not an object"),
        (lambda r: r.update(share_of_steps="25%"), "its share_of_steps is '25%', not a number"),
        (lambda r: r.update(chosen=2), "trial 2, the chosen one, is not among those that finished"),
        (lambda r: r["trials"][1].pop("outcome"), "trial 1: it has no outcome"),
        (lambda r: r["trials"][1].update(validation_loss=None), "trial 1: its validation_loss is None, not a number"),
        (lambda r: r["trials"][2].update(learning_rate="fast"), "trial 2: its learning_rate is 'fast', not a number"),
    ],
)
def test_trials_that_cannot_be_read_are_a_problem_and_not_set_by_hand(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any], complaint: str
) -> None:
    write(tmp_path, "lstm", trials_of())
    trials = trials_of()
    change(trials)
    write(tmp_path, "transformer", trials)
    store = stored(tmp_path)
    (found,) = build(store)
    (problem,) = store.problems
    assert str(folder_of(tmp_path, "copy", "transformer") / "trials.json") in problem
    assert complaint in problem
    (table,) = (block for block in found.blocks if isinstance(block, Table))
    assert table.rows[1][1] == "cannot be read"
    assert not any(isinstance(block, Notice) for block in found.blocks)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe{}", b"null"])
def test_corrupt_trials_never_crash(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, "lstm", trials_of())
    (folder_of(tmp_path, "copy", "lstm") / "trials.json").write_bytes(content)
    store = stored(tmp_path)
    (found,) = build(store)
    assert len(store.problems) == 1
    assert "by hand" not in str(found.blocks)
