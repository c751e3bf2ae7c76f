"""A finished run of made-up numbers, for what compares one carrying-out with another."""

import json
from pathlib import Path

import torch

from experiments.record.keys import Measurement, RunKey
from experiments.record.write import write_result
from tests.support.fakes.runs import PROVENANCE, write_lines


def write_run(folder: Path, weights: float = 1.0, seconds: float = 3.0) -> Path:
    """A finished run of made-up numbers in the folder of a run."""
    measurements = [
        Measurement("val_loss", 2.5, "nats", 300),
        Measurement("train_seconds", seconds, "s", 1),
        Measurement("target_tokens_per_second", 9 / seconds, "tokens/s", 1),
    ]
    when = {"step": 20, "seconds": seconds, "target_tokens": 900}
    curve = [
        {**when, "metric": "train/loss", "value": 3.25},
        {**when, "metric": "train/tokens_per_second", "value": 9 / seconds},
    ]
    rows = [{"id": 0, "source": "a", "reference": "b", "hypothesis": "x\x85y", "score": -1.0, "log_prob": -2.0}]
    (folder / "hypotheses").mkdir(parents=True)
    (folder / "checkpoints").mkdir()
    suite, experiment, task, model, variant, seed = folder.parts[-6:]
    number, root = int(seed.removeprefix("seed")), str(folder.parents[5])
    write_result(RunKey(suite, experiment, task, model, variant, number, root), {}, measurements, {}, {}, PROVENANCE)
    write_lines(folder / "metrics.jsonl", curve)
    more = {"source_tokens": 4, "truncated": False}
    text = "".join(json.dumps({**row, **more}, ensure_ascii=False) + "\n" for row in rows)
    (folder / "hypotheses" / "test.jsonl").write_text(text, encoding="utf-8")
    torch.save({"state_dict": {"w": torch.tensor([weights])}, "clock": seconds}, folder / "checkpoints" / "best.ckpt")
    return folder
