"""make reproduce-check: its runs, its refusals, and that it finds every value that moved."""

import json
import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from experiments import reproduce
from experiments.launch.local import Ended, Limits
from experiments.planning.grid import Planned, plan_tasks
from experiments.reproduce import (
    EARLY,
    OTHER_TEXTS,
    TIMED,
    TOLERANCES,
    Difference,
    changed_settings,
    compare,
    flat,
    main,
    planned,
    read_outcome,
    read_reference,
    settings,
)
from tests.support.fakes.repeated import write_run
from tests.support.readme import ROOT

COMMITTED = ROOT / reproduce.REFERENCE
LOSS, STEPS, BLEU = (
    ("number", "val_loss", "nats", "", None, 300),
    ("number", "steps", "steps", "", None, 1),
    ("number", "bleu", "BLEU", "test_set", "test", 20),
)
TEXT = ("hypothesis", "test", 7)


def outcome() -> dict[tuple[Any, ...], Any]:
    """Values of a run by their names."""
    texts = {("hypothesis", "test", number): [f"ein Hund {number}", 3, False, -1.25, -2.5] for number in range(20)}
    return {LOSS: 2.5, STEPS: 40.0, BLEU: 12.0, **texts, ("checksum", "weights"): "ab" * 32}


def differences(changes: dict[tuple[Any, ...], Any], exact: bool) -> list[Difference]:
    """The outcome against itself with other values; None for one that is missing."""
    changed = {key: value for key, value in {**outcome(), **changes}.items() if value is not None}
    return compare(outcome(), changed, exact)


@pytest.mark.parametrize("exact", [True, False])
def test_an_outcome_repeats_itself_also_where_it_is_no_number(exact: bool) -> None:
    broken = {**outcome(), LOSS: math.nan}
    assert compare(outcome(), outcome(), exact) == compare(broken, {**broken, LOSS: float("nan")}, exact) == []
    assert [d.allowed for d in (*compare(outcome(), broken, exact), *compare(broken, outcome(), exact))] == [False] * 2


@pytest.mark.parametrize(
    ("key", "value", "name"),
    [
        (LOSS, math.nextafter(2.5, 3), "val_loss"),
        (STEPS, math.nextafter(40.0, 0), "steps"),
        (BLEU, math.nextafter(12.0, 0), "bleu, test_set test"),
        (BLEU, None, "bleu, test_set test"),
        (("number", "bleu", "BLEU", "test_set", "new", 20), 12.0, "bleu, test_set new"),
        (TEXT, ["eine Hund 7", 3, False, -1.25, -2.5], "hypothesis test 7"),
        (TEXT, ["ein Hund 7", 3, False, -1.25000001, -2.5], "hypothesis test 7"),
        (TEXT, None, "hypothesis test 7"),
        (("checksum", "weights"), "cd" * 32, "checksum weights"),
        (("checksum", "attention maps"), "ef" * 32, "checksum attention maps"),
    ],
)
def test_on_the_same_type_of_machine_everything_is_equal(key: tuple[Any, ...], value: Any, name: str) -> None:
    (difference,) = differences({key: value}, exact=True)
    missing = "missing"
    assert difference == (name, outcome().get(key, missing), missing if value is None else value, False)


@pytest.mark.parametrize(
    ("key", "inside", "outside"),
    [
        (LOSS, 2.5 * 1.0049, 2.5 * 1.0051),
        (BLEU, 12.19, 12.21),
        (STEPS, None, 41.0),
        (("number", "probe", "norm", "", None, 9), 14.9, 15.1),  # half of it, and more than 0.1
        (("number", "train/loss", "nats", "step", EARLY, 900), 10.00009, 10.00011),
        (("number", "train/loss", "nats", "step", EARLY + 1, 900), 10.04, 10.06),
        (("number", "train/new", "", "step", 20, 900), None, 10.0000001),  # a curve without a unit
        (TEXT, ["ein Hund 7", 3, False, -1.25, -2.5 * 1.004], ["ein Hund 7", 3, False, -1.25, -2.5 * 1.006]),
        (TEXT, None, ["ein Hund 7", 3, True, -1.25, -2.5]),
        (TEXT, ["eine Katze", 5, True, -9.0, -9.0], None),
        (("checksum", "weights"), "cd" * 32, None),
    ],
)
def test_elsewhere_a_value_may_move_as_far_as_its_tolerance(key: tuple[Any, ...], inside: Any, outside: Any) -> None:
    before = {**outcome(), key: outcome().get(key, 10.0)}
    for value, allowed in ((inside, True), (outside, False)):
        if value is not None:
            (difference,) = compare(before, {**before, key: value}, exact=False)
            assert difference.allowed is allowed


def test_elsewhere_a_share_of_the_texts_may_be_others() -> None:
    some = round(OTHER_TEXTS * 20)
    for count, wrong in ((some, []), (some + 1, [("hypotheses of test", "at most 30% others", "35.0% others", False)])):
        others = {("hypothesis", "test", number): ["eine Katze", 3, False, -1.0, -9.0] for number in range(count)}
        found = differences(others, exact=False)
        assert [d for d in found if not d.allowed] == wrong
        assert len(found) == count + len(wrong)


def test_a_run_is_read_with_its_curve_and_hypotheses_and_without_its_times(tmp_path: Path) -> None:
    name = "smoke/bleu/embedded/lstm/base/seed0"
    folder = write_run(tmp_path / "slow" / name, seconds=30.0)
    found = read_outcome(folder, {"trainer.max_steps": 20})
    weights = found["checksums"].pop("weights")
    assert flat(found) == {
        ("number", "train/loss", "nats", "step", 20, 900): 3.25,
        ("number", "val_loss", "nats", "", None, 300): 2.5,
        ("hypothesis", "test", 0): ["x\x85y", 4, False, -1.0, -2.0],
    }
    assert json.loads(json.dumps(found)) == found
    found["checksums"]["weights"] = weights
    assert read_outcome(write_run(tmp_path / "quick" / name, seconds=3.0), found["config"]) == found
    other = write_run(tmp_path / "moved" / name, weights=math.nextafter(1.0, 0) - 1e-7)
    moved = read_outcome(other, found["config"])
    assert [difference.name for difference in compare(flat(found), flat(moved), exact=True)] == ["checksum weights"]
    (folder / "attention.json").write_text("[[0.5, 0.5]]")
    assert set(read_outcome(folder, {})["checksums"]) == {"weights", "attention maps"}
    assert not set(TIMED) & set(TOLERANCES)


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for a check of two runs that are made up instead of trained."""
    monkeypatch.chdir(tmp_path)
    for name in (*reproduce.ENVIRONMENT, *reproduce.ARITHMETIC):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.environ", dict(reproduce.os.environ))
    monkeypatch.setattr(reproduce, "planned", two_runs)
    monkeypatch.setattr(reproduce, "run_all", made_up)
    monkeypatch.setattr(reproduce, "settings", settings_once)
    return tmp_path


settings_once = cache(settings)  # parsing takes most of the time of these tests


def two_runs(root: Path) -> list[Planned]:
    return list(plan_tasks("long-range", "smoke", ["recall"], ["lstm", "transformer"], [0], str(root), []))


def made_up(runs: Sequence[Planned], limits: Limits) -> list[Ended]:
    for run in runs:
        write_run(run.key.folder)
    return [Ended(run, 0) for run in runs]


def exit_code(renew: bool = False) -> Any:
    with pytest.raises(SystemExit) as stopped:
        main(renew)
    return stopped.value.code


def edited(change: Callable[[dict[str, Any]], None]) -> None:
    """The reference with something else in it."""
    record = json.loads(reproduce.REFERENCE.read_text(encoding="utf-8"))
    change(record)
    reproduce.REFERENCE.write_text(json.dumps(record), encoding="utf-8")


def move_loss(record: dict[str, Any], by: float = 1e-9) -> None:
    run = record["runs"]["long-range/recall/lstm/base/seed0"]
    (row,) = (row for row in run["numbers"] if row[0] == "val_loss")
    row[-1] += by


def test_renewed_numbers_repeat(check: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(renew=True)
    assert "written: results/reproduce/reference.json" in capsys.readouterr().out
    assert exit_code() == 0
    said = capsys.readouterr().out
    assert "every number must be equal to the last digit" in said
    assert "everything repeats" in said
    assert "long-range/recall/lstm/base/seed0" in said
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "WANDB_MODE")
    assert [reproduce.os.environ[name] for name in names] == ["1", "1", "disabled"]


def test_a_number_that_moved_is_found_and_named(check: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(renew=True)
    edited(move_loss)
    assert exit_code() == 1
    said = capsys.readouterr().out
    assert "long-range/recall/lstm/base/seed0: val_loss\n  expected 2.500000001\n  found    2.5\n" in said
    assert "not repeated: 1." in said
    assert reproduce.RENEWAL in said


def test_another_type_of_machine_is_named_and_allowed_its_rounding(
    check: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(renew=True)
    edited(lambda record: record["machine"].update(instructions="AVX9"))
    edited(move_loss)
    assert exit_code() == 0
    assert "instructions AVX9 -> " in capsys.readouterr().out
    before = reproduce.machine_type()
    monkeypatch.setitem(reproduce.os.environ, "ONEDNN_MAX_CPU_ISA", "AVX2")
    assert {name for name, value in reproduce.machine_type().items() if before[name] != value} == {"set"}
    edited(lambda record: move_loss(record, 1.0))
    assert exit_code() == 1


def test_other_settings_are_named_before_anything_runs(check: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main(renew=True)
    kept = check / reproduce.ROOT / "kept"
    kept.touch()
    edited(lambda r: r["runs"]["long-range/recall/lstm/base/seed0"]["config"].update({"trainer.max_steps": 7}))
    edited(lambda r: r["runs"]["long-range/recall/lstm/base/seed0"]["config"].pop("trainer.patience"))
    edited(lambda r: r["runs"].update(gone=r["runs"].pop("long-range/recall/transformer/base/seed0")))
    said = exit_code()
    assert "long-range/recall/lstm/base/seed0: setting trainer.max_steps\n  expected 7\n  found    4\n" in said
    assert "lstm/base/seed0: setting trainer.patience\n  expected missing\n  found    None\n" in said
    assert "gone: setting run.suite\n  expected smoke\n  found    missing\n" in said
    assert "long-range/recall/transformer/base/seed0: setting run.suite\n  expected missing\n" in said
    assert reproduce.RENEWAL in said
    assert kept.exists()


def test_a_class_may_move_to_another_module_and_keeps_its_name() -> None:
    def changed(before: str, now: str) -> list[Difference]:
        return changed_settings({"a": {"config": {"data.class_path": before}}}, {"a": {"data.class_path": now}})["a"]

    assert changed("datamodules.recall.Recall", "datamodules.tasks.recall.Recall") == []
    assert changed("datamodules.recall.Recall", "datamodules.tasks.recall.Copy") == [
        ("setting data.class_path", "Recall", "Copy", False)
    ]


def test_without_a_reference_the_remedy_is_shown_and_nothing_runs(check: Path) -> None:
    said = exit_code()
    assert "results/reproduce/reference.json is not there" in said
    assert reproduce.RENEWAL in said
    assert not (check / "runs").exists()


def test_a_run_that_fails_or_is_interrupted_leaves_the_reference(check: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main(renew=True)
    before = reproduce.REFERENCE.read_bytes()
    monkeypatch.setattr(reproduce, "run_all", lambda runs, limits: [Ended(runs[0], 0), Ended(runs[1], 1)])
    for renew in (False, True):
        said = exit_code(renew)
        assert "1 of 2 runs failed" in said
        assert "recall transformer base seed 0: see runs/reproduce-check" in said

    def interrupted(runs: Sequence[Planned], limits: Limits) -> list[Ended]:
        raise SystemExit(143)

    monkeypatch.setattr(reproduce, "run_all", interrupted)
    assert exit_code() == 143
    assert reproduce.REFERENCE.read_bytes() == before


def test_two_checks_at_once_are_refused(check: Path) -> None:
    main(renew=True)
    kept = check / reproduce.ROOT / "kept"
    kept.touch()
    with FileLock(reproduce.ROOT.with_name(".reproduce-check.lock")):
        assert "another check is running in runs/reproduce-check" in exit_code()
    assert kept.exists()


def test_every_model_is_checked_on_a_cpu_in_single_precision_from_generated_data_and_a_fresh_tokeniser() -> None:
    runs = planned(Path("runs/reproduce-check"))
    assert {run.key.model for run in runs if run.key.experiment == "bleu"} == {"lstm", "bahdanau", "transformer"}
    assert {run.key.model for run in runs} == {"rnn", "gru", "lstm", "bahdanau", "transformer"}
    for run in runs:
        config = settings(run)
        assert (config["trainer.accelerator"], config["trainer.devices"]) == ("cpu", 1)
        assert config["trainer.precision"] == "32-true"
        if run.key.experiment == "bleu":
            assert config["data.init_args.corpus.name"] == "embedded"
            assert "--data.init_args.cache_dir=runs/reproduce-check/cache" in run.arguments


def test_the_committed_numbers_belong_to_the_suites_settings() -> None:
    """Without training: only the check itself shows that they repeat."""
    runs = planned(Path("runs"))
    reference = read_reference(COMMITTED)
    configs = {str(run.key.folder.relative_to("runs/reproduce")): settings(run) for run in runs}
    assert changed_settings(reference["runs"], configs) == {name: [] for name in configs}
    for name, committed in reference["runs"].items():
        values = flat(committed)
        assert any(key[:2] == ("number", "train/loss") for key in values), name
        assert values["checksum", "weights"]
        assert ("hypothesis", "test", 499) in values or not name.startswith("bleu")
    assert COMMITTED.stat().st_size < 300_000
