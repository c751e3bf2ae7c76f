"""A finished run of made-up numbers, for what compares one carrying-out with another."""

import json
from pathlib import Path

import torch


def write_run(folder: Path, weights: float = 1.0, seconds: float = 3.0) -> Path:
    """A finished run of made-up numbers."""
    measurements = [
        {"metric": "val_loss", "value": 2.5, "unit": "nats", "n": 300, "x_name": "", "x": None},
        {"metric": "train_seconds", "value": seconds, "unit": "s", "n": 1, "x_name": "", "x": None},
        {"metric": "target_tokens_per_second", "value": 9 / seconds, "unit": "tokens/s", "n": 1, "x_name": "", "x": 0},
    ]
    when = {"step": 20, "seconds": seconds, "target_tokens": 900}
    curve = [
        {**when, "metric": "train/loss", "value": 3.25},
        {**when, "metric": "train/tokens_per_second", "value": 9 / seconds},
    ]
    rows = [{"id": 0, "source": "a", "reference": "b", "hypothesis": "x\x85y", "score": -1.0, "log_prob": -2.0}]
    (folder / "hypotheses").mkdir(parents=True)
    (folder / "checkpoints").mkdir()
    (folder / "result.json").write_text(json.dumps({"measurements": measurements}))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in curve))
    more = {"source_tokens": 4, "truncated": False}
    text = "".join(json.dumps({**row, **more}, ensure_ascii=False) + "\n" for row in rows)
    (folder / "hypotheses" / "test.jsonl").write_text(text, encoding="utf-8")
    torch.save({"state_dict": {"w": torch.tensor([weights])}, "clock": seconds}, folder / "checkpoints" / "best.ckpt")
    return folder
