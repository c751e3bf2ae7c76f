from pathlib import Path
from typing import Any

import pytest

from datamodules import TranslationData
from experiments.speed.peers import compare, compare_language, sizes
from experiments.speed.peers.compare import environment_of
from experiments.speed.peers.installation import CannotInstall
from experiments.speed.peers.protocol import WorkerFailed
from experiments.training.environment import KEEP_MEMORY
from tests.support.tiny_peers import peer_data
from tests.support.tiny_runs import SIZES, read_json, read_lines

PLAN = compare.Plan(updates=4, rounds=3, warm_up=1, lessons=2, translations=2)


class FakeWorker:
    """Ten target tokens a second, a hundred for bf16; slower in the warm-up, twice as fast in the last round."""

    commands: list[tuple[str, str]]
    fails = ""

    def __init__(self, name: str, command: list[str], log: Path, environment: dict[str, str]) -> None:
        self.variant = name.split()[1]
        self.started = {"parameters": 1000 + len(self.variant), "name": self.variant}
        self.trained = 0
        assert environment["OMP_NUM_THREADS"].isdigit()
        assert str(PLAN.updates) in command

    def ask(self, command: str) -> dict[str, Any]:
        self.commands.append((command, self.variant))
        if self.variant == self.fails:
            raise WorkerFailed(f"{self.variant} ended with 'no memory': see log.txt")
        if command == "translate":
            return {"seconds": 2.0, "hypotheses": ["ein Mann"] * SIZES["seen"]}
        self.trained += 1
        rate = (100 if self.variant == "bf16" else 10) * (2 if self.trained == PLAN.warm_up + PLAN.rounds else 1)
        seconds = 40 / rate if self.trained > PLAN.warm_up else 1000.0
        return {"seconds": seconds, "updates": 4, "target_tokens": 40, "tokens": 60, "positions": 80}

    def __enter__(self) -> "FakeWorker":
        return self

    def __exit__(self, *rest: Any) -> None:
        pass


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TranslationData:
    """Everything real but the workers, on a small corpus."""
    data = peer_data(tmp_path)
    monkeypatch.setattr(sizes, "multi30k", lambda: data)
    monkeypatch.setattr(compare, "build_environment", lambda folder: folder / "bin" / "python")
    monkeypatch.setattr(compare, "Worker", FakeWorker)
    monkeypatch.setattr(FakeWorker, "commands", [], raising=False)
    monkeypatch.setattr(FakeWorker, "fails", "")
    return data


def run(tmp_path: Path, models: str = "transformer", plan: compare.Plan = PLAN) -> None:
    compare.main("tiny", models, plan, cache_dir=str(tmp_path / "cache"), root=str(tmp_path / "runs"))


def record(tmp_path: Path, variant: str, model: str = "transformer") -> dict[str, Any]:
    folder = tmp_path / "runs" / "tiny" / "speed" / sizes.TASK / model / variant / "seed0"
    content: dict[str, Any] = read_json(folder / "result.json")
    return content | {"blocks": read_lines(folder / "blocks.jsonl")}


def value(result: dict[str, Any], metric: str) -> float:
    (found,) = [m["value"] for m in result["measurements"] if m["metric"] == metric]
    return float(found)


def test_a_comparison_interleaves_its_variants_and_records_the_rounds_after_the_warm_up(
    data: TranslationData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path)
    once = [("train", variant) for variant in sizes.SYSTEMS["transformer"]]
    lesson, translating = ([(command, "fp32"), (command, "joeynmt")] for command in ("train", "translate"))
    timed = once * (PLAN.warm_up + PLAN.rounds)
    assert FakeWorker.commands == timed + lesson * PLAN.lessons + translating * PLAN.translations
    for variant in sizes.SYSTEMS["transformer"]:
        result, rate = record(tmp_path, variant), 100 if variant == "bf16" else 10
        assert value(result, "target_tokens_per_second") == rate
        assert value(result, "target_tokens_per_second_q75") == 1.5 * rate  # of rate, rate, 2 rate
        assert value(result, "padding_share") == 0.25
        assert value(result, "parameters") == 1000 + len(variant)
        blocks = [row for row in result["blocks"] if row["metric"] == "target_tokens_per_second"]
        assert [row["value"] for row in blocks] == [rate, rate, 2 * rate]
        assert [row["seconds"] for row in blocks] == [10 / rate, 10 / rate, 5 / rate]
        passes = [row["seconds"] for row in result["blocks"] if row["metric"] == "sentences_per_second"]
        assert passes == ([2 / SIZES["seen"]] * 2 if variant in ("fp32", "joeynmt") else [])
        if passes:
            assert value(result, "sentences_per_second") == SIZES["seen"] / 2
            assert value(result, "mean_hypothesis_tokens") == len(data.target_tokenizer.encode("ein Mann"))
    FakeWorker.commands.clear()
    run(tmp_path, "")  # of the Transformer nothing is measured again
    assert "already measured with this code on this machine: peers of the transformer" in capsys.readouterr().out
    assert set(FakeWorker.commands[:5]) == {("train", variant) for variant in sizes.SYSTEMS["bahdanau"]}
    ours, theirs = record(tmp_path, "bf16", "bahdanau"), record(tmp_path, "joeynmt", "bahdanau")
    assert ours["held_equal"] == theirs["held_equal"]
    assert ours["held_equal"]["tokens per batch"] == data.max_tokens
    assert (ours["signatures"]["precision"], theirs["signatures"]["precision"]) == ("bf16-mixed", "32-true")
    assert theirs["signatures"]["training loop"] == "JoeyNMT's TrainManager"
    assert ours["command"] == "make speed-peers SUITE=tiny"
    FakeWorker.commands.clear()
    monkeypatch.setattr(compare, "fingerprint", lambda: "other code")
    run(tmp_path)
    assert len(FakeWorker.commands) > len(timed)


def test_every_file_that_is_timed_is_in_the_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in compare.CODE:
        assert (compare.HERE / place).exists(), place
    monkeypatch.setattr(compare, "HERE", tmp_path)
    for place in compare.CODE:
        file = tmp_path / place if place.endswith(".py") else tmp_path / place / "deep/one.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("first")
        before = compare.fingerprint()
        file.write_text("second")
        assert compare.fingerprint() != before


def test_without_joeynmt_nothing_is_recorded_and_nothing_fails(
    data: TranslationData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(folder: Path) -> Path:
        raise CannotInstall("no route to host")

    monkeypatch.setattr(compare, "build_environment", refuse)
    run(tmp_path)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("skipped: ")
    assert "no route to host" in line
    assert not (tmp_path / "runs").exists()


def test_missing_text_or_an_unknown_model_is_one_sentence(
    data: TranslationData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match=r"'lstm'.*transformer and bahdanau"):
        run(tmp_path, "transformer lstm")

    def gone(split: str) -> None:
        raise FileNotFoundError("multi30k is not in data: make data")

    monkeypatch.setattr(data, "text", gone)
    with pytest.raises(SystemExit, match="error: multi30k is not in data"):
        run(tmp_path)
    assert not FakeWorker.commands


def test_a_worker_that_fails_leaves_no_record_of_its_model(
    data: TranslationData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeWorker, "fails", "textbook")
    with pytest.raises(SystemExit, match="no memory"):
        run(tmp_path, "")
    written = {path.parts[-4] for path in (tmp_path / "runs").rglob("result.json")}
    assert written == {"transformer"}


def test_joeynmt_runs_as_its_users_start_it_and_once_more_in_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIBC_TUNABLES", KEEP_MEMORY)  # as when the benchmark restarted itself
    kept = {variant for variant in sizes.SYSTEMS["transformer"] if "GLIBC_TUNABLES" in environment_of(variant, 2)}
    assert kept == set(sizes.SYSTEMS["transformer"]) - {"joeynmt", "joeynmt-dropout0"}
    for exact in (True, False):
        monkeypatch.setattr(compare, "onednn_is_exact", lambda exact=exact: exact)
        given = {variant for variant in sizes.SYSTEMS["transformer"] if "ONEDNN_MATMUL" in environment_of(variant, 2)}
        assert given == ({"joeynmt-settings"} if exact else set())
    assert {environment_of(variant, 2)["OMP_NUM_THREADS"] for variant in sizes.SYSTEMS["bahdanau"]} == {"2"}


def test_language_models_are_interleaved_and_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compare_language, "build_environment", lambda folder: folder / "bin" / "python")
    monkeypatch.setattr(compare, "Worker", FakeWorker)
    monkeypatch.setattr(FakeWorker, "commands", [], raising=False)
    places = {"cache_dir": str(tmp_path / "cache"), "root": str(tmp_path / "runs")}
    compare_language.main("tiny", PLAN, **places)
    once = [("train", variant) for variant in compare_language.SYSTEMS["transformer"]]
    assert FakeWorker.commands[: 2 * len(once)] == 2 * once
    for model, variants in compare_language.SYSTEMS.items():
        for variant in variants:
            folder = tmp_path / "runs" / "tiny" / "speed" / compare_language.TASK / model / variant / "seed0"
            rate = 100 if variant == "bf16" else 10
            assert value(read_json(folder / "result.json"), "target_tokens_per_second") == rate
    FakeWorker.commands.clear()
    compare_language.main("tiny", PLAN, **places)
    assert not FakeWorker.commands
    assert "already measured" in capsys.readouterr().out
