import pytest
import torch

from datamodules.embedded import corpus
from experiments.speed import systems
from experiments.speed.bars import gpu
from experiments.speed.bars.gpu import Sizes, main, measured
from experiments.speed.settings import Loops
from experiments.speed.suite import read_settings
from tests.support.fakes.captures import run_again

SMALL = Sizes(rounds=2, seconds=0.001, tokens=32, vocabulary=50, width=16, rows=(2, 1), steps=3)


def test_every_bar_is_measured_at_any_size(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """The whole program on a CPU, where a capture runs the function again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(corpus, "SIZES", {"train": 2000, "val": 20, "test": 20})
    monkeypatch.setattr(systems, "capture_on", lambda device: run_again)
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    monkeypatch.setattr(gpu, "AT_MOST_MS", {("lstm", 4): 14, ("bahdanau", 8): 40, ("transformer", 4): 1e-9})
    monkeypatch.setattr(gpu, "matmul_peak", lambda *_: 1e12)
    settings = read_settings("smoke")
    settings.text = Loops(["lstm", "transformer"], "embedded", "en-de", "smoke")
    rows = list(measured(torch.device("cpu"), settings, SMALL))
    assert len(rows) == 3 + 2 + 1 + 2 * 4
    assert all(value > 0 for row in rows for value in row.ratios)
    assert {row.outcome for row in rows if row.bar.limit == 1e-9} == {"MISSED"}
    assert "captured" in rows[0].bar.how


def test_without_a_gpu_one_sentence_says_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="NVIDIA GPU"):
        main()
