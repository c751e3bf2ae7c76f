import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import wandb

from experiments import suite
from experiments.launch.provenance import git_state
from experiments.record.keys import RunKey
from experiments.record.read import read_result
from experiments.record.wandb_names import PROJECT, run_id
from experiments.run import main
from experiments.tracking import logger as tracking
from experiments.tracking.logger import MARK, decide_mode, is_mirrored, publish, wandb_logger
from experiments.tracking.publish import numbers
from experiments.training.callbacks import Clock
from tests.support.tiny_runs import STEPS, measured, read_json, tiny_arguments, tiny_key, tiny_run
from tests.support.wandb_server import ENTITY, WandbServer, connected

CONFIG = {"model": {"width": 32}}
Check = Callable[[Path], None]


pytestmark = pytest.mark.usefixtures("nobody_logged_in")


def key(tmp_path: Path, **changes: Any) -> RunKey:
    return RunKey(
        **{"suite": "tiny", "experiment": "bleu", "task": "t", "model": "lstm", "root": str(tmp_path), **changes}
    )


def offline_runs(folder: Path) -> list[Path]:
    return sorted(folder.glob("wandb/offline-run-*"))


@pytest.mark.parametrize(("logged_in", "mode"), [(False, "offline"), (True, "online")])
def test_a_run_is_online_only_with_a_login(logged_in: bool, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(wandb, "login", lambda **arguments: asked.append(arguments) or logged_in)
    assert decide_mode() == mode
    assert tracking.os.environ["WANDB_MODE"] == mode
    assert asked == [{"prompt": False, "verify": False}]


@pytest.mark.parametrize("mode", ["online", "offline", "disabled"])
def test_the_mode_that_is_set_is_taken_and_nothing_asked(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb, "login", lambda **_: pytest.fail("asked"))
    monkeypatch.setenv("WANDB_MODE", mode)
    assert decide_mode() == mode


def test_a_mode_that_there_is_not_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "nonsense")
    with pytest.raises(ValueError, match="WANDB_MODE is 'nonsense'; choose one of online, offline, disabled"):
        decide_mode()
    with pytest.raises(SystemExit, match="error: WANDB_MODE is 'nonsense'"):
        main(tiny_arguments(tmp_path))


def test_disabled_writes_nothing(trained: Path) -> None:
    assert not list(trained.glob("runs/**/wandb*"))
    assert (tiny_key(trained).folder / "result.json").exists()


def test_the_id_follows_from_the_key_and_nothing_else(tmp_path: Path) -> None:
    def identifier(root: Path, **changes: Any) -> str:
        return run_id(key(root, **changes).identity)

    assert identifier(tmp_path) == identifier(tmp_path / "elsewhere", command="make bleu")
    changes: list[dict[str, Any]] = [{"seed": 1}, {"model": "gru"}, {"variant": "v"}, {"task": "u"}, {"suite": "full"}]
    assert len({identifier(tmp_path, **change) for change in [{}, *changes]}) == 6


def test_a_wandb_that_always_fails_never_stops_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(wandb, "init", broken)
    folder = tiny_run(tmp_path)
    assert (folder / "result.json").exists()
    assert "W&B is off for this run (RuntimeError: broken)" in capsys.readouterr().err


@pytest.mark.parametrize("home", [None, "/proc/nowhere", "/proc"])
def test_without_a_home_that_can_be_written_wandb_writes_here(
    home: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("XDG_CACHE_HOME", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR")
    for name in (*names, "HOME"):
        monkeypatch.setenv(name, "")  # so that it is as before afterwards
        monkeypatch.delenv(name)
    if home:
        monkeypatch.setenv("HOME", home)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tracking.os, "access", lambda path, _: path == str(tmp_path))  # root may write anywhere
    tracking.quiet()
    assert {tracking.os.environ.get(name) for name in names} == {str(tmp_path / ".cache" / "home")}


def test_a_suite_waits_once_for_a_server_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried: list[str] = []

    def hang(key: RunKey, config: Any, mode: str, clock: Clock) -> None:
        tried.append(mode)
        if mode == "online":
            raise TimeoutError

    monkeypatch.setattr(tracking, "new_logger", hang)
    for model in ("lstm", "bahdanau", "transformer"):  # each a process of its own
        monkeypatch.setenv("WANDB_MODE", "online")
        decide_mode.cache_clear()
        wandb_logger(key(tmp_path, model=model), CONFIG, Clock())
    assert tried == ["online", *["offline"] * 3]
    assert capsys.readouterr().err.count("W&B does not answer (TimeoutError)") == 1
    suite.main(["report", "--suite", "tiny", "--root", str(tmp_path)])  # `make` again asks again
    monkeypatch.setenv("WANDB_MODE", "online")
    decide_mode.cache_clear()
    wandb_logger(key(tmp_path), CONFIG, Clock())
    assert tried[4:] == ["online", "offline"]


def test_publishing_without_a_logger_or_to_nobody_costs_no_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish(None, key(tmp_path)) is False
    logger = wandb_logger(key(tmp_path), CONFIG, Clock())
    assert publish(logger, key(tmp_path)) is False  # there is no result.json
    assert "W&B did not take the results (FileNotFoundError); the local record is complete" in capsys.readouterr().err


@pytest.fixture(scope="module")
def online(tmp_path_factory: pytest.TempPathFactory) -> tuple[WandbServer, Path, Path]:
    """A run that was trained online, with its checkpoint sent: the server, the run's root and its folder."""
    root = tmp_path_factory.mktemp("online")
    with pytest.MonkeyPatch.context() as patch, connected(root, patch) as server:
        patch.setenv("WANDB_LOG_MODEL", "true")
        return server, root, tiny_run(root, model="bahdanau")


def test_an_online_run_is_on_the_server_number_for_number(online: tuple[WandbServer, Path, Path]) -> None:
    server, root, folder = online
    run_key = tiny_key(root, "bahdanau")
    assert list(server.runs) == [run_id(run_key.identity)]
    (run,) = server.runs.values()
    expected = numbers(read_result(folder))
    assert {name: run.summary[name] for name in expected} == expected
    assert (run.times_begun, run.ended) == (1, True)
    assert (run.group, run.job_type) == ("tiny/bleu/files-en-de", "bahdanau")
    assert run.config["run"] == run_key.identity
    assert run.config["git"] == git_state()
    assert run.config["command"] == run_key.command
    assert server.unknown == []
    assert not offline_runs(folder)
    assert is_mirrored(folder)
    assert read_json(folder / MARK)["url"].endswith(f"/{ENTITY}/{PROJECT}/runs/{run_id(run_key.identity)}")
    assert ("model", run_id(run_key.identity)) in server.artifacts
    assert (folder / "checkpoints" / "best.ckpt").read_bytes() in server.files.values()


def test_training_is_seen_over_steps_time_and_tokens(online: tuple[WandbServer, Path, Path]) -> None:
    server, _, folder = online
    (run,) = server.runs.values()
    local = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for metric in ("train/loss", "val/loss", "val/bleu"):
        sent = [row for row in run.history if metric in row]
        kept = [row for row in local if row["metric"] == metric]
        assert [row[metric] for row in sent] == pytest.approx([row["value"] for row in kept])
        assert [row["trainer/global_step"] + 1 for row in sent] == [row["step"] for row in kept]
        assert [row["train/target_tokens"] for row in sent] == [row["target_tokens"] for row in kept]
    seconds = [row["train/seconds"] for row in run.history if "train/seconds" in row]
    assert seconds == sorted(seconds)
    assert seconds[-1] > 0


def test_curves_translations_pictures_and_the_lock_file_are_there(online: tuple[WandbServer, Path, Path]) -> None:
    server, _, folder = online
    (identifier, run), *_ = server.runs.items()
    files = {path.removeprefix(f"{identifier}/"): content for path, content in server.files.items()}
    assert b"torch==" in files["requirements.lock"]
    table = next(content for path, content in files.items() if "test/translations" in path)
    first = json.loads((folder / "hypotheses" / "seen.jsonl").read_text().split("\n")[0])
    assert json.loads(table)["data"][0][:5] == ["seen", 0, first["source"], first["reference"], first["hypothesis"]]
    pictures = [content for path, content in files.items() if "test/attention" in path]
    assert len(pictures) == len(read_json(folder / "attention.json"))
    assert all(content.startswith(b"\x89PNG") for content in pictures)
    drawn = next(content for path, content in files.items() if "bleu_by_length/source words, seen_table" in path)
    points = [m for m in read_result(folder)["measurements"] if m["x_name"] == "source words, seen"]
    assert sorted(json.loads(drawn)["data"]) == sorted([m["x"], m["value"], m["n"]] for m in points)
    assert "test/bleu_by_length/source words, seen" in json.dumps(run.config | {"summary": run.summary})


def test_a_mistyped_wish_is_told_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_LOG_MODEL", "all")
    with pytest.raises(SystemExit, match="error: WANDB_LOG_MODEL is 'all'; choose true or false"):
        tiny_run(tmp_path)
    assert not (tiny_key(tmp_path).folder / "checkpoints").exists()


@pytest.fixture
def assert_complete(trained: Path, capsys: pytest.CaptureFixture[str]) -> Check:
    """The local record is that of a run without W&B, and a line says how W&B gets it later."""
    undisturbed = tiny_key(trained).folder

    def check(folder: Path) -> None:
        assert measured(folder) == measured(undisturbed)
        for name in ("hypotheses/seen.jsonl", "attention.json"):
            assert (folder / name).read_bytes() == (undisturbed / name).read_bytes()
        assert not (folder / "failure.json").exists()
        assert not is_mirrored(folder)
        (line,) = [line for line in capsys.readouterr().err.splitlines() if "make sync" in line]
        assert line.startswith("W&B ")

    return check


@pytest.mark.parametrize("outage", ["unreachable", "late", "refusing"])
def test_a_server_that_does_not_take_the_run_costs_no_number(
    outage: str, tmp_path: Path, assert_complete: Check, server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "ANSWER", 1.0)
    server.failing = 403 if outage == "refusing" else 0
    if outage == "late":
        server.late.clear()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        if outage == "unreachable":
            monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
        folder = tiny_run(tmp_path)
    assert_complete(folder)
    assert len(offline_runs(folder)) == 1
    assert not (outage == "unreachable" and server.requests)


@pytest.mark.parametrize("outage", ["gone", "late", 403])
def test_a_server_that_is_lost_in_the_middle_of_training_costs_seconds_and_no_number(
    outage: str | int, tmp_path: Path, assert_complete: Check, server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "UPLOAD", 1.0)
    monkeypatch.setattr(wandb.Api, "_HTTP_TIMEOUT", 1)  # 19 s in earnest
    step_ended = Clock.on_train_batch_end

    def lose(self: Clock, trainer: L.Trainer, *rest: Any) -> None:
        step_ended(self, trainer, *rest)
        if trainer.global_step == STEPS // 2:
            server.gone = outage == "gone"
            server.failing = outage if isinstance(outage, int) else 0
            if outage == "late":
                server.late.clear()

    monkeypatch.setattr(Clock, "on_train_batch_end", lose)
    folder = tiny_run(tmp_path)
    assert len(server.runs) == 1  # it was there when the run began
    assert_complete(folder)
    monkeypatch.undo()
