"""What is finished is known without torch; nothing that changed is taken for finished."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from experiments import suite
from experiments.launch import finished as finished_runs
from experiments.launch import local, receipts
from experiments.launch.finished import finished
from experiments.planning.grid import Planned, plan_bleu
from tests.support.readme import ROOT


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the code and of a suite's configurations, which a test may change."""
    for name in receipts.CODE:
        (tmp_path / name).mkdir()
        (tmp_path / name / "code.py").write_text(f"NAME = {name!r}\n")
    shutil.copytree(ROOT / "experiments" / "configs" / "bleu" / "smoke", tmp_path / "configs")
    monkeypatch.setattr(receipts.of_code, "__defaults__", (tmp_path, ("py",)))
    return tmp_path


@pytest.fixture
def one(checkout: Path) -> Planned:
    """A run with a result and its receipt, of the configurations of the checkout."""
    (planned,) = plan_bleu("smoke", ["lstm"], [0], "", str(checkout / "runs"), [])
    moved = replace(planned, configs=tuple(checkout / "configs" / path.name for path in planned.configs))
    moved.key.folder.mkdir(parents=True)
    (moved.key.folder / "result.json").write_text("{}")
    receipt_of(moved).write()
    return moved


def receipt_of(planned: Planned) -> receipts.Receipt:
    return receipts.of_run(planned.key.folder, receipts.of_arguments(planned.arguments, receipts.of_code()))


def test_a_receipt_shows_a_run_to_be_finished_and_the_failure_that_a_kill_left_goes(
    one: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finished_runs.subprocess, "run", lambda *_, **__: pytest.fail("the receipt did not hold"))
    (one.key.folder / "failure.json").write_text("{}")
    assert finished([one]) == [True]
    assert not (one.key.folder / "failure.json").exists()


def append(path: Path) -> None:
    path.write_text(path.read_text() + "\n")


CHANGES: dict[str, Callable[[Path, Path], object]] = {
    "the result": lambda root, folder: append(folder / "result.json"),
    "the receipt": lambda root, folder: (folder / "receipt.json").write_text('{"inputs": "", "results": {}}'),
    "a receipt that is half there": lambda root, folder: (folder / "receipt.json").write_text('{"inputs": "'),
    "a receipt of something else": lambda root, folder: (folder / "receipt.json").write_text("[]"),
    "no receipt": lambda root, folder: (folder / "receipt.json").unlink(),
    "a configuration": lambda root, folder: append(root / "configs" / "common.yaml"),
    "no configuration": lambda root, folder: (root / "configs" / "common.yaml").unlink(),
    "code": lambda root, folder: append(root / "models" / "code.py"),
    "more code": lambda root, folder: (root / "experiments" / "more.py").touch(),
    "less code": lambda root, folder: (root / "datamodules" / "code.py").unlink(),
    "code of another name": lambda root, folder: (root / "models" / "code.py").rename(root / "models" / "b.py"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_run_is_not_taken_for_finished_after_a_change_of(change: str, one: Planned, checkout: Path) -> None:
    CHANGES[change](checkout, one.key.folder)
    assert not receipt_of(one).holds()


def test_a_run_without_its_result_or_with_other_arguments_is_not_finished(one: Planned, checkout: Path) -> None:
    assert not receipt_of(replace(one, overrides=(*one.overrides, "--trainer.max_steps=3"))).holds()
    assert not receipt_of(replace(one, configs=one.configs[::-1])).holds()
    (one.key.folder / "result.json").unlink()
    receipt_of(one).write()
    assert finished([one]) == [False]


@pytest.mark.parametrize(
    "named",
    [
        "starts_from: {}",
        "starts_from: {}  # and why",
        "starts_from: '{}'",
        ["--starts_from={}"],
        ["--starts_from", "{}"],
    ],
)
def test_a_run_that_starts_from_another_is_not_finished_after_that_was_trained_again(
    named: str | list[str], one: Planned, checkout: Path
) -> None:
    name = "language/stories-short/lstm-small"
    if isinstance(named, str):
        with (checkout / "configs" / "common.yaml").open("a") as file:
            file.write(f"{named.format(name)}\n")
    else:
        one = replace(one, overrides=(*one.overrides, *(word.format(name) for word in named)))
    first = checkout / "runs/smoke/language/stories-short/lstm/small/seed0/result.json"
    first.parent.mkdir(parents=True)
    first.write_text("{}")
    receipt_of(one).write()
    assert receipt_of(one).holds()
    append(first)
    assert not receipt_of(one).holds()


@pytest.mark.parametrize("mistyped", ["--run.seed", "--run.seed=", "--run.seed=x", "--run.sed=1"])
def test_mistyped_arguments_have_a_fingerprint_too_and_are_the_parsers_to_refuse(mistyped: str, one: Planned) -> None:
    words = [*one.arguments, mistyped, "0", "--starts_from=language/stories/lstm"]
    assert receipts.of_arguments(words, "") != receipts.of_arguments(one.arguments, "")


@pytest.mark.parametrize("name", ["more.yaml", "with space.yaml"])
@pytest.mark.parametrize("naming", ["--trainer={}", "-c={}", "nested: {}", "nested: {{a: '{}', b: 1}}", "- {}"])
def test_a_file_that_is_named_counts_wherever_it_is_named(
    name: str, naming: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if " " in name and "{" in naming[2:].replace("{}", ""):
        naming = "nested: {}"
    for folder in (tmp_path, tmp_path / "sub"):  # from the working directory, or from the naming file's
        folder.mkdir(exist_ok=True)
        words = [naming.format(name)]
        if not naming.startswith("-") or naming.startswith("- "):
            (folder / "main.yaml").write_text(f"a: 1\n{naming.format(name)}\n")
            words = ["-c", str(folder / "main.yaml")]
        elif folder != tmp_path:
            continue
        (folder / name).write_text("max_steps: 3\n")
        before = receipts.of_arguments(words, "")
        assert receipts.of_arguments(words, "") == before
        (folder / name).write_text("max_steps: 4\n")
        assert receipts.of_arguments(words, "") != before


def test_files_that_name_each_other_are_read_once_and_others_count_by_size_and_time(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / f"{name}.yaml").write_text(f"# see {other}.yaml\ncorpus: {tmp_path}/text\n")
    words = ["-c", str(tmp_path / "a.yaml")]
    without = receipts.of_arguments(words, "")
    (tmp_path / "text").write_text("a")
    there = receipts.of_arguments(words, "")
    os.utime(tmp_path / "text", (0, 0))
    assert len({without, there, receipts.of_arguments(words, "")}) == 3


def test_where_a_receipt_does_not_hold_another_process_decides_by_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = list(plan_bleu("smoke", ["lstm", "transformer", "bahdanau"], [0], "", str(tmp_path), []))
    for planned in runs[:2]:
        planned.key.folder.mkdir(parents=True)
        (planned.key.folder / "result.json").write_text("{}")
    asked: list[list[list[str]]] = []

    def answer(command: list[str], input: str, **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(json.loads(input))
        return subprocess.CompletedProcess(command, 0, json.dumps([True, False]))

    monkeypatch.setattr(finished_runs.subprocess, "run", answer)
    assert finished(runs) == [True, False, False]
    assert asked == [[planned.arguments for planned in runs[:2]]]
    monkeypatch.setattr(
        finished_runs.subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, -9, "")
    )
    assert finished(runs) == [False] * 3


STAGES = {"contrastive": "long-range/contrastive-t", "inspect": "inspection/t", "speed": "speed/length"}
STAGE_CHANGES: dict[str, Callable[[Path, Path, Path], object]] = {
    "a result": lambda root, trained, result: append(result),
    "no result": lambda root, trained, result: result.unlink(),
    "one more result": lambda root, trained, result: shutil.copytree(result.parent, result.parents[1] / "seed1"),
    "a trained run": lambda root, trained, result: append(trained / "result.json"),
    "its configuration": lambda root, trained, result: append(trained / "config.yaml"),
    "one more trained run": lambda root, trained, result: trained.with_name("seed1").mkdir(),
    "its corpus": lambda root, trained, result: append(root / "corpus"),
    "code": lambda root, trained, result: append(root / "models" / "code.py"),
    "threads": lambda root, trained, result: os.environ.update(OMP_NUM_THREADS="77"),
}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("change", STAGE_CHANGES)
def test_a_stage_is_not_started_until_there_is_a_change_of(
    change: str, stage: str, checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    root = str(checkout / "runs")
    trained = Path(root, "smoke/bleu/t/lstm/base/seed0")
    result = Path(root, "smoke", STAGES[stage], "lstm/base/seed0/result.json")
    for folder in (trained, result.parent):
        folder.mkdir(parents=True)
        (folder / "result.json").write_text("{}")
    (checkout / "corpus").write_text("a\n")
    (trained / "config.yaml").write_text(f"data:\n  files:\n  - {checkout / 'corpus'}\n")
    settings = ["length"] if stage == "speed" else []
    receipts.of_stage(stage, "smoke", root, *settings).write()
    monkeypatch.setattr(suite.subprocess, "Popen", lambda *_, **__: pytest.fail("started"))
    words = [stage, "--suite", "smoke", "--root", root]
    assert suite.main([*words, "--tasks", "length"]) == 0
    assert capsys.readouterr().out == f"finished already: {stage}\n"
    STAGE_CHANGES[change](checkout, trained, result)
    assert not receipts.of_stage(stage, "smoke", root, *settings).holds()
    assert not receipts.of_stage(stage, "smoke", root, "other").holds()


def test_a_finished_suite_imports_none_of_torch_lightning_and_wandb(tmp_path: Path) -> None:
    runs = [*plan_bleu("smoke", [], [], "", str(tmp_path), [])]
    for planned in runs:
        planned.key.folder.mkdir(parents=True)
        (planned.key.folder / "result.json").write_text("{}")
        receipt_of(planned).write()
    for stage in STAGES:
        result = tmp_path / "smoke" / STAGES[stage] / "lstm/base/seed0/result.json"
        result.parent.mkdir(parents=True)
        result.write_text("{}")
    for stage in STAGES:
        receipts.of_stage(stage, "smoke", str(tmp_path), *([""] if stage == "speed" else [])).write()
    program = (
        "import sys; from experiments import suite\n"
        f"assert suite.main(['bleu', *{[*STAGES]}, '--suite', 'smoke', '--root', {str(tmp_path)!r}]) == 0\n"
        "print([name for name in ('torch', 'lightning', 'wandb', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        f"finished already: {len(runs)} of {len(runs)} bleu runs",
        *(f"finished already: {stage}" for stage in STAGES),
        "[]",
    ]
    assert local.run_all([], local.Limits()) == []
