"""A run's folder is that of what its files hold: other text makes another run, and nothing is mixed."""

import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.launch.receipts import of_arguments
from experiments.planning.grid import Planned
from experiments.planning.parser import build_parser, identity
from experiments.record.keys import config_hash
from experiments.run import main
from experiments.training.run_folder import changes
from tests.datamodules.test_corpora import write_multi30k
from tests.support.tiny_runs import (
    STEPS,
    finished_here,
    read_json,
    recorded,
    saved,
    terminate_at,
    tiny_arguments,
    tiny_key,
    tiny_run,
)


def edit(path: Path) -> None:
    """Exchange letters, and put back the size and the time of change."""
    status = path.stat()
    path.write_text(path.read_text(encoding="utf-8").translate(str.maketrans("ae", "ea")), encoding="utf-8")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def interrupt(words: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        terminate_at(patch, STEPS - 1)
        with pytest.raises(SystemExit):
            main(words)


def described(root: Path, *more: str) -> str:
    return config_hash(identity(build_parser().parse_args([*tiny_arguments(root), *more])))


@pytest.mark.parametrize("name", ["train.en", "train.de", "val.de", "unseen.en"])
def test_a_file_edited_in_place_makes_another_run(name: str, tmp_path: Path) -> None:
    before = described(tmp_path)
    (tmp_path / "corpus" / name).touch()
    assert described(tmp_path) == before
    edit(tmp_path / "corpus" / name)
    assert described(tmp_path) != before


def test_a_fetched_corpus_counts_by_its_content_and_not_by_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_multi30k(tmp_path)
    shutil.copytree(tmp_path / "multi30k", tmp_path / "other" / "multi30k")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    words = ["--data.init_args.corpus={name: multi30k}"]
    before = described(tmp_path, *words)
    for folder, more in ((tmp_path, []), (tmp_path / "other", [f"--data.init_args.data_dir={tmp_path / 'other'}"])):
        here, receipt = described(tmp_path, *words, *more), of_arguments([*words, *more], "")
        assert here == before
        (folder / "multi30k" / "train.de.gz").write_bytes(gzip.compress(b"something else\n" * 5))
        assert described(tmp_path, *words, *more) != here
        assert of_arguments([*words, *more], "") != receipt


def test_generated_text_is_identified_by_its_settings(tmp_path: Path) -> None:
    config = build_parser().parse_args([*tiny_arguments(tmp_path), "--data.init_args.corpus={name: embedded}"])
    assert "contents" not in identity(config)


def test_an_edited_corpus_is_no_finished_run_and_one_that_is_gone_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, words = tiny_run(tmp_path), tiny_arguments(tmp_path)
    planned = Planned(tiny_key(tmp_path), (), tuple(word for word in words if not word.startswith("--run.")))
    (tmp_path / "corpus").rename(tmp_path / "away")
    assert finished_here([planned]) == [True]
    main(words)
    assert capsys.readouterr().out.endswith(f"finished already: {folder}\n")
    (tmp_path / "away").rename(tmp_path / "corpus")
    edit(tmp_path / "corpus" / "seen.de")
    assert finished_here([planned]) == [False]
    main(words)
    (earlier,) = folder.parent.glob("until-*")
    said = f"the content of {tmp_path}/corpus/seen.de changed; the earlier run is now {earlier}\n"
    assert said in capsys.readouterr().err
    texts = [read_json(path / "result.json")["held_equal"]["text"] for path in (earlier, folder)]
    assert texts[0] != texts[1]


def test_an_interrupted_run_is_not_resumed_on_another_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, folder = tiny_arguments(tmp_path), tiny_key(tmp_path).folder
    interrupt(words)
    tokenizer = (folder / "tokenizers" / "joint.model").read_bytes()
    edit(tmp_path / "corpus" / "train.en")
    main(words)
    (earlier,) = folder.parent.glob("until-*")
    assert f"train.en changed; the earlier run is now {earlier}\n" in capsys.readouterr().err
    assert saved(earlier)["global_step"] == STEPS - 1
    assert [step for step, metric, *_ in recorded(folder) if metric == "train/loss"] == [*range(1, STEPS + 1)]
    assert (folder / "tokenizers" / "joint.model").read_bytes() != tokenizer
    assert (earlier / "tokenizers" / "joint.model").read_bytes() == tokenizer


def test_a_resumed_run_keeps_the_tokenizer_that_its_weights_know(tmp_path: Path) -> None:
    """Another version of the library, for example, would train another one on the same text."""
    words, folder = tiny_arguments(tmp_path), tiny_key(tmp_path).folder
    interrupt(words)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("datamodules.translation.build_tokenizers", lambda *_: pytest.fail("trained again"))
        main(words)
    assert (folder / "result.json").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda it: it["contents"].update(a="2"), "the content of a changed"),
        (lambda it: it["contents"].update({n: "2" for n in "abcde"}), "the content of a, b, c, ... changed"),
        (lambda it: it["trainer"].update(steps=2), "the configuration changed (trainer.steps)"),
        (
            lambda it: it.pop("trainer") and it["contents"].pop("a"),
            "the configuration changed (trainer.steps, contents.a)",
        ),
        (lambda it: it.clear(), "a run in this folder does not tell what it was trained on"),
    ],
)
def test_the_sentence_names_what_changed(change: Callable[[dict], object], words: str) -> None:
    now = {"trainer": {"steps": 1}, "contents": {"a": "1", "b": "1"}}
    before = json.loads(json.dumps(now))
    change(before)
    assert changes(before, now).startswith(words)
