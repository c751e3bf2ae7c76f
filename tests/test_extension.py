"""A fourth model and a further task are one new file each: the README's own, written and run as a reader would."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from readme import ROOT, files_to_write, snippets

import datamodules
import models
from analysis import report
from datamodules import embedded
from datamodules.batch import BOS, EOS, IGNORE, PAD, collate
from experiments import run
from experiments.trainer import TrainerSettings, build_trainer
from models.network import select_rows
from models.search import Decoding, search

SMOKE = ROOT / "experiments" / "configs" / "bleu" / "smoke" / "common.yaml"


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the README's files, its `models` and `datamodules` importable as if they lay in the packages."""
    for path, text in files_to_write().items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    for package in (models, datamodules):
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path / package.__name__)])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    yield tmp_path
    for package, name in ((models, "bag"), (datamodules, "reverse")):
        sys.modules.pop(f"{package.__name__}.{name}", None)
        vars(package).pop(name, None)


def bag(written: Path, **sizes: Any) -> models.Seq2SeqModule:
    from models.bag import BagSeq2Seq  # type: ignore[import-not-found]

    torch.manual_seed(0)
    module: models.Seq2SeqModule = BagSeq2Seq(**sizes).eval()
    return module


def test_the_new_network_decodes_step_by_step_as_at_once(written: Path) -> None:
    network = bag(written, source_vocabulary=11, target_vocabulary=13, width=8).network
    source = torch.tensor([[4, 5, 6, EOS], [7, EOS, PAD, PAD]])
    decoder_input = torch.tensor([[BOS, 4, 5], [BOS, 6, 7]])
    expected = network.decode(network.encode(source), decoder_input)
    memory = network.encode(source)
    state = network.start(memory)
    for t in range(decoder_input.shape[1]):
        features, state = network.step(decoder_input[:, t], memory, state)
        torch.testing.assert_close(features, expected[:, t])
    assert select_rows(state, torch.tensor([1, 0, 1])).shape == (3, 8)


def test_the_new_network_ignores_padding_and_order(written: Path) -> None:
    network = bag(written, source_vocabulary=11, target_vocabulary=13, width=8).network
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
    module, data, _ = run.load_module(folder)
    assert type(module).__name__ == "BagSeq2Seq"
    assert len(data.target_tokenizer) == 300
    report.main(["--suite", "smoke"])
    assert "| bag |" in (written / "results/smoke/report.md").read_text()
    run.main(["-c", str(SMOKE), "-c", yaml_file, *tiny, *named])
    assert "finished already" in capsys.readouterr().out


def test_the_new_task_yields_the_common_batch(written: Path) -> None:
    from datamodules.reverse import ReverseDigits  # type: ignore[import-not-found]

    data = ReverseDigits(length=6)
    batch = next(iter(data.train_dataloader()))
    assert batch.source.shape == batch.labels.shape == batch.decoder_input.shape == (64, 7)
    assert (batch.decoder_input[:, 0] == BOS).all()
    assert (batch.labels != IGNORE).all()
    torch.testing.assert_close(batch.labels[:, :-1], batch.source[:, :-1].flip(1))
    torch.testing.assert_close(data.train[5], data.train[5])
    assert max(int(batch.source.max()), int(batch.labels.max())) < data.source_vocab_size


def test_the_readmes_snippet_trains_and_searches(written: Path) -> None:
    (snippet,) = snippets()
    shorter = snippet.replace("max_steps=1000, validate_every=200", "max_steps=10, validate_every=5")
    names: dict[str, Any] = {}
    exec(compile(shorter, "README.md", "exec"), names)
    assert names["trainer"].global_step == 10
    (found,) = names["found"]
    assert len(found) == 3
    assert found[0].score == max(hypothesis.score for hypothesis in found)
    assert all(0 <= token < names["data"].target_vocab_size for hypothesis in found for token in hypothesis.tokens)


def test_the_new_model_learns_the_new_task(written: Path, tmp_path: Path) -> None:
    """Two digits: their bag says which, and the loss must fall far below that of guessing (ln 14 = 2.6)."""
    from datamodules.reverse import ReverseDigits

    from models.modules import Optimisation

    data = ReverseDigits(length=2)
    fast = Optimisation(learning_rate=0.02, schedule="linear", warmup_steps=10, label_smoothing=0.0)
    module = bag(written, source_vocabulary=14, target_vocabulary=14, width=32, optimisation=fast).train()
    settings = TrainerSettings(120, 60, "val/token_accuracy", accelerator="cpu", precision="32-true", ema_decay=0.9)
    trainer = build_trainer(settings, tmp_path / "run", [], [])
    trainer.fit(module, datamodule=data)
    assert float(trainer.callback_metrics["val/loss"]) < 0.8
    batch = collate([data.val[i] for i in range(50)])
    hypotheses = search(module.eval().network, batch.source, Decoding(beam_size=2))
    digits = [
        sorted(best.tokens) == sorted(s[:2].tolist()) for (best,), s in zip(hypotheses, batch.source, strict=True)
    ]
    assert sum(digits) > 40
