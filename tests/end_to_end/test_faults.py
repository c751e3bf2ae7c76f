"""What the machine may do to a run: a full disk, a folder that cannot be written, data that vanish, no memory."""

import multiprocessing
import re
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.run import main
from tests.support.tiny_runs import STEPS, read_json, read_lines, tiny_arguments, tiny_key, tiny_run


def trained_steps(folder: Path) -> list[int]:
    return [row["step"] for row in read_lines(folder / "metrics.jsonl") if row["metric"] == "train/loss"]


def sentence_of(arguments: list[str]) -> str:
    """The one sentence with which a run ends."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    said = str(stopped.value.code)
    assert said.startswith("error: ")
    assert "\n" not in said
    return said


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


def test_a_full_disk_loses_nothing_and_the_run_continues_when_there_is_space(small_disk: Path, trained: Path) -> None:
    arguments, filler = tiny_arguments(small_disk), small_disk / "filler"
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(bytes(4_000_000))
    said = sentence_of(arguments)
    assert "No space left on device" in said
    assert "free some space" in said
    filler.unlink()
    parts, whole = tiny_run(small_disk), tiny_key(trained).folder
    assert trained_steps(parts) == trained_steps(whole)
    one, other = (read_lines(folder / "hypotheses" / "unseen.jsonl") for folder in (parts, whole))
    assert [row["hypothesis"] for row in one] == [row["hypothesis"] for row in other]


def test_a_folder_that_is_read_only_is_one_sentence(small_disk: Path) -> None:
    arguments = tiny_arguments(small_disk)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    said = sentence_of(arguments)
    assert said.startswith("error: Read-only file system: ")
    assert "make the folder writable" in said


def test_data_that_vanish_before_a_run_is_resumed_are_named_and_its_checkpoints_are_kept(tmp_path: Path) -> None:
    arguments = tiny_arguments(tmp_path)
    main(arguments)
    folder, missing = tiny_key(tmp_path).folder, tmp_path / "corpus" / "val.de"
    (folder / "result.json").unlink()
    kept = missing.rename(tmp_path / "elsewhere")
    assert str(missing) in sentence_of(arguments)
    kept.rename(missing)
    main(arguments)
    assert trained_steps(folder) == [*range(1, STEPS + 1)]
