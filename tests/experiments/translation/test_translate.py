import re
import shutil
from pathlib import Path

import pytest
import torch

from datamodules.batch import EOS
from experiments.training.trained_run import find_runs, load_module
from experiments.translation.translate import main
from models.search import search
from tests.experiments.translation.conftest import MODELS
from tests.support.refusals import refusal
from tests.support.tiny_runs import tiny_key

TEXT = "The old man sees a dog."


@pytest.fixture
def root(trained: Path) -> Path:
    return trained / "runs"


def refused(text: str, root: Path, **arguments: str | int) -> str:
    return refusal(main, text, root=str(root), **arguments)


def test_every_model_has_a_line_with_its_translation_and_score(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(TEXT, suite="tiny", root=str(root))
    source, *lines = capsys.readouterr().out.splitlines()
    assert source == f"source  {TEXT}"
    assert len(lines) == 2
    for line, model in zip(lines, MODELS, strict=True):
        folder = tiny_key(root.parent, model).folder
        module, data, decoding = load_module(folder)
        source_ids = torch.tensor([[*data.source_tokenizer.encode(TEXT), EOS]])
        best = search(module.network, source_ids, decoding)[0][0]
        hypothesis = data.target_tokenizer.decode(best.tokens)
        score = f"(score {best.score:.3f}, log P {best.log_prob:.2f})"
        assert re.sub(r" +", " ", line) == re.sub(r" +", " ", f"files-en-de {model} seed0 {hypothesis} {score}")


def test_a_model_without_its_weights_is_left_out(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = Path(shutil.copytree(root, tmp_path / "runs"))
    first, second = (tiny_key(tmp_path, model).folder / "checkpoints" / "best.ckpt" for model in MODELS)
    first.unlink()
    main(TEXT, suite="tiny", root=str(copied))
    _, translated, said = capsys.readouterr().out.splitlines()
    assert MODELS[1] in translated
    assert re.fullmatch(rf"left out: {first} is not there: delete .*result.json and train this run again\.", said)
    second.unlink()
    assert "best.ckpt is not there" in refused(TEXT, copied, suite="tiny")


def test_n_best_hypotheses_come_best_first(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(TEXT, suite="tiny", n_best=2, root=str(root))
    scores = [float(score) for score in re.findall(r"score (-?[0-9.]+)", capsys.readouterr().out)]
    assert len(scores) == 4
    assert scores[0] >= scores[1]
    assert scores[2] >= scores[3]


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_text_is_one_sentence(text: str, root: Path) -> None:
    assert "TEXT is empty" in refused(text, root, suite="tiny")


def test_without_a_finished_run_the_sentence_says_how_to_get_one(tmp_path: Path) -> None:
    assert "make bleu SUITE=quick" in refused(TEXT, tmp_path)


def test_more_hypotheses_than_beams_are_one_sentence(root: Path) -> None:
    assert "beam_size" in refused(TEXT, root, suite="tiny", n_best=9)


@pytest.mark.parametrize("suite", ["mien", "Full", "../runs/tiny"])
def test_a_suite_that_there_is_not_is_a_mistake(suite: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(TEXT, suite=suite, root=str(tmp_path))
    assert stopped.value.code == 2
    assert f"SUITE is '{suite}', but" in capsys.readouterr().err


def test_only_finished_runs_are_found_of_the_first_suite_that_has_any(tmp_path: Path) -> None:
    def made(suite: str, name: str, seed: str = "seed0") -> Path:
        folder = tmp_path / suite / "bleu" / "embedded-en-de" / "lstm" / "base" / seed
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
        return folder

    both = ["full", "quick"]
    quick, full = made("quick", "result.json"), made("full", "failure.json")
    made("smoke", "result.json")
    made("quick", "result.json", "until-20260101-000000-seed0")  # of an earlier configuration
    assert find_runs(tmp_path, both, "bleu") == [quick]
    made("full", "result.json")
    assert find_runs(tmp_path, both, "bleu") == [full]
    assert find_runs(tmp_path, ["quick"], "bleu") == [quick]
    assert "full/bleu or " in (said := refused(TEXT, tmp_path / "elsewhere"))
    assert said.endswith("quick/bleu: run `make bleu SUITE=quick` first.")
