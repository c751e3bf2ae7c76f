"""What the machine may do to a run: a full disk, a folder that cannot be written, data that vanish, no memory."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.run import main
from tests.support.tiny_runs import STEPS, read_json, read_lines, tiny_arguments, tiny_key, tiny_run

pytestmark = pytest.mark.usefixtures("no_tracking")
HERE = Path(__file__).parents[2]


def run_limited(root: Path, kind: int, limit: int) -> subprocess.CompletedProcess[str]:
    """A run in a process of its own that the system gives only so much of something."""
    return subprocess.run(
        [sys.executable, "-m", "experiments.run", *tiny_arguments(root)],
        cwd=HERE,
        env={**os.environ, "WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(kind, (limit, limit)),
        capture_output=True,
        text=True,
        check=False,
    )


def trained_steps(folder: Path) -> list[int]:
    return [row["step"] for row in read_lines(folder / "metrics.jsonl") if row["metric"] == "train/loss"]


def test_a_file_that_the_system_refuses_is_one_sentence_with_the_remedy_and_nothing_is_lost(tmp_path: Path) -> None:
    folder = tiny_key(tmp_path).folder
    ended = run_limited(tmp_path, resource.RLIMIT_FSIZE, 100_000)  # enough for all but a checkpoint
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        "error: File too large: raise the limit of file sizes (ulimit -f); the same command goes on from the last "
        "checkpoint."
    )
    assert "File too large" in read_json(folder / "failure.json")["error"]
    assert list(folder.glob("checkpoints/*.ckpt")) == []
    tiny_run(tmp_path)
    assert trained_steps(folder) == [*range(1, STEPS + 1)]
    assert not (folder / "failure.json").exists()
    assert not [path for path in folder.rglob("*") if path.name.endswith(".half")]


def test_memory_that_runs_out_is_a_recorded_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: 9 TB")

    with monkeypatch.context() as patch:
        patch.setattr("models.modules.Seq2SeqModule.training_step", refuse)
        with pytest.raises(RuntimeError, match="can't allocate"):
            main(tiny_arguments(tmp_path))
    failure = read_json(tiny_key(tmp_path).folder / "failure.json")
    assert "can't allocate memory" in failure["error"]
    assert "in refuse" in failure["traceback"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a file system is not allowed here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_loses_nothing_and_the_run_goes_on_when_there_is_space(
    small_disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = tiny_run(tmp_path / "whole")
    tiny_arguments(small_disk)  # the corpus is there before the disk is full
    filler = small_disk / "filler"

    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(bytes(4_000_000))
    with pytest.raises(SystemExit) as stopped:
        main(tiny_arguments_as_they_are(small_disk))
    assert "No space left on device" in str(stopped.value.code)
    assert "free some space" in str(stopped.value.code)
    filler.unlink()
    tiny_run(small_disk)
    parts = tiny_key(small_disk).folder
    assert trained_steps(parts) == trained_steps(whole)
    assert [r["hypothesis"] for r in read_lines(parts / "hypotheses" / "unseen.jsonl")] == [
        r["hypothesis"] for r in read_lines(whole / "hypotheses" / "unseen.jsonl")
    ]


def tiny_arguments_as_they_are(root: Path) -> list[str]:
    """Those of `tiny_arguments`, without writing their files again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "write_text", lambda *_, **__: None)
        return tiny_arguments(root)


def test_a_folder_that_is_read_only_is_one_sentence(small_disk: Path) -> None:
    arguments = tiny_arguments(small_disk)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    said = str(stopped.value.code)
    assert said.startswith("error: Read-only file system: ")
    assert "make the folder writable" in said
    assert "\n" not in said


def test_data_that_vanish_before_a_run_goes_on_are_named_and_its_checkpoints_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_run(tmp_path)
    (folder / "result.json").unlink()
    missing = tmp_path / "corpus" / "val.de"
    kept = missing.rename(tmp_path / "elsewhere")
    with pytest.raises(SystemExit) as stopped:
        main(tiny_arguments_as_they_are(tmp_path))
    assert str(missing) in str(stopped.value.code)
    assert "\n" not in str(stopped.value.code)
    kept.rename(missing)
    tiny_run(tmp_path)
    assert trained_steps(folder) == [*range(1, STEPS + 1)]
