"""Runs are deleted, broken and copied on purpose: the report says so, and no number changes in silence."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.report import main
from experiments.record.keys import digest
from tests.support.fakes.runs import folder_of, write_json, write_run
from tests.support.fuzz.analysis import empty_pictures


def report(root: Path) -> tuple[str, dict[tuple[str, ...], float]]:
    """The report in words, and every number it rests on by its key."""
    with empty_pictures():
        main(["--suite", "quick", "--runs", str(root / "runs"), "--results", str(root / "results")])
    folder = root / "results" / "quick"
    with open(folder / "measurements.csv", newline="", encoding="utf-8") as file:
        rows = {tuple(v for k, v in row.items() if k != "value"): float(row["value"]) for row in csv.DictReader(file)}
    texts = ((folder / name).read_text(encoding="utf-8") for name in ("report.md", "appendix.md"))
    return "".join(texts), rows


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, dict[tuple[str, ...], float]]:
    """A suite in which nothing is amiss, and its report."""
    root = tmp_path_factory.mktemp("whole")
    for model in ("lstm", "transformer"):
        for seed in (0, 1):
            write_run(root / "runs", model, seed=seed, sentences=10, test_sets=("test",))
    for path in (root / "runs").rglob("result.json"):
        record = json.loads(path.read_text())
        write_json(path, record | {"digest": digest(record["measurements"])})
    return root, *report(root)


@pytest.fixture
def suite(whole: tuple[Path, str, dict[tuple[str, ...], float]], tmp_path: Path) -> Path:
    """A copy of it to do harm to."""
    shutil.copytree(whole[0] / "runs", tmp_path / "runs")
    return tmp_path


def delete_a_folder(root: Path) -> None:
    shutil.rmtree(folder_of(root / "runs", "lstm", seed=1))


def delete_a_result(root: Path) -> None:
    (folder_of(root / "runs", "lstm", seed=1) / "result.json").unlink()


def cut_a_result_in_half(root: Path) -> None:
    path = folder_of(root / "runs", "lstm", seed=1) / "result.json"
    path.write_text(path.read_text()[: path.stat().st_size // 2])


def change_a_number(root: Path) -> None:
    path = folder_of(root / "runs", "lstm", seed=1) / "result.json"
    record = json.loads(path.read_text())
    record["measurements"][-1]["value"] += 0.5
    write_json(path, record)


def copy_a_folder(root: Path) -> None:
    shutil.copytree(folder_of(root / "runs", "lstm", seed=1), folder_of(root / "runs", "lstm", seed=2))


def copy_a_folder_and_its_key(root: Path) -> None:
    copy_a_folder(root)
    path = folder_of(root / "runs", "lstm", seed=2) / "result.json"
    write_json(path, json.loads(path.read_text()) | {"seed": 2})


HARM = [
    (delete_a_folder, "lstm/base/seed1: missing, no run folder", "lstm/base/seed1"),
    (delete_a_result, "lstm/base/seed1: interrupted", "lstm/base/seed1"),
    (cut_a_result_in_half, "cannot be read", "lstm/base/seed1"),
    (change_a_number, "not those that the run wrote", "lstm/base/seed1"),
    (copy_a_folder, "is of the seed 1, but its folder is seed2", "lstm/base/seed2"),
    (copy_a_folder_and_its_key, "number for number", "lstm/base/seed2"),
]


@pytest.mark.parametrize(("harm", "said", "run"), HARM, ids=[harm.__name__ for harm, _, _ in HARM])
def test_harm_is_named_and_every_other_number_stays(
    whole: tuple[Path, str, dict[tuple[str, ...], float]],
    suite: Path,
    harm: Callable[[Path], None],
    said: str,
    run: str,
) -> None:
    _, text, numbers = whole
    assert "in no number here" not in text
    harm(suite)
    text, left = report(suite)
    assert said in text.replace("\\", "")
    assert run in text
    assert "these are in no number here" in text
    lost = {key for key in numbers if key not in left}
    assert all(left[key] == numbers[key] for key in left)
    assert set(left) <= set(numbers)
    assert {(key[3], key[5]) for key in lost} == ({("lstm", "1")} if run.endswith("seed1") else set())


def test_hypotheses_changed_after_scoring_contradict_their_score(suite: Path) -> None:
    path = folder_of(suite / "runs", "lstm") / "hypotheses" / "test.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line | {"hypothesis": line["reference"]}) + "\n" for line in lines))
    assert "but its stored hypotheses score 100.00" in report(suite)[0].replace("\\", "")


def test_equal_numbers_of_two_runs_are_no_copy(suite: Path) -> None:
    """Two seeds may both be right everywhere; only what also began and ended together is a copy."""
    first, second = (folder_of(suite / "runs", "lstm", seed=seed) / "result.json" for seed in (0, 1))
    record = json.loads(first.read_text()) | {"seed": 1, "started": "2026-01-02T04:04:05+00:00"}
    write_json(second, record)
    assert "number for number" not in report(suite)[0]
