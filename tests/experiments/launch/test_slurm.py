"""The SLURM job script, with stand-ins for SLURM's programs."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from experiments.planning.parser import build_parser
from tests.support.readme import ROOT

SCRIPT = ROOT / "experiments" / "launch" / "slurm.sh"
JOB = {"SLURM_JOB_ID": "7", "SLURM_NTASKS_PER_NODE": "4", "SLURM_NNODES": "2", "SLURM_CPUS_PER_TASK": "8"}


def submitted(tmp_path: Path, code: int, *arguments: str) -> tuple[int, list[str]]:
    """Run the script as SLURM would; return its exit code and what it called."""
    for name, ending in (("srun", code), ("scontrol", 0)):
        program = tmp_path / name
        program.write_text(f'#!/bin/bash\necho "{name} $*" >> {tmp_path}/called\nexit {ending}\n')
        program.chmod(0o755)
    variables = {**os.environ, **JOB, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", str(SCRIPT), *arguments], env=variables, cwd=ROOT, check=False)
    return done.returncode, (tmp_path / "called").read_text().splitlines()


@pytest.mark.parametrize("code", [0, 1, 143])
def test_a_job_is_queued_again_only_where_its_time_was_over(code: int, tmp_path: Path) -> None:
    ended, called = submitted(tmp_path, code, "--run.suite", "paper")
    assert ended == code
    assert called[1:] == (["scontrol requeue 7"] if code == 143 else [])


def test_the_job_gives_a_run_what_it_understands(tmp_path: Path) -> None:
    said = SCRIPT.read_text().replace("\\\n#", "")
    (example,) = (line for line in said.splitlines() if line.startswith("#     sbatch"))
    _, (call,) = submitted(tmp_path, 0, *shlex.split(example.lstrip("# "))[2:])
    arguments = shlex.split(call.partition("experiments.run ")[2])
    config = build_parser().parse_args(arguments)
    assert (config.trainer.accelerator, config.trainer.devices, config.trainer.num_nodes) == ("gpu", 4, 2)
    assert config.run.suite == "paper"
