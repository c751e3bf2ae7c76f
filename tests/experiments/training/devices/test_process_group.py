"""Who starts a run's processes: the run itself, torchrun or srun. What they do together is in test_devices."""

from collections.abc import Callable

import pytest

from experiments.training.devices.process_group import cluster, count_to_start


@pytest.fixture
def started_by(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets the environment that torchrun or srun would."""

    def start(**variables: str) -> None:
        for name in ("TORCHELASTIC_RUN_ID", "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS", "SLURM_NTASKS_PER_NODE"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return start


TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "4", "RANK": "1", "LOCAL_RANK": "1"}
SRUN = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_NTASKS": "4", "SLURM_PROCID": "3", "SLURM_NTASKS_PER_NODE": "4"}
ONE_TASK = {"SLURM_STEP_NUM_TASKS": "1", "SLURM_NTASKS": "8", "SLURM_PROCID": "0"}  # of a job with room for eight


@pytest.mark.parametrize(
    ("variables", "devices", "nodes", "count"),
    [({}, 1, 1, 0), ({}, 3, 1, 3), (TORCHRUN, 2, 2, 0), (SRUN, 4, 1, 0), (ONE_TASK, 2, 1, 2), (ONE_TASK, 1, 1, 0)],
)
def test_processes_are_started_where_nobody_else_has(
    variables: dict[str, str], devices: int, nodes: int, count: int, started_by: Callable[..., None]
) -> None:
    started_by(**variables)
    assert count_to_start(devices, nodes) == count
    assert cluster().creates_processes_externally == (variables in (TORCHRUN, SRUN))


def test_more_machines_than_were_started_are_refused(started_by: Callable[..., None]) -> None:
    started_by()
    with pytest.raises(ValueError, match=r"trainer\.num_nodes is 2, but nothing has started .* torchrun, or with srun"):
        count_to_start(2, 2)
    started_by(**TORCHRUN)
    with pytest.raises(ValueError, match=r"trainer\.devices is 2 on each of 3 machines .* but 4 processes were"):
        count_to_start(2, 3)
