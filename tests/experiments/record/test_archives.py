"""Archived records: all of what a report reads and nothing else, the same bytes for the same runs, damage named."""

import io
import shutil
import tarfile
from pathlib import Path

import pytest

from experiments.record.archives import main, run_folders, unpacked, write_archives
from tests.support.fakes.long_range import write_task
from tests.support.fakes.runs import folder_of, write_run

FILES = ("attention.json", "metrics.jsonl", "result.json", "hypotheses/test.jsonl")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def outside() -> bytes:
    """An archive of a file that would lie outside of the folder that it is unpacked into."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as archive:
        archive.addfile(tarfile.TarInfo("../outside"))
    return buffer.getvalue()


def written(root: Path) -> tuple[Path, list[str]]:
    records = root / "records"
    return records, [str(path.relative_to(records)) for path in write_archives(root / "runs", "quick", records)]


def test_records_come_back_as_they_were_and_checkpoints_do_not(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs", "lstm", sentences=5, test_sets=("test",))
    kept = contents(run)
    assert {*FILES} == {*kept}
    halves = (".result.json.x.half", "hypotheses/.test.jsonl.x.half")
    for name in (*halves, "checkpoints/best.ckpt", "tokenizers/joint.model"):
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_bytes(b"not kept")
    interrupted = folder_of(tmp_path / "runs", "lstm", seed=1)
    interrupted.mkdir()
    run.with_name("seed0.old").mkdir()
    (folder,) = unpacked(written(tmp_path)[0]).glob("quick/bleu/multi30k/lstm/base")
    assert sorted(path.name for path in folder.iterdir()) == ["seed0", "seed1"]
    assert contents(folder / "seed0") == kept


def test_the_same_runs_give_the_same_bytes_and_only_changed_tasks_are_written(tmp_path: Path) -> None:
    for root in (tmp_path / "a", tmp_path / "b"):
        write_run(root / "runs", "lstm", sentences=5)
        write_task(root / "runs", "copy")
        assert written(root)[1] == ["bleu/multi30k.tar.xz", "long-range/copy.tar.xz"]
    assert contents(tmp_path / "a" / "records") == contents(tmp_path / "b" / "records")
    assert written(root)[1] == []
    write_run(root / "runs", "lstm", sentences=5, seed=1)
    assert written(root)[1] == ["bleu/multi30k.tar.xz"]


def test_new_seeds_are_added_and_a_run_replaces_its_record(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "lstm", sentences=5)
    write_run(tmp_path / "runs", "gru", sentences=5)
    records, _ = written(tmp_path)
    shutil.rmtree(tmp_path / "runs")
    new = write_run(tmp_path / "runs", "lstm", sentences=5, seed=1)
    again = write_run(tmp_path / "runs", "lstm", sentences=5, error=0.0)
    assert written(tmp_path)[1]
    names = [f"bleu/multi30k/{run}" for run in ("gru/base/seed0", "lstm/base/seed0", "lstm/base/seed1")]
    found = run_folders(tmp_path / "nowhere", "quick", records)
    assert list(found) == names
    assert [contents(found[name]) for name in names[1:]] == [contents(again), contents(new)]
    (tmp_path / "runs/quick/bleu/multi30k/gru/base/seed0").mkdir(parents=True)  # it broke off
    found = run_folders(tmp_path / "runs", "quick", records)
    assert [found[name] for name in names[1:]] == [again, new]
    assert (found[names[0]] / "result.json").exists()
    assert written(tmp_path)[1] == []


@pytest.mark.parametrize("harm", ["cut", "emptied", "not one", "changed", "of a path outside"])
def test_a_damaged_archive_is_named_with_the_remedy(
    harm: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "runs", "lstm", sentences=5)
    arguments = ["--suite", "quick", "--runs", str(tmp_path / "runs"), "--results", str(tmp_path)]
    main(arguments)
    path = tmp_path / "quick" / "records" / "bleu" / "multi30k.tar.xz"
    assert capsys.readouterr().out.startswith(f"{path}\n1 of 1 archives written")
    whole = path.read_bytes()
    half = len(whole) // 2
    path.write_bytes(
        {
            "cut": whole[:half],
            "emptied": b"",
            "not one": b"version https://git-lfs.github.com/spec/v1\n",
            "changed": whole[:half] + bytes([whole[half] ^ 1]) + whole[half + 1 :],
            "of a path outside": outside(),
        }[harm]
    )
    with pytest.raises(SystemExit, match=r"multi30k.tar.xz cannot be read \(.+\): restore it with `git checkout -- /"):
        main(arguments)


def test_nothing_to_archive_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="quick holds no runs to archive"):
        main(["--suite", "quick", "--runs", str(tmp_path), "--results", str(tmp_path)])
