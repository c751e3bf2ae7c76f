"""Where the numbers come from: what differs between runs is flagged, machines and commits are named once."""

import json
from pathlib import Path

from analysis.provenance import as_json, build, settings_in_short
from analysis.store import read_store
from tests.support.fakes.long_range import axis_rows, write_long_range
from tests.support.fakes.runs import PROVENANCE, folder_of, write_json, write_run, write_suite


def shown(path: Path) -> str:
    """All words of the provenance sections, as they go into both templates."""
    return str([section.blocks for section in build(read_store(path, "quick"))])


def test_what_differs_between_runs_is_flagged(tmp_path: Path) -> None:
    write_suite(tmp_path, seeds=(0, 1), sentences=10, test_sets=("test",))
    text = shown(tmp_path)
    assert "follows the seed, the same for every model: 0 (seed 0), 1 (seed 1)" in text
    assert "differ" not in text
    folder = folder_of(tmp_path, "lstm", seed=1)
    record = json.loads((folder / "result.json").read_text())
    record["held_equal"] |= {"steps": 1999}
    record["held_equal"].pop("beam size")
    record["git"] = {"commit": None, "dirty": True}
    record["machine"]["cpu"] = "another CPU"
    write_json(folder / "result.json", record)
    text = shown(tmp_path)
    assert "Of 4 settings 1 is not the same for all models and 1 is not recorded by every model" in text
    assert "1999 (LSTM seed 1)" in text
    assert "not recorded (LSTM seed 1)" in text
    assert "Machine of LSTM seed 1." in text
    assert "uncommitted changes, so no commit holds their code: LSTM seed 1." in text
    assert "another CPU" in text


def test_what_is_equal_in_every_experiment_is_said_once(tmp_path: Path) -> None:
    """Steps differ between models of one task, and that is held against the experiment."""
    write_suite(tmp_path, sentences=5, test_sets=("test",))
    runs = read_store(tmp_path, "quick").runs
    equal = "data order seed, steps, tokens per batch and beam size"
    assert settings_in_short(runs) == [["held equal, translation", equal]]
    for model, steps in (("lstm", 500), ("gru", 400)):
        folder = write_long_range(tmp_path, "copy", model, axis_rows({4: 1.0}, "length"))
        record = json.loads((folder / "result.json").read_text())
        record["held_equal"] = {"data order seed": 0, "steps": steps, "examples per batch": 64}
        write_json(folder / "result.json", record)
    assert settings_in_short(read_store(tmp_path, "quick").runs) == [
        ["held equal", "data order seed"],
        ["held equal too, translation", "steps, tokens per batch and beam size"],
        ["held equal too, long range", "examples per batch"],
        ["not equal, long range", "steps"],
    ]


def test_each_machine_and_commit_is_named_once(tmp_path: Path) -> None:
    for model in ("lstm", "transformer"):
        write_run(tmp_path, model, sentences=5, test_sets=("test",))
    folder = write_run(tmp_path, "bahdanau", sentences=5, test_sets=("test",))
    record = json.loads((folder / "result.json").read_text())
    record["machine"]["cpu"] = "another"
    write_json(folder / "result.json", record)
    facts = json.loads(as_json(read_store(tmp_path, "quick")))
    assert [machine["cpu"] for machine in facts["machines"]] == ["another", "made-up CPU"]
    assert facts["commits"] == ["1f2e3d4c5b6a79880123456789abcdef01234567"]
    assert facts["uncommitted_changes"] is False


def test_many_runs_are_counted_and_not_named_one_by_one(tmp_path: Path) -> None:
    """A list of 243 names is read by nobody, and every run has its row in the table."""
    for seed in range(20):
        changes = {"machine": PROVENANCE["machine"] | {"cpu": "another"}} if seed < 12 else {}
        write_run(tmp_path, "lstm", seed=seed, sentences=5, test_sets=("test",), changes=changes)
    named = "; ".join(f"LSTM seed {seed}" for seed in range(12, 20))
    assert "Machine of 12 runs of translation." in shown(tmp_path)
    assert f"Machine of {named}." in shown(tmp_path)
