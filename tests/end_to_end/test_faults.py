"""What the machine may do to a run: a file or folder that cannot be written, no memory."""

import errno
import multiprocessing
import os
import re
import resource
from pathlib import Path

import pytest

from experiments.run import main
from tests.support.refusals import refusal
from tests.support.tiny_runs import STEPS, read_json, read_lines, tiny_arguments, tiny_key, tiny_run


def trained_steps(folder: Path) -> list[int]:
    return [row["step"] for row in read_lines(folder / "metrics.jsonl") if row["metric"] == "train/loss"]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_file_that_the_system_refuses_is_one_sentence_with_the_remedy_and_nothing_is_lost(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, limit = tiny_key(tmp_path).folder, 100_000  # bytes: enough for all but a checkpoint

    def run_with_a_limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        main(tiny_arguments(tmp_path))

    process = multiprocessing.get_context("fork").Process(target=run_with_a_limit)
    process.start()
    process.join()
    assert process.exitcode == 1
    sentence = r"error: File too large: \S+\.ckpt: raise the limit of file sizes \(ulimit -f\); the same command .*"
    assert re.fullmatch(sentence, capfd.readouterr().err.splitlines()[-1])
    assert "File too large" in read_json(folder / "failure.json")["error"]
    assert list(folder.glob("checkpoints/*.ckpt")) == []
    tiny_run(tmp_path)
    assert trained_steps(folder) == [*range(1, STEPS + 1)]
    assert not (folder / "failure.json").exists()
    assert not list(folder.rglob("*.half"))


def test_memory_that_runs_out_is_a_recorded_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: 9 TB")

    monkeypatch.setattr("models.lightning_modules.Seq2SeqModule.training_step", refuse)
    with pytest.raises(RuntimeError, match="can't allocate"):
        main(tiny_arguments(tmp_path))
    failure = read_json(tiny_key(tmp_path).folder / "failure.json")
    assert "can't allocate memory" in failure["error"]
    assert "in refuse" in failure["traceback"]


def test_a_folder_that_is_read_only_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(lock: object, **_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(tmp_path))

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    said = refusal(main, tiny_arguments(tmp_path))
    assert said.startswith(f"error: Read-only file system: {tmp_path}")
    assert "make the folder writable" in said
