"""Weights divided among processes train as whole ones, and are saved whole."""

import json
from pathlib import Path

import lightning as L
import pytest
import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from datamodules.sampler import rank_and_world
from experiments.planning.parser import build_parser
from experiments.training.callbacks import Clock
from experiments.training.divergence import gradient_norms
from experiments.training.process_group import join, leave
from experiments.training.trained_run import load_module
from experiments.training.trainer import TrainerSettings, build_trainer, fit
from models import Seq2SeqModule
from tests.experiments.training.test_devices import (
    DROPOUT,
    UNEVEN,
    folder_of,
    recorded,
    run_in_two,
    saved,
    terminate,
    when,
)
from tests.support.several import in_processes
from tests.support.tiny_runs import VALIDATE_EVERY, read_json, tiny_arguments, tiny_run


class Divided(torch.nn.Module):
    """Two layers whose gradients have known norms."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = torch.nn.Linear(3, 4, bias=False), torch.nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.other(self.one(x))


def norms(folder: Path) -> None:
    """Those of gradients of which each process has a part; and what clipping by their norm leaves."""
    join("cpu")
    torch.manual_seed(0)
    network = Divided()
    fully_shard(network, mesh=init_device_mesh("cpu", (2,)))
    network(torch.ones(2, 3)).square().sum().backward()
    _, norm = gradient_norms([p.grad for p in network.parameters() if p.grad is not None])
    torch.nn.utils.clip_grads_with_norm_(network.parameters(), 0.5, norm)
    _, clipped = gradient_norms([p.grad for p in network.parameters() if p.grad is not None])
    (folder / f"{rank_and_world()[0]}.json").write_text(json.dumps([float(norm), float(clipped)]))
    leave()


def test_divided_gradients_are_clipped_by_the_norm_of_the_whole(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Divided()
    network(torch.ones(2, 3)).square().sum().backward()
    whole = torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None]).norm()
    assert in_processes(2, norms, tmp_path) == [0, 0]
    found = [read_json(tmp_path / f"{rank}.json") for rank in range(2)]
    assert found == [[pytest.approx(float(whole), rel=1e-5), pytest.approx(0.5, rel=1e-4)]] * 2


FSDP = ("--trainer.strategy=fsdp", "--trainer.ema_decay=0", UNEVEN)


@pytest.fixture(scope="module")
def divided(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run whose weights were divided between two processes."""
    root = tmp_path_factory.mktemp("divided")
    assert run_in_two(root, *FSDP) == [0, 0]
    return folder_of(root)


def test_divided_weights_train_as_whole_ones(divided: Path, tmp_path: Path) -> None:
    alone = ("--trainer.accumulate=2", "--trainer.ema_decay=0", UNEVEN)
    whole = tiny_run(tmp_path, DROPOUT, *alone, model="transformer")
    for ours, theirs in zip(recorded(divided), recorded(whole), strict=True):
        assert ours[:2] == theirs[:2]
        assert ours[2:] == pytest.approx(theirs[2:], rel=1e-4)
    shapes = [{name: w.shape for name, w in saved(folder)["state_dict"].items()} for folder in (divided, whole)]
    assert shapes[0] == shapes[1]


def test_a_checkpoint_of_divided_weights_is_loaded_by_one_process(divided: Path, tmp_path: Path) -> None:
    module, data, _ = load_module(divided)
    total, tokens = 0.0, 0
    with torch.no_grad():
        for batch in data.loader("val"):
            scored = batch.labels >= 0
            log_p = module(batch.source, batch.decoder_input)[scored].log_softmax(-1)
            total -= float(log_p.gather(1, batch.labels[scored].unsqueeze(1)).sum())
            tokens += int(scored.sum())
    best = saved(divided, "best")["global_step"]
    (measured,) = (value for step, metric, value, _ in recorded(divided) if (step, metric) == (best, "val/loss"))
    assert total / tokens == pytest.approx(measured, rel=1e-5)


def test_divided_weights_go_on_where_they_were(divided: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Clock, "on_train_batch_end", when(VALIDATE_EVERY + 1, 0, terminate))
        assert run_in_two(tmp_path, *FSDP) == [143, 143]
    assert run_in_two(tmp_path, *FSDP) == [0, 0]
    parts = folder_of(tmp_path)
    assert recorded(parts) == recorded(divided)
    torch.testing.assert_close(saved(parts)["state_dict"], saved(divided)["state_dict"], rtol=0, atol=0)


def test_what_cannot_be_divided_is_refused(tmp_path: Path) -> None:
    settings = TrainerSettings(accelerator="cpu", devices=2, strategy="fsdp")
    with pytest.raises(ValueError, match=r"trainer\.strategy fsdp .* trainer\.ema_decay to 0 \(it is 0\.998\)"):
        build_trainer(settings, tmp_path, [], [])
    settings.ema_decay = 0.0
    trainer = build_trainer(settings, tmp_path, [], [])
    with pytest.raises(ValueError, match="divides the Transformer alone, not LSTMSeq2Seq: use ddp"):
        fit(trainer, load_lstm(tmp_path), L.LightningDataModule())


def load_lstm(root: Path) -> Seq2SeqModule:
    parser = build_parser()
    return parser.instantiate(parser.parse_args(tiny_arguments(root))).model  # type: ignore[no-any-return]
