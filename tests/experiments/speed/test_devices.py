import pytest
import torch

from experiments.speed.devices import rows_of, run_devices, tokens_of
from experiments.speed.settings import Devices
from experiments.speed.suite import read_settings
from experiments.speed.systems import System

CPU = torch.device("cpu")
ASKED = Devices(["lstm"], [1, 2, 4], tokens=64, length=8)


def test_weak_scaling_adds_work_and_strong_scaling_divides_it() -> None:
    assert [tokens_of("weak", n, ASKED) for n in ASKED.processes] == [64, 128, 256]
    assert [tokens_of("strong", n, ASKED) for n in ASKED.processes] == [64, 64, 64]


def test_efficiency_is_one_when_n_processes_do_n_times_the_work() -> None:
    seconds = {("lstm", "weak", n): [1.0, 1.0] for n in (1, 2, 4)}
    seconds |= {("lstm", "strong", n): [1.0 / n, 1.0 / n] for n in (1, 2)} | {("lstm", "strong", 4): [0.5, 0.5]}
    found = {(m.metric, m.x): m.value for m in rows_of(System("lstm"), ASKED, seconds, 1, CPU).measurements}
    assert [found["weak_efficiency", n] for n in (1, 2, 4)] == [1, 1, 1]
    assert [found["strong_efficiency", n] for n in (1, 2, 4)] == [1, 1, 0.5]
    assert found["weak_tokens_per_second", 4] == 256


@pytest.mark.slow
def test_processes_exchange_gradients_and_report_every_round() -> None:
    settings = read_settings("smoke")
    assert settings.devices is not None
    found, _ = run_devices(settings.devices, settings, CPU)
    assert set(found) == set(settings.devices.systems)
    for rows in found.values():
        assert rows.kernels["gradient exchange"] == "DDP, gloo"
        assert len([b for b in rows.blocks if b["x"] == 2]) == 2 * settings.clock.rounds
