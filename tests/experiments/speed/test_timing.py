"""Turns, blocks and memory errors: what is counted, never how long it takes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from experiments.speed import timing
from experiments.speed.timing import alternate, fits, spread

CPU = torch.device("cpu")


def test_runs_take_turns_after_their_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "warm_up", lambda run, device: 0.01)
    order: list[str] = []
    taken = alternate({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=3, seconds=0.02)
    assert order == ["a", "a", "b", "b"] * 3  # two calls of 0.01 s fill a block
    assert {name: len(blocks) for name, blocks in taken.items()} == {"a": 3, "b": 3}


def test_a_long_call_is_a_block_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "warm_up", lambda run, device: 10.0)
    calls: list[int] = []
    alternate({"a": lambda: calls.append(1)}, rounds=2, seconds=0.1)
    assert len(calls) == 2


def test_warming_up_goes_on_until_a_call_takes_as_long_as_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([5.0, 2.0, 1.0, 1.05, 9.0])
    monkeypatch.setattr(timing, "block", lambda run, calls, device: next(times))
    assert timing.warm_up(lambda: None, CPU) == 1.0
    assert next(times) == 9.0


def test_warming_up_ends_even_if_times_never_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(float(2**n) for n in range(100))
    monkeypatch.setattr(timing, "block", lambda run, calls, device: next(times))
    timing.warm_up(lambda: None, CPU)
    assert next(times) == 2.0**timing.MOST_WARM_UPS


def test_seconds_are_per_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "warm_up", lambda run, device: 0.1)
    monkeypatch.setattr(timing, "block", lambda run, calls, device: calls * 0.5)
    assert alternate({"a": lambda: None}, rounds=2, seconds=0.4) == {"a": [0.5, 0.5]}


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=9))
def test_a_spread_lies_within_what_was_measured(seconds: list[float]) -> None:
    found = spread(seconds)
    assert min(seconds) <= found.q25 <= found.median <= found.q75 <= max(seconds)
    assert found.rounds == len(seconds)


def test_what_does_not_fit_into_memory_is_told_from_what_is_wrong() -> None:
    assert fits(lambda: torch.ones(3))
    assert not fits(lambda: torch.empty(2**60, dtype=torch.uint8))
    with pytest.raises(RuntimeError, match="shape"):
        fits(lambda: torch.ones(2).view(3))
