"""No key and nothing else of the environment is in what a run writes, prints or sends."""

import base64
from pathlib import Path

import pytest
import wandb

from analysis import report
from experiments.run import main
from experiments.tracking.logger import decide_mode
from tests.support.tiny_runs import tiny_arguments, tiny_run
from tests.support.wandb_server import WandbServer

KEY = "5ec2e7" + "0123456789abcdef" * 2 + "5e"  # made up, of the form that W&B's have
TOKEN = "another-secret-of-the-environment"


def written_or_said(folder: Path, secret: str, *said: str) -> list[str]:
    """Where a secret is, plain or encoded for HTTP, among all files and everything that was printed."""
    forms = [secret.encode(), base64.b64encode(f"api:{secret}".encode()).rstrip(b"=")]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    found = [str(path) for path in files if any(form in path.read_bytes() for form in forms)]
    return found + [text for text in said if any(form.decode() in text for form in forms)]


def test_no_key_and_no_environment_is_in_what_a_run_leaves(
    tmp_path: Path, server: WandbServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("SOME_TOKEN", TOKEN)
    root = tmp_path / "project"
    root.mkdir()
    tiny_run(root)
    server.failing = 403  # what is refused is written about
    monkeypatch.setattr("experiments.tracking.logger.ANSWER", 3.0)
    decide_mode.cache_clear()
    wandb.teardown()
    tiny_run(root, model="transformer")
    with pytest.raises(SystemExit):
        main(
            [*tiny_arguments(root, "bahdanau"), "--data.init_args.corpus.name=multi30k", "--data.init_args.data_dir=x"]
        )
    report.main(["--suite", "tiny", "--runs", str(root / "runs"), "--results", str(root / "results")])
    said = capfd.readouterr()
    assert any(root.rglob("debug-internal.log"))
    assert any(root.rglob("failure.json"))
    for secret in (KEY, TOKEN):
        assert written_or_said(root, secret, said.out, said.err) == []
        assert secret.encode() not in b"".join(server.files.values())
        assert secret not in str([vars(run) for run in server.runs.values()])


def test_the_search_for_keys_can_find_one(tmp_path: Path) -> None:
    for number in range(11):
        (tmp_path / str(number)).write_text("nothing")
    (tmp_path / "config.yaml").write_text(f"key: {KEY}")
    (tmp_path / "debug.log").write_bytes(b"\x00Basic " + base64.b64encode(f"api:{KEY}".encode()))
    found = written_or_said(tmp_path, KEY, "nothing", f"login with {KEY}")
    assert sorted(Path(place).name for place in found) == ["config.yaml", "debug.log", f"login with {KEY}"]
