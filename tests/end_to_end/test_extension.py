"""A fourth model and a further task are one new file each: those of docs, written and run as a reader would."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import datamodules
import models
from analysis import report
from datamodules.batch import BOS, EOS, PAD
from datamodules.embedded import corpus as embedded
from datamodules.synthetic import Axis, SyntheticData
from experiments import run
from experiments.planning import grid as plan
from experiments.training.trained_run import load_module
from models.network import select_rows
from tests.support.fuzz.analysis import empty_pictures
from tests.support.readme import ROOT, files_to_write

SMOKE = ROOT / "experiments" / "configs" / "bleu" / "smoke" / "common.yaml"


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the files to write, its `models` and `datamodules` importable as if they lay in the packages."""
    for path, text in files_to_write().items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    for package in (models, datamodules):
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path / package.__name__)])
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for package, name in ((models, "bag"), (datamodules, "sorting")):
        sys.modules.pop(f"{package.__name__}.{name}", None)
        vars(package).pop(name, None)


def reported(suite: str) -> str:
    """The Markdown report of the runs in the present folder."""
    with empty_pictures():
        report.main(["--suite", suite])
    return Path("results", suite, "report.md").read_text()


def bag(written: Path, **sizes: Any) -> models.Seq2SeqModule:
    from models.bag import BagSeq2Seq  # type: ignore[import-not-found]

    torch.manual_seed(0)
    module: models.Seq2SeqModule = BagSeq2Seq(**sizes).eval()
    return module


def test_the_new_network_decodes_step_by_step_as_at_once_and_ignores_padding_and_order(written: Path) -> None:
    network = bag(written, source_vocabulary=11, target_vocabulary=13, width=8).network
    decoder_input = torch.tensor([[BOS, 4, 5], [BOS, 6, 7]])
    memory = network.encode(torch.tensor([[4, 5, 6, EOS], [7, EOS, PAD, PAD]]))
    expected, state = network.decode(memory, decoder_input), network.start(memory)
    for t in range(decoder_input.shape[1]):
        features, state = network.step(decoder_input[:, t], memory, state)
        torch.testing.assert_close(features, expected[:, t])
    assert select_rows(state, torch.tensor([1, 0, 1])).shape == (3, 8)
    memory = network.encode(torch.tensor([[4, 5, 6, PAD], [6, 4, 5, PAD]]))
    torch.testing.assert_close(memory[0], memory[1])
    torch.testing.assert_close(memory[:1], network.encode(torch.tensor([[4, 5, 6]])))


def test_the_new_model_goes_from_its_yaml_to_the_report(
    written: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(embedded, "SIZES", {"train": 300, "val": 12, "test": 12})
    yaml_file = next(path for path in files_to_write() if path.endswith("bag.yaml"))
    tiny = ["--data.init_args.tokenizer.vocab_size=300", "--trainer.max_steps=4", "--trainer.validate_every=2"]
    tiny += ["--trainer.accelerator=cpu", "--trainer.precision=32-true"]
    named = ["--run.suite=smoke", "--run.experiment=bleu", "--run.task=embedded-en-de", "--run.model=bag"]
    run.main(["-c", str(SMOKE), "-c", yaml_file, *tiny, *named])
    folder = written / "runs/smoke/bleu/embedded-en-de/bag/base/seed0"
    result = json.loads((folder / "result.json").read_text())
    assert {m["metric"] for m in result["measurements"]} >= {"bleu", "bleu_by_length", "target_tokens_per_second"}
    module, data, _ = load_module(folder)
    assert type(module).__name__ == "BagSeq2Seq"
    assert len(data.target_tokenizer) == 300
    assert "| bag |" in reported("smoke")
    run.main(["-c", str(SMOKE), "-c", yaml_file, *tiny, *named])
    assert "finished already" in capsys.readouterr().out


def test_the_new_task_yields_the_common_batch(written: Path) -> None:
    from datamodules.sorting import Sorting  # type: ignore[import-not-found]

    data = SyntheticData(Sorting(), [{"length": [6]}], {"length": 6}, [Axis("length", [6])])
    batch = next(iter(data.train_dataloader()))
    assert batch.source.shape == batch.labels.shape == batch.decoder_input.shape == (64, 6)
    torch.testing.assert_close(batch.labels, batch.source.sort(1).values)
    torch.testing.assert_close(batch.decoder_input[:, 1:], batch.labels[:, :-1])
    assert (batch.decoder_input[:, 0] == BOS).all()


def test_the_new_task_goes_from_its_yaml_to_the_report(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = written / "experiments" / "configs" / "long_range" / "quick"
    for folder in ("models", "common.yaml"):
        (mine / folder).symlink_to(plan.EXPERIMENTS / "configs" / "long_range" / "quick" / folder)
    (written / "experiments" / "suites" / "quick.yaml").symlink_to(plan.EXPERIMENTS / "suites" / "quick.yaml")
    monkeypatch.setattr(plan, "EXPERIMENTS", written / "experiments")
    tiny = ["--trainer.max_steps=2", "--trainer.validate_every=1", "--trainer.accelerator=cpu"]
    tiny += ["--data.init_args.test_examples=10", "--data.init_args.validation_examples=9"]
    planned = list(plan.plan_tasks("long-range", "quick", ["sorting"], [], [], "runs", tiny))
    assert [one.key.model for one in planned] == ["rnn", "gru", "lstm", "bahdanau", "transformer"]
    run.main(planned[2].arguments)
    assert "sorting" in reported("quick").lower()


def test_the_new_text_goes_from_its_yaml_to_the_report(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, full = (top / "configs" / "language" / "full" for top in (written / "experiments", plan.EXPERIMENTS))
    for name in ("models", "common.yaml"):
        (mine / name).symlink_to(full / name)
    (written / "experiments" / "suites" / "full.yaml").symlink_to(plan.EXPERIMENTS / "suites" / "full.yaml")
    monkeypatch.setattr(plan, "EXPERIMENTS", written / "experiments")
    monkeypatch.setenv("DATA_DIR", str(written))
    (written / "novel.txt").write_text("".join(f"Chapter {n}. It was a dark and stormy night.\n" for n in range(400)))
    tiny = ["--trainer.max_steps=2", "--trainer.validate_every=1", "--trainer.accelerator=cpu"]
    tiny += ["--data.init_args.rows=2", "--data.init_args.validation_rows=2", "--data.init_args.test_rows=2"]
    planned = list(plan.plan_tasks("language", "full", ["mine"], ["lstm"], [0], "runs", tiny))
    run.main(planned[0].arguments)
    assert "mine" in reported("full")
