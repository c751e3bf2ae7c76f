"""Several processes as they are really started: by a run itself, by torchrun, by srun, by a suite."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.run import main
from experiments.training.devices import processes
from tests.experiments.training.devices.test_devices import TWO, folder_of
from tests.support.readme import ROOT
from tests.support.several import free_port, in_processes
from tests.support.tiny_runs import VALIDATE_EVERY, assert_same, read_json, tiny_arguments
from tests.support.wandb_server import WandbServer

pytestmark = pytest.mark.slow
FAULTY = Path(__file__).with_name("faulty_run.py")


@pytest.fixture(autouse=True)
def one_thread_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")  # shared by two processes


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run in two processes that nothing disturbed."""
    root = tmp_path_factory.mktemp("two")
    assert in_processes(2, main, [*tiny_arguments(root, "transformer"), *TWO]) == [0, 0]
    return folder_of(root)


def exit_code(arguments: list[str]) -> object:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return stopped.value.code


def test_a_run_starts_its_processes_and_is_one_run_of_wandb(two: Path, tmp_path: Path, server: WandbServer) -> None:
    main([*tiny_arguments(tmp_path, "transformer"), *TWO])
    assert_same(folder_of(tmp_path), two)
    assert len(server.runs) == 1
    (sent,) = server.runs.values()
    assert "val/bleu" in {name for row in sent.history for name in row}


@pytest.mark.parametrize("fault", ["kill", "terminate-all"])
def test_a_run_whose_process_is_killed_or_that_is_terminated_goes_on(
    fault: str, two: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = [*tiny_arguments(tmp_path, "transformer"), *TWO]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "PROGRAM", (str(FAULTY), fault, str(VALIDATE_EVERY + 1), "1"))
        assert exit_code(arguments) == {"kill": 1, "terminate-all": 143}[fault]
    folder, said = folder_of(tmp_path), capfd.readouterr().err
    if fault == "kill":
        assert read_json(folder / "failure.json")["error"].endswith("the process of rank 1 was killed by SIGKILL")
    else:
        assert not (folder / "failure.json").exists()
        assert said.count("resumes from") == 1
    main(arguments)
    assert_same(folder, two)
    assert not (folder / "failure.json").exists()


def started(*commands: list[str], variables: list[dict[str, str]]) -> None:
    common = {**os.environ, "WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    running = [
        subprocess.Popen(command, env={**common, **own}, cwd=ROOT)
        for command, own in zip(commands, variables, strict=True)
    ]
    assert [process.wait(200) for process in running] == [0] * len(commands)


def test_two_machines_joined_by_torchrun_train_as_two_devices(two: Path, tmp_path: Path) -> None:
    nodes = ["--nnodes=2", "--nproc-per-node=1", "--local-addr=127.0.0.1"]
    meeting = ["--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{free_port()}", "--rdzv-id=1"]
    run = [*tiny_arguments(tmp_path, "transformer"), TWO[1], "--trainer.devices=1", "--trainer.num_nodes=2"]
    agent = [sys.executable, "-m", "torch.distributed.run", *nodes, *meeting, "-m", "experiments.run", *run]
    started(agent, agent, variables=[{}, {}])
    assert_same(folder_of(tmp_path), two)


def test_two_tasks_of_srun_train_as_two_devices(two: Path, tmp_path: Path) -> None:
    arguments = [*tiny_arguments(tmp_path, "transformer"), *TWO]
    number = {"SLURM_NTASKS": "2", "SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "1"}
    job = {"SLURM_JOB_NAME": "bleu", "SLURM_NODEID": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    tasks = [{**number, **job, "SLURM_PROCID": rank, "SLURM_LOCALID": rank} for rank in "01"]
    command = [sys.executable, "-m", "experiments.run", *arguments]
    started(command, command, variables=tasks)
    assert_same(folder_of(tmp_path), two)
