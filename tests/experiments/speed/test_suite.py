"""The whole smoke suite: what is written, what is skipped, what a failure leaves."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from analysis.store import read_store
from experiments.planning.grid import EXPERIMENTS
from experiments.record.keys import config_hash
from experiments.speed import decoding, loops, suite, systems
from experiments.speed.decoding import searching
from experiments.speed.flops import count
from experiments.speed.settings import Clock, Decode, Precision, Settings, Sweep
from experiments.speed.suite import main, read_settings
from experiments.speed.sweep import run_sweep
from experiments.speed.systems import System, build
from tests.support.fakes.captures import run_again
from tests.support.tiny_runs import read_json, read_lines

TASKS = "length decoding"
CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def no_limit() -> Iterator[None]:
    """The limit of memory would stay for the tests that follow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(suite, "keep_within_memory", lambda: None)
        yield


@pytest.fixture(scope="module")
def runs(no_limit: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    main("smoke", TASKS, root=str(root))
    return root


def measured(runs: Path, task: str, model: str, variant: str = "base") -> Any:
    return read_json(runs / "smoke/speed" / task / model / variant / "seed0/result.json")


def values(result: dict[str, Any], metric: str) -> dict[Any, float]:
    return {row["x"]: row["value"] for row in result["measurements"] if row["metric"] == metric}


def test_every_system_of_a_task_has_a_record_that_the_analysis_reads(runs: Path) -> None:
    store = read_store(runs, "smoke")
    assert not store.problems
    finished = {(run.task, run.model, run.variant) for run in store.finished("speed")}
    sweep = read_settings("smoke").length
    assert sweep is not None
    systems = [System(name) for name in sweep.systems]
    assert {("length", system.model, system.variant) for system in systems} <= finished


@pytest.mark.parametrize(
    "wrong", [{"length": Sweep([], [16, 64], tokens=32)}, {"width_sweep": Sweep([], [8], tokens=32, length=64)}]
)
def test_a_length_of_which_no_row_fits_into_a_batch_is_refused(wrong: dict[str, Any]) -> None:
    """It would be timed on more tokens than the others."""
    with pytest.raises(ValueError, match="length 64 exceeds tokens 32"):
        Settings({}, **wrong)


@pytest.mark.parametrize("metric", ["forward_seconds", "forward_backward_seconds", "step_seconds"])
def test_medians_are_those_of_the_recorded_blocks(runs: Path, metric: str) -> None:
    result = measured(runs, "length", "transformer", "bf16")
    folder = runs / "smoke/speed/length/transformer/bf16/seed0"
    blocks = read_lines(folder / "blocks.jsonl")
    for x, median in values(result, metric).items():
        rounds = sorted(b["value"] for b in blocks if (b["metric"], b["x"]) == (metric, x))
        assert len(rounds) == 2
        assert median == pytest.approx(sum(rounds) / 2)


def test_rates_follow_from_times_and_shapes(runs: Path) -> None:
    result = measured(runs, "length", "lstm")
    seconds = values(result, "step_seconds")
    assert list(seconds) == [2, 4, 8]
    for x, rate in values(result, "target_tokens_per_second").items():
        assert rate * seconds[x] == pytest.approx(16)  # tokens of a batch, whatever the length
    for x, rate in values(result, "flops_per_second").items():
        assert rate * seconds[x] == pytest.approx(values(result, "flops_per_step")[x])
    assert values(result, "sequential_steps") == {2: 4, 4: 8, 8: 16}
    assert result["signatures"]["recurrent kernel"] == "oneDNN layer"


def test_operations_and_positions_are_of_all_rows() -> None:
    settings = replace(read_settings("smoke"), clock=Clock(1, 0.001), vocabulary=50)
    found, _ = run_sweep("batch", Sweep(["lstm"], [3], tokens=12, length=4), settings, CPU)
    rows = {m.metric: m.value for m in found["lstm"].measurements}
    assert rows["flops_per_step"] == 3 * count(build(settings.models["lstm"], 50).network, 4, 4).forward_backward
    assert rows["positions_per_second"] == pytest.approx(2 * rows["target_tokens_per_second"])


def test_decoding_is_timed_for_one_token_of_each_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A made-up search takes two seconds for each token that it adds to all."""
    monkeypatch.setattr(decoding, "alternate", lambda runs, *_: {key: [2.0 * key[3]] for key in runs})
    asked = Decode(["lstm"], [4, 8], [1, 2], length=4, batch=3)
    found, _ = decoding.run_decoding(asked, replace(read_settings("smoke"), vocabulary=50), CPU)
    rows = {(m.metric, m.x_name, m.x): m.value for m in found["lstm"].measurements}
    assert rows["greedy_seconds_per_token", "length", 8] == rows["greedy_seconds_per_token", "batch", 2] == 2
    assert rows["greedy_tokens_per_second", "batch", 2] == 1


def test_a_timed_search_writes_as_many_tokens_as_asked() -> None:
    settings = read_settings("smoke")
    found = searching(build(settings.models["bahdanau"], 50).network, 2, 4, 3, replace(settings, vocabulary=50))()
    assert [len(best.tokens) for best, *_ in found] == [4, 4]  # type: ignore[attr-defined]


def test_what_is_measured_is_not_measured_again(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = measured(runs, "length", "lstm")
    main("smoke", TASKS, root=str(runs))
    assert "already measured" in capsys.readouterr().out
    assert measured(runs, "length", "lstm") == before


def test_other_precision_or_other_models_are_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fingerprints(precision: Precision) -> dict[str, str]:
        settings = replace(read_settings("quick"), precision=precision)
        planned = suite.plan("quick", settings, torch.device("cpu"), "", str(tmp_path))
        return {task.name: config_hash(task.config(System("lstm"))) for task, _ in planned}

    before = fingerprints("32-true")
    assert all(after != before[task] for task, after in fingerprints("bf16-mixed").items())
    copied = shutil.copytree(EXPERIMENTS / "configs" / "bleu", tmp_path / "configs" / "bleu")
    monkeypatch.setattr(loops, "EXPERIMENTS", tmp_path)
    assert fingerprints("32-true") == before
    for config in copied.rglob("common.yaml"):
        config.write_text(config.read_text() + "# changed\n")
    (text,) = (task for task in before if task.startswith("text"))
    assert {task for task, after in fingerprints("32-true").items() if after != before[task]} == {text}


def test_further_processes_measure_the_same_again_as_further_seeds(
    runs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = replace(read_settings("smoke"), processes=3)
    monkeypatch.setattr(suite, "read_settings", lambda _: settings)
    started = []

    def run(words: list[str]) -> subprocess.CompletedProcess[str]:
        started.append(words[:3])
        named = dict(word.removeprefix("--").split("=") for word in words[3:])
        main(**{name: int(value) if value.isdigit() else value for name, value in named.items()})  # type: ignore[arg-type]
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(suite, "subprocess", SimpleNamespace(run=run))
    main("smoke", "decoding", root=str(tmp_path))
    assert started == [[sys.executable, "-m", "experiments.speed"]] * 2
    folders = sorted(path.parent.name for path in (tmp_path / "smoke/speed/decoding/lstm").rglob("result.json"))
    assert folders == ["seed0", "seed1", "seed2"]
    main("smoke", "cost-embedded-en-de", root=str(tmp_path), process=1)  # which the first process alone measures
    monkeypatch.setattr(suite, "subprocess", SimpleNamespace(run=lambda words: subprocess.CompletedProcess(words, 130)))
    with pytest.raises(SystemExit) as stopped:
        main("smoke", "decoding", root=str(tmp_path))
    assert stopped.value.code == 130


def test_a_failing_task_is_recorded_and_the_others_are_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no clock")

    further: list[list[str]] = []
    monkeypatch.setattr(suite, "run_sweep", broken)
    monkeypatch.setattr(suite, "read_settings", lambda _: replace(read_settings("smoke"), processes=2))

    def run(words: list[str]) -> subprocess.CompletedProcess[str]:
        further.append(words)
        return subprocess.CompletedProcess(words, 1)

    monkeypatch.setattr(suite, "subprocess", SimpleNamespace(run=run))
    with pytest.raises(SystemExit, match="1 of 2 speed tasks failed: length"):
        main("smoke", TASKS, root=str(tmp_path))
    assert len(further) == 1
    assert not list(tmp_path.rglob("receipt-*"))
    assert "no clock" in capsys.readouterr().err
    assert "no clock" in read_json(tmp_path / "smoke/speed/length/lstm/base/seed0/failure.json")["error"]
    assert measured(tmp_path, "decoding", "lstm")["measurements"]


def test_an_unknown_task_or_suite_is_named_with_those_there_are() -> None:
    with pytest.raises(SystemExit, match="lenght, not in SUITE=smoke: choose from length, width"):
        main("smoke", "lenght")
    with pytest.raises(SystemExit, match="full, gpu, quick, smoke"):
        main("quik")


def test_every_system_of_the_gpu_suite_takes_a_step_at_a_small_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU, where a capture runs the function again: the sweep over lengths as one over widths."""
    monkeypatch.setattr(systems, "capture_on", lambda device: run_again)
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    settings = read_settings("gpu")
    assert settings.length is not None
    settings.vocabulary, settings.clock = 50, Clock(1, 0.001)
    small = Sweep(settings.length.systems, [32], tokens=16, length=4)
    found, _ = run_sweep("width", small, settings, torch.device("cpu"))
    assert {rows.kernels["precision"] for rows in found.values()} == {"bf16-mixed"}
    assert {rows.kernels["mode"] for rows in found.values()} == {"captured"}
    assert all(row.value > 0 for rows in found.values() for row in rows.measurements)
