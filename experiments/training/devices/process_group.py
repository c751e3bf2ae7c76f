"""The processes that train together, whoever started them: torchrun, srun, or a run itself."""

import os
from collections.abc import Callable
from typing import TypeVar

import torch
import torch.distributed as dist
from lightning.fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)

T = TypeVar("T")


def cluster() -> ClusterEnvironment:
    """How this process was started: by torchrun or `processes`, by SLURM's srun, or as a single one."""
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        return SLURMEnvironment(auto_requeue=False)  # the job script does that
    return LightningEnvironment()


def count_to_start(devices: int, nodes: int) -> int:
    """How many processes this one has to start; 0 where it trains itself.

    Raises:
        ValueError: The number of processes that were started is not the number of devices.
    """
    started = cluster()
    if started.creates_processes_externally:
        if started.world_size() != devices * nodes:
            raise ValueError(
                f"trainer.devices is {devices} on each of {nodes} machines (trainer.num_nodes), but "
                f"{started.world_size()} processes were started: start as many."
            )
        return 0
    if nodes > 1:
        raise ValueError(
            f"trainer.num_nodes is {nodes}, but nothing has started processes on other machines: start this command on "
            "each of them with torchrun, or with srun as in experiments/launch/slurm.sh."
        )
    return devices if devices > 1 else 0


def join(accelerator: str) -> None:
    """Connect to the other processes, if there are any."""
    started = cluster()
    if not started.creates_processes_externally:
        return
    if accelerator == "gpu":
        torch.cuda.set_device(started.local_rank())
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = started.main_address, str(started.main_port)
    backend = "nccl" if accelerator == "gpu" else "gloo"
    dist.init_process_group(backend, rank=started.global_rank(), world_size=started.world_size())


def leave() -> None:
    """Disconnect: what this process evaluates from here on, it evaluates whole."""
    if dist.is_initialized():
        dist.destroy_process_group()


def is_first() -> bool:
    """Whether this process has rank 0, which writes."""
    return not dist.is_initialized() or dist.get_rank() == 0


def by_the_first(make: Callable[[], T]) -> T:
    """What `make` returns in the process of rank 0, which alone calls it, in all processes."""
    if not dist.is_initialized():
        return make()
    made: list[T | None] = [make() if is_first() else None]
    dist.broadcast_object_list(made)
    return made[0]  # type: ignore[return-value]
