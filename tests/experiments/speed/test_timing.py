"""Interleaving, blocks and memory errors: counted, never timed."""

import gc

import pytest
import torch

from experiments.speed import timing
from experiments.speed.timing import Spread, alternate, fits, spread

CPU = torch.device("cpu")


@pytest.mark.parametrize(("call", "calls"), [(0.01, 2), (10.0, 1)])
def test_runs_are_interleaved_in_blocks_and_timed_per_call(
    call: float, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two calls of 0.01 s fill a block of 0.02 s; a long call is a block of its own."""
    monkeypatch.setattr(timing, "warm_up", lambda run, device: call)
    order: list[str] = []
    alternate({name: lambda name=name: order.append(name) for name in "ab"}, rounds=3, seconds=0.02)  # type: ignore[misc]
    assert order == [*"a" * calls, *"b" * calls] * 3
    monkeypatch.setattr(timing, "block", lambda run, calls, device: calls * 0.5)
    assert alternate({"a": lambda: None}, rounds=2, seconds=0.02) == {"a": [0.5, 0.5]}


@pytest.mark.parametrize(
    ("times", "shortest", "number"),
    [([5.0, 2.0, 1.0, 1.05, 9.0], 1.0, 4), ([float(2**n) for n in range(100)], 1.0, timing.MOST_WARM_UPS)],
)
def test_warming_up_ends_when_a_call_takes_as_long_as_the_one_before_or_after_some_calls(
    times: list[float], shortest: float, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = list(times)
    monkeypatch.setattr(timing, "block", lambda run, calls, device: left.pop(0))
    assert timing.warm_up(lambda: None, CPU) == shortest
    assert len(left) == len(times) - number


def test_no_collection_of_garbage_is_timed_and_a_spread_has_its_quartiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "warm_up", lambda run, device: 1.0)
    collected: list[bool] = []
    alternate({"a": lambda: collected.append(gc.isenabled())}, rounds=2, seconds=1.0)
    assert collected == [False, False]
    assert gc.isenabled()
    assert spread([5.0, 1.0, 2.0, 4.0, 3.0]) == Spread(3, 2, 4, 5)


def test_a_lack_of_memory_is_distinguished_from_other_errors() -> None:
    assert fits(lambda: torch.ones(3))
    assert not fits(lambda: torch.empty(2**60, dtype=torch.uint8))
    with pytest.raises(RuntimeError, match="shape"):
        fits(lambda: torch.ones(2).view(3))
