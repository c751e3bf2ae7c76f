"""JoeyNMT's own training loop and its own beam search, in blocks. Runs in JoeyNMT's environment.

python -m experiments.speed.peers.joeynmt_worker config.yaml updates
"""

import os
import sys
from pathlib import Path
from typing import Any

from experiments.speed.peers.protocol import BlockTimer, WorkerChannel

# Before the imports, which print.
channel = WorkerChannel()

import torch  # noqa: E402
from joeynmt.config import BaseConfig, load_config, parse_global_args  # type: ignore[import-not-found]  # noqa: E402
from joeynmt.prediction import predict, prepare  # type: ignore[import-not-found]  # noqa: E402
from joeynmt.training import TrainManager  # type: ignore[import-not-found]  # noqa: E402


class TimedTrainManager(TrainManager):
    """Unchanged, but counts each batch, and ends a block where JoeyNMT logs."""

    timer: BlockTimer

    def _train_step(self, batch: Any) -> Any:
        result = super()._train_step(batch)
        source, target = batch.src, batch.trg
        self.timer.count(
            batch.ntokens, int(batch.src_length.sum()) + batch.ntokens, int(source.numel() + target.numel())
        )
        return result

    def _log_scores(self, *scores: Any) -> None:
        super()._log_scores(*scores)
        self.timer.pause()


def main(config: str, updates: int) -> None:
    """Carry out commands until the input ends."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    if os.environ.get("ONEDNN_MATMUL"):  # as `models.kernels.matmul_backend` has them
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"  # type: ignore[attr-defined]
    settings = load_config(Path(config))
    Path(settings["model_dir"]).mkdir(parents=True, exist_ok=True)
    args = parse_global_args(settings, rank=0, mode="train")
    model, train_data, validation_data, test_data = prepare(args, rank=0, mode="train")
    manager = TimedTrainManager(
        rank=0,
        model=model,
        model_dir=args.model_dir,
        device=args.device,
        num_workers=args.num_workers,
        autocast=args.autocast,
        seed=args.seed,
        train_args=args.train,
        dev_args=args.test,
    )
    manager.timer = BlockTimer(channel, updates, lambda: translate(args, model, test_data))
    channel.answer(parameters=sum(p.numel() for p in model.parameters()), name=f"JoeyNMT {settings['joeynmt_version']}")
    manager.timer.wait()
    manager.train_and_validate(train_data=train_data, valid_data=validation_data)


def translate(args: BaseConfig, model: torch.nn.Module, data: Any) -> list[str]:
    """Beam search with JoeyNMT's own `predict`, in the order of the test set."""
    found = predict(
        model=model, data=data, device=args.device, n_gpu=0, num_workers=args.num_workers, args=args.test,
        autocast=args.autocast,
    )  # fmt: skip
    hypotheses: list[str] = found[2]
    return hypotheses


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
