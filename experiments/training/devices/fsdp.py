"""Weights, gradients and optimiser state divided among devices: FSDP for networks that one device cannot hold."""

from functools import partial
from typing import Any

import lightning as L
from lightning.pytorch.strategies import ModelParallelStrategy
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

from models import TransformerSeq2Seq
from models.transformer import FeedForward, TransformerNetwork


class DivideWeights(ModelParallelStrategy):
    """FSDP (Zhao et al. 2023): the feed-forward layers, most of the weights, are whole only while they are used.

    In a validation all weights stay whole: devices may have different numbers of batches, so none may wait for another.
    Checkpoints are whole too, as if one device had written them.

    Args:
        devices: Of all machines.
    """

    def __init__(self, devices: int) -> None:
        super().__init__(data_parallel_size=devices, tensor_parallel_size=1, save_distributed_checkpoint=False)

    def on_validation_start(self) -> None:
        for unit in self._units():
            unit.set_reshard_after_forward(False, recurse=False)
            unit.unshard()

    def on_validation_end(self) -> None:
        for unit in self._units():
            unit.set_reshard_after_forward(not isinstance(unit, TransformerNetwork), recurse=False)
            unit.reshard()

    def _units(self) -> list[FSDPModule]:
        assert self.lightning_module is not None
        return [part for part in self.lightning_module.modules() if isinstance(part, FSDPModule)]


def prepare_sharding(module: L.LightningModule) -> None:
    """Have the module divided once Lightning has found the devices.

    Raises:
        ValueError: It is not the Transformer.
    """
    if not isinstance(module, TransformerSeq2Seq):
        raise ValueError(
            f"trainer.strategy is fsdp, which divides the Transformer alone, not {type(module).__name__}: use ddp."
        )
    module.configure_model = partial(divide, module)  # type: ignore[method-assign]


def divide(module: L.LightningModule) -> None:
    """Give each device a share of the network's weights, once."""
    network: Any = module.network
    if isinstance(network, FSDPModule):
        return
    mesh = module.device_mesh
    assert isinstance(mesh, DeviceMesh)
    for part in network.modules():
        if isinstance(part, FeedForward):
            fully_shard(part, mesh=mesh["data_parallel"])
    fully_shard(network, mesh=mesh["data_parallel"], reshard_after_forward=False)
    for method in ("encode", "decode", "project", "attention", "every_attention", "step"):
        register_fsdp_forward_method(network, method)
