from pathlib import Path

import pytest

from experiments.translation.remeasure import finished_run, measure_each
from tests.experiments.translation.conftest import MODELS, run_folder
from tests.support.tiny_runs import tiny_key


def measured(folder: Path) -> str:
    key, _ = finished_run(folder)
    return f"{key.model} measured"


def test_the_key_is_that_of_the_run_and_a_second_training_is_another(trained: Path) -> None:
    for model in MODELS:
        key, training = finished_run(run_folder(trained, model))
        assert key.folder == run_folder(trained, model)
        assert key.identity == tiny_key(trained, model).identity
        assert len(set(training)) == 2


def test_a_run_that_cannot_be_measured_does_not_stop_the_others(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run_folder(store, "lstm") / "result.json").unlink()
    (store / "runs" / "tiny" / "bleu" / "files-en-de" / "notes").mkdir()
    assert not measure_each("tiny", str(store / "runs"), measured)
    said = capsys.readouterr()
    expected = f"skipped {run_folder(store, 'lstm')}: this run is not finished: run `make bleu SUITE=tiny`.\n"
    assert (said.out, said.err) == ("transformer measured\n", expected)


def test_all_are_measured_in_the_order_of_their_folders(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert measure_each("tiny", str(trained / "runs"), measured)
    assert capsys.readouterr().out == "lstm measured\ntransformer measured\n"


def test_nothing_that_could_be_measured(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no translation run under .*runs/tiny: run `make bleu SUITE=tiny` first"):
        measure_each("tiny", str(tmp_path / "runs"), measured)
    run_folder(tmp_path, "lstm").mkdir(parents=True)
    with pytest.raises(SystemExit, match=r"no run of .*runs/tiny/bleu could be measured, for the reasons above"):
        measure_each("tiny", str(tmp_path / "runs"), measured)
