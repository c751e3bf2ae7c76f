import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
from lightning.pytorch.loggers import WandbLogger
from tiny_runs import tiny_arguments, tiny_key, tiny_run

from experiments import tracking
from experiments.run import main
from experiments.store import Measurement, RunKey
from experiments.tracking import TABLE_ROWS, decide_mode, publish, wandb_logger

CONFIG = {"model": {"width": 32}}


@pytest.fixture(autouse=True)
def nobody_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A user without a login, a home folder or a mode, and nobody to answer a prompt."""
    for name in (
        "WANDB_API_KEY",
        "WANDB_MODE",
        "WANDB_BASE_URL",
        "WANDB_PROJECT",
        "WANDB_ENTITY",
        "WANDB_IDENTITY_TOKEN_FILE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "")  # so that what the code writes to it is undone
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    wandb.teardown()
    decide_mode.cache_clear()
    yield
    wandb.teardown()
    decide_mode.cache_clear()


def key(tmp_path: Path, **changes: Any) -> RunKey:
    return RunKey(
        **{"suite": "tiny", "experiment": "bleu", "task": "t", "model": "lstm", "root": str(tmp_path), **changes}
    )


def offline_runs(folder: Path) -> list[Path]:
    return sorted(folder.glob("wandb/offline-run-*"))


def test_without_a_login_a_run_is_offline_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    login = wandb.login

    def spy(**arguments: Any) -> bool:
        asked.append(arguments)
        return bool(login(**arguments))

    monkeypatch.setattr(wandb, "login", spy)
    assert decide_mode() == "offline"
    assert tracking.os.environ["WANDB_MODE"] == "offline"
    assert asked == [{"prompt": False, "verify": False}]


def test_with_a_login_a_run_is_online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb, "login", lambda **_: True)
    assert decide_mode() == "online"


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


def test_a_run_without_a_login_leaves_exactly_one_offline_run(tmp_path: Path) -> None:
    folder = tiny_run(tmp_path)
    (run,) = offline_runs(folder)
    (file,) = run.glob("*.wandb")
    assert file.stat().st_size > 0
    assert (folder / "result.json").exists()
    assert not list(tmp_path.parent.glob("**/lightning_logs"))


def test_disabled_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert wandb_logger(key(tmp_path), CONFIG) is None
    folder = tiny_run(tmp_path)
    assert not list(tmp_path.glob("**/wandb*"))
    assert (folder / "result.json").exists()


def made_with(monkeypatch: pytest.MonkeyPatch, run_key: RunKey) -> dict[str, Any]:
    """The arguments that wandb.init is given."""
    given: list[dict[str, Any]] = []

    class Run:
        config = type("Config", (), {"update": lambda self, *_, **__: None})()

    monkeypatch.setattr(WandbLogger, "experiment", property(lambda self: given.append(self._wandb_init) or Run()))
    assert wandb_logger(run_key, CONFIG) is not None
    return given[0]


def test_the_id_follows_from_the_key_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = made_with(monkeypatch, key(tmp_path))
    assert made["name"] == "tiny/bleu/t/lstm/base/0"
    assert made["group"] == "tiny/bleu/t"
    assert made["job_type"] == "lstm"
    assert "anonymous" not in made
    elsewhere = made_with(monkeypatch, key(tmp_path / "elsewhere", command="make bleu"))
    assert elsewhere["id"] == made["id"]
    changes: list[dict[str, Any]] = [{"seed": 1}, {"model": "gru"}, {"variant": "v"}, {"task": "u"}, {"suite": "full"}]
    others = {made_with(monkeypatch, key(tmp_path, **change))["id"] for change in changes}
    assert len(others | {made["id"]}) == 6


def test_a_server_that_does_not_answer_costs_nothing_but_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    init, modes = wandb.init, []

    def flaky(*rest: Any, **arguments: Any) -> Any:
        modes.append(tracking.os.environ["WANDB_MODE"])
        if len(modes) == 1:
            raise wandb.errors.CommError("no network")
        return init(*rest, **arguments)

    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setattr(wandb, "init", flaky)
    folder = tiny_run(tmp_path)
    assert modes == ["online", "offline"]
    assert "W&B does not answer (CommError): this run is kept offline" in capsys.readouterr().err
    assert len(offline_runs(folder)) == 1
    assert (folder / "result.json").exists()


def test_a_wandb_that_always_fails_never_stops_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(wandb, "init", broken)
    folder = tiny_run(tmp_path)
    assert (folder / "result.json").exists()
    assert "W&B is off for this run (RuntimeError: broken)" in capsys.readouterr().err


class Mirror:
    """Stands for a logger and its run, and keeps what it is sent."""

    def __init__(self, broken: bool = False) -> None:
        self.summary: dict[str, float] = {}
        self.sent: list[dict[str, Any]] = []
        self.broken = broken

    @property
    def experiment(self) -> "Mirror":
        if self.broken:
            raise RuntimeError("gone")
        return self

    def log(self, values: dict[str, Any]) -> None:
        self.sent.append(values)


def hypotheses(tmp_path: Path, n: int) -> Path:
    path = tmp_path / "test.jsonl"
    row = {"source": "a\u2028b", "reference": "r", "hypothesis": "h", "score": -1.0, "log_prob": -2.0}
    path.write_text(
        "".join(json.dumps({"id": i, **row}, ensure_ascii=False) + "\n" for i in range(n)), encoding="utf-8"
    )
    return path


MEASUREMENTS = [
    Measurement("bleu", 12.5, "BLEU", 3, "test_set", "test2016"),
    Measurement("steps", 6, "steps", 1),
    Measurement("bleu_by_length", 9.0, "BLEU", 2, "source words, test2016", 11),
]


@pytest.mark.parametrize("n", [3, TABLE_ROWS + 10])
def test_final_numbers_and_some_translations_are_published(n: int, tmp_path: Path) -> None:
    mirror: Any = Mirror()
    publish(mirror, MEASUREMENTS, hypotheses(tmp_path, n))
    assert mirror.summary == {"final/bleu/test2016": 12.5, "final/steps": 6}
    (sent,) = mirror.sent
    assert [row[0] for row in sent["translations"].data] == list(range(min(n, TABLE_ROWS)))
    assert sent["translations"].data[0] == [0, "a\u2028b", "r", "h", -1.0]


def test_publishing_costs_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    publish(None, MEASUREMENTS, tmp_path / "missing.jsonl")
    broken: Any = Mirror(broken=True)
    publish(broken, MEASUREMENTS, hypotheses(tmp_path, 2))
    assert "the local record is complete" in capsys.readouterr().err


def test_a_resumed_run_keeps_its_id(tmp_path: Path) -> None:
    folder = tiny_run(tmp_path)
    (first,) = offline_runs(folder)
    (folder / "result.json").unlink()
    wandb.teardown()
    decide_mode.cache_clear()
    tiny_run(tmp_path)
    # offline-run-TIME-ID, and -1 behind it for a second run within one second
    kept = first.name.split("-")[3]
    assert [run.name.split("-")[3] for run in offline_runs(tiny_key(tmp_path).folder)] == [kept, kept]
