"""Weights that training starts from: those that validation chose in another run of the same suite and seed."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from experiments.record.keys import RunKey, source_of
from experiments.training.checkpoints import BEST, read_checkpoint


def best_of(key: RunKey) -> Path:
    """The checkpoint that validation chose in a run."""
    return key.folder / "checkpoints" / BEST


def start_from(module: nn.Module, key: RunKey, name: str) -> None:
    """Put the weights of another run into a module before its training.

    Raises:
        ValueError: The other run has not ended, or its network has other sizes.
    """
    source = source_of(key, name)
    if not best_of(source).is_file():
        make = f"make {source.experiment} SUITE={source.suite} TASKS={source.task} MODELS={source.system}"
        raise ValueError(f"starts_from: {best_of(source)} is not there; {make} SEEDS={source.seed} makes it.")
    found = read_checkpoint(best_of(source), type(module).__name__)["state_dict"]
    try:
        module.load_state_dict(extended(found, module.state_dict()))
    except RuntimeError as error:
        raise ValueError(f"starts_from: {source.folder} has a network of another kind or size: {error}") from error


def extended(weights: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights; tables of fewer words have the module's own rows for those that they lack."""
    result = dict(weights)
    for name, table in weights.items():
        if name in own and table.shape[1:] == own[name].shape[1:] and len(table) < len(own[name]):
            result[name] = torch.cat([table, own[name][len(table) :]])
    return result
