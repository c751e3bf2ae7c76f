"""JoeyNMT itself, where `make speed-peers` has installed it, on a corpus that fits into one batch."""

from pathlib import Path

import pytest

from experiments.speed.peers import sizes
from experiments.speed.peers.joeynmt_files import write_config, write_text
from experiments.speed.peers.protocol import Worker
from experiments.training.environment import environment
from tests.support.readme import ROOT
from tests.support.tiny_peers import peer_data
from tests.support.tiny_runs import SIZES

ENVIRONMENT = ROOT / ".venv-peers"
pytestmark = pytest.mark.skipif(
    not (ENVIRONMENT / "installed").exists(), reason="JoeyNMT is installed by make speed-peers"
)


@pytest.mark.parametrize("model", sizes.SYSTEMS)
def test_joeynmt_trains_on_and_counts_the_tokens_that_we_do(model: str, tmp_path: Path) -> None:
    data = peer_data(tmp_path, max_tokens=100_000)  # an update is an epoch
    folder = tmp_path / "peers"
    write_text(data, folder)
    config = write_config(model, 0.3, data, 2, model, folder)
    command = [str(ENVIRONMENT / "bin" / "python"), "-W", "ignore", "-m", "experiments.speed.peers.joeynmt_worker"]
    log = tmp_path / "log.txt"
    with Worker(model, [*command, str(config), "2"], log, {**environment(1), "PYTHONPATH": str(ROOT)}) as worker:
        assert worker.started["parameters"] > 0
        first, second = worker.ask("train"), worker.ask("train")
        hypotheses = worker.ask("translate")["hypotheses"]
    examples = data.examples("train")
    batch = examples.batch(range(len(examples)))
    target_tokens = int(examples.lengths[:, 1].sum())
    for block in (first, second):
        assert block.pop("seconds") > 0
        assert block == {
            "updates": 2,
            "target_tokens": 2 * target_tokens,
            "tokens": 2 * int(examples.lengths.sum()),
            "positions": 2 * (batch.source.numel() + batch.labels.numel()),
        }
    assert len(hypotheses) == SIZES["seen"]
