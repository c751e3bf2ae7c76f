import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from experiments.training.trained_run import load_module
from experiments.translation import attention_heads, contrastive, translate
from experiments.translation.remeasure import finished_run, measure_each
from tests.experiments.translation.conftest import MODELS
from tests.support.tiny_runs import read_json, tiny_key


def measured(folder: Path) -> str:
    key, _ = finished_run(folder)
    return f"{key.model} measured"


def test_the_key_is_that_of_the_run_and_a_second_training_is_another(trained: Path) -> None:
    for model in MODELS:
        key, training = finished_run(tiny_key(trained, model).folder)
        assert key.folder == tiny_key(trained, model).folder
        assert key.identity == tiny_key(trained, model).identity
        record = read_json(key.folder / "result.json")
        assert training == [record["config_hash"], record["finished"]]


def test_a_run_that_cannot_be_measured_does_not_stop_the_others(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tiny_key(store, "lstm").folder / "result.json").unlink()
    (store / "runs" / "tiny" / "bleu" / "files-en-de" / "notes").mkdir()
    assert not measure_each("tiny", str(store / "runs"), measured)
    said = capsys.readouterr()
    expected = f"skipped {tiny_key(store, 'lstm').folder}: this run is not finished: run `make bleu SUITE=tiny`.\n"
    assert (said.out, said.err) == ("transformer measured\n", expected)


def test_all_are_measured_in_the_order_of_their_folders(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert measure_each("tiny", str(trained / "runs"), measured)
    assert capsys.readouterr().out == "lstm measured\ntransformer measured\n"


def test_nothing_that_could_be_measured(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no translation run under .*runs/tiny: run `make bleu SUITE=tiny` first"):
        measure_each("tiny", str(tmp_path / "runs"), measured)
    tiny_key(tmp_path, "lstm").folder.mkdir(parents=True)
    with pytest.raises(SystemExit, match=r"no run of .*runs/tiny/bleu could be measured, for the reasons above"):
        measure_each("tiny", str(tmp_path / "runs"), measured)


@pytest.fixture
def alone(trained: Path, tmp_path: Path) -> Path:
    """A run store that is nothing but the folder of a run: its corpus and caches are on another machine."""
    folder = shutil.copytree(tiny_key(trained, "transformer").folder, tiny_key(tmp_path, "transformer").folder)
    config = folder / "config.yaml"
    config.write_text(config.read_text(encoding="utf-8").replace(str(trained), "/dev/null"), encoding="utf-8")
    return tmp_path / "runs"


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_alone_translates_as_it_did(alone: Path, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, said = contents(alone), []
    for root in (trained / "runs", alone):
        translate.main("The old man sees a dog.", suite="tiny", root=str(root))
        said.append(next(line for line in capsys.readouterr().out.splitlines() if "transformer" in line))
    assert said[0] == said[1]
    assert contents(alone) == before


def test_a_run_alone_is_inspected_and_scored_also_where_nothing_can_be_written(
    alone: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **named: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(named.get("dir")))

    before = contents(alone)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refuse)
        for stage in (attention_heads, contrastive):
            stage.main("tiny", str(alone))
            said = capsys.readouterr()
            assert "seed0 is not written (Read-only file system): the next line is all that is kept" in said.err
            assert ("24 attention heads" if stage is attention_heads else " pairs") in said.out
    assert contents(alone) == before
    for stage, experiment in ((attention_heads, "inspection"), (contrastive, "long-range")):
        stage.main("tiny", str(alone))
        assert [*(alone / "tiny" / experiment).rglob("result.json")]


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"another file")])
def test_a_run_without_its_tokenizer_translates_nothing(damage: Any, alone: Path) -> None:
    path = tiny_key(alone.parent, "transformer").folder / "tokenizers" / "joint.model"
    damage(path)
    with pytest.raises((FileNotFoundError, ValueError), match=f"{path} is not .*: train its run again"):
        load_module(path.parents[1])
