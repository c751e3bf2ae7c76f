from collections.abc import Iterator

import pytest
import torch

from experiments.tracking import decide_mode


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Tiny tensors gain nothing from threads, and results do not depend on the number of cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def no_tracking(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """W&B off, and decided anew by the next test."""
    monkeypatch.setenv("WANDB_MODE", "disabled")
    decide_mode.cache_clear()
    yield
    decide_mode.cache_clear()
