import os

import pytest

from experiments.training.environment import KEEP_MEMORY, environment


def test_a_runs_environment_is_the_callers_with_defaults_for_what_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"HOME": "/home/me"})
    own = {"GLIBC_TUNABLES": KEEP_MEMORY, "PYTHONUNBUFFERED": "1"}
    assert environment(3) == {"HOME": "/home/me", "OMP_NUM_THREADS": "3", **own}
    given = {"OMP_NUM_THREADS": "1", "WANDB_MODE": "online", "PYTHONUNBUFFERED": ""}
    monkeypatch.setattr(os, "environ", {**given, "GLIBC_TUNABLES": "glibc.malloc.check=1"})
    tunables = f"glibc.malloc.check=1:{KEEP_MEMORY}"
    assert environment(3) == {**given, "GLIBC_TUNABLES": tunables, "PYTHONUNBUFFERED": "1"}
