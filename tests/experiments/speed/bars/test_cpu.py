from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from experiments.speed.bars import cpu
from experiments.speed.bars.bar import Bar, Row
from experiments.speed.bars.cpu import peer_rows
from experiments.speed.peers import compare, sizes
from experiments.speed.record import Task
from experiments.speed.systems import System
from tests.support.fakes.runs import write_lines

AT_LEAST = Bar("a / b", "≥", 3.0, "interleaved")


def blocks(metric: str, values: list[float]) -> list[dict[str, Any]]:
    common = {"metric": metric, "x_name": "", "x": None}
    return [common | {"round": number, "value": value} for number, value in enumerate(values)]


def write_blocks(root: Path, model: str, variant: str, rates: dict[str, list[float]]) -> None:
    task = compare.task_of("tiny", model, compare.Plan(), str(root))
    folder = task.key(System(f"{model}-{variant}")).folder
    write_lines(folder / "blocks.jsonl", [row for metric, values in rates.items() for row in blocks(metric, values)])


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """fp32 four times as fast as JoeyNMT, six times in beam search; bf16 seven times for the Transformer alone."""
    monkeypatch.setattr(Task, "finished", lambda self: True)
    for model, variants in sizes.SYSTEMS.items():
        for variant in variants:
            speed = {"joeynmt": 1, "fp32": 4, "bf16": 7 if model == "transformer" else 3}.get(variant, 2)
            rates = {"target_tokens_per_second": [100.0 * speed, 200.0 * speed]}
            if variant in compare.TRANSLATING:
                rates["sentences_per_second"] = [10.0 * (6 if variant == "fp32" else 1)]
            write_blocks(tmp_path, model, variant, rates)
    return tmp_path


def test_ratios_to_joeynmt_come_from_its_record(measured: Path) -> None:
    found = {row.bar.what: row.ratios for row in peer_rows("tiny", str(measured))}
    assert found == {
        "Transformer-Tiny fp32 / JoeyNMT fp32": [4.0, 4.0],
        "Transformer-Tiny at best (bf16) / JoeyNMT fp32": [7.0, 7.0],
        "Transformer-Tiny beam 5 / JoeyNMT beam 5": [6.0],
        "Transformer-Tiny fp32 / JoeyNMT fp32 in our environment": [2.0, 2.0],
        "Transformer-Tiny bf16 / JoeyNMT fp32 in our environment": [3.5, 3.5],
        "Transformer-Tiny fp32 / JoeyNMT fp32, no dropout in either": [1.0, 1.0],
        "LSTM + Bahdanau fp32 / JoeyNMT fp32": [4.0, 4.0],
        "LSTM + Bahdanau at best (fp32) / JoeyNMT fp32": [4.0, 4.0],
        "LSTM + Bahdanau beam 5 / JoeyNMT beam 5": [6.0],
        "LSTM + Bahdanau fp32 / JoeyNMT fp32 in our environment": [2.0, 2.0],
    }


def test_a_record_of_other_code_is_not_used(measured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Task, "finished", lambda self: False)
    rows = peer_rows("tiny", str(measured))
    assert {row.outcome for row in rows} == {"not measured"}


@pytest.mark.parametrize("ratios", [[4.0], [4.0, 2.0]])
def test_one_missed_bar_fails(
    ratios: list[float], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    called: list[Any] = []
    monkeypatch.setattr(compare, "main", lambda *rest, **named: called.append(rest))
    monkeypatch.setattr(cpu, "peer_rows", lambda *rest: [Row(AT_LEAST, [ratio]) for ratio in ratios])
    monkeypatch.setattr(sizes, "multi30k", lambda: SimpleNamespace(text=lambda split: None))
    for rows in ("lstm_rows", "trainer_rows"):
        monkeypatch.setattr(cpu, rows, lambda *rest: [])
    monkeypatch.setattr(torch, "set_num_threads", called.append)
    if len(ratios) == 1:
        cpu.main("tiny")
    else:
        with pytest.raises(SystemExit, match="1 of 2 bars missed"):
            cpu.main("tiny")
    assert called[1:] == [("tiny",)]
    assert ("MISSED" if len(ratios) == 2 else "met") in capsys.readouterr().out
