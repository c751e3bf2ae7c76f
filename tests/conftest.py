from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch
import wandb

from experiments.tracking.logger import decide_mode
from models.kernels.gpu import use_equal_kernels
from tests.support.tiny_runs import tiny_run
from tests.support.wandb_server import WandbServer, connected, without_login

pytest_plugins = ["tests.support.processes"]
hypothesis.settings.register_profile("any machine", deadline=None)  # a busy one is slow, and not wrong
hypothesis.settings.load_profile("any machine")


@pytest.fixture(autouse=True, scope="session")
def quiet_machine() -> Iterator[None]:
    """One thread, because tiny tensors gain nothing from more; W&B off but where a test has a server of its own.

    On a GPU, the kernels that every training has.
    """
    torch.set_num_threads(1)
    use_equal_kernels()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("WANDB_MODE", "disabled")
        decide_mode.cache_clear()
        yield


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of finished translation runs of two models, with folders `runs` and `corpus`: to be read alone."""
    root = tmp_path_factory.mktemp("trained")
    for model in ("lstm", "transformer"):
        tiny_run(root, model=model)
    return root


@pytest.fixture
def nobody_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing of this machine's W&B is used, and nothing of a test's is left to the next."""
    without_login(tmp_path, monkeypatch)
    yield
    wandb.teardown()
    decide_mode.cache_clear()


@pytest.fixture
def server(nobody_logged_in: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbServer]:
    """A W&B server on this machine, with a login."""
    with connected(tmp_path, monkeypatch) as running:
        yield running
