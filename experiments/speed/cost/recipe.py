"""What a training recipe needs on any hardware: parameters, steps, tokens, operations, memory."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jsonargparse import Namespace
from torch import Tensor

from experiments.planning.grid import Planned
from experiments.planning.parser import build_parser
from experiments.speed import systems
from experiments.speed.flops import count
from models import Seq2SeqModule
from models.loss import scored_logits, smoothed_cross_entropy
from models.network import Network

FLOAT = 4  # bytes; weights, gradients and optimiser are kept in 32 bits also where products are in 16
ADAM = 2  # moments a parameter
ROWS = (8, 16)


class Activations(NamedTuple):
    """Bytes that the forward pass keeps for the backward pass: some whatever the batch, the rest by target token."""

    fixed: float
    per_token: float


@dataclass(frozen=True)
class Recipe:
    """One model's training by its configuration.

    Attributes:
        name: Model, with its variant after a dash.
        model: lstm, bahdanau or transformer.
        routing: Variant of the network that the speed suite measures separately: parallel, or base.
        width: Model width D or H.
        parameters: Trained numbers.
        steps: Optimiser updates.
        tokens: Target positions of a step on all devices; as many source positions.
        longest: Tokens of the longest training sequence.
        averaged: Whether an average of the weights is kept too.
        flops_per_token: Forward and backward operations for a target token and its share of the source.
        vocabulary_share: Part of these that the projection to the vocabulary takes.
        activations: Bytes kept for the backward pass.
    """

    name: str
    model: str
    routing: str
    width: int
    parameters: int
    steps: int
    tokens: int
    longest: int
    averaged: bool
    flops_per_token: float
    vocabulary_share: float
    activations: Activations

    @property
    def all_tokens(self) -> int:
        return self.steps * self.tokens

    @property
    def flops(self) -> float:
        """Operations of the whole training, optimiser left out."""
        return self.flops_per_token * self.all_tokens

    def tokens_on(self, world: int) -> int:
        """Target positions of a step that each of `world` devices takes, so that a step stays the same.

        Raises:
            ValueError: If a device would get less than the longest sequence.
        """
        share = self.tokens // world
        if share < self.longest:
            raise ValueError(
                f"{world} devices are too many: each would take {share} of the {self.tokens} tokens of a step of "
                f"{self.name}, and data.max_length is {self.longest}. Use at most {self.tokens // self.longest}."
            )
        return share

    def memory_on(self, world: int) -> float:
        """Bytes on each of `world` devices, fp32 weights and activations.

        Weights, gradients, Adam's two moments, the average of weights where there is one, the buffers in which
        DistributedDataParallel sums gradients, and what the forward pass keeps for the backward pass.
        """
        copies = 1 + 1 + ADAM + self.averaged + (world > 1)
        kept = self.activations.fixed + self.activations.per_token * self.tokens_on(world)
        return FLOAT * copies * self.parameters + kept


def read_recipe(planned: Planned, length: int) -> Recipe:
    """Read, build and count a run of a suite; nothing is trained and no corpus is needed.

    Args:
        planned: The run.
        length: Tokens of a source and of a target.
    """
    config = build_parser().parse_args(planned.arguments)
    data, trainer = config.data.init_args, config.trainer
    module = build(config)
    parameters = sum(p.numel() for p in module.parameters())
    network = module.network.to_empty(device="cpu")  # operations and bytes do not depend on what the weights are
    flops = count(network, length, length)
    devices = 1 if trainer.devices == "auto" else trainer.devices
    settings = config.model.init_args.network
    return Recipe(
        name=planned.key.system,
        model=planned.key.model,
        routing="parallel" if settings.get("routing") == "parallel" else "base",
        width=settings.get("width") or settings["hidden"],
        parameters=parameters,
        steps=trainer.max_steps,
        tokens=data.max_tokens * devices * trainer.num_nodes * trainer.accumulate,
        longest=data.max_length,
        averaged=trainer.ema_decay > 0,
        flops_per_token=flops.forward_backward / length,
        vocabulary_share=flops.vocabulary / flops.forward_backward,
        activations=count_activations(network, length),
    )


def build(config: Namespace) -> Seq2SeqModule:
    """The module of a run without memory for its weights, its vocabulary as large as the tokeniser may make it."""
    tokenizer = config.data.init_args.tokenizer
    with torch.device("meta"):
        return systems.build(config.model.as_dict(), tokenizer.vocab_size, shared=tokenizer.joint)


def count_activations(network: Network, length: int) -> Activations:
    """What a network on a CPU keeps between forward and backward pass, its loss included.

    From two batches, neither of so few rows that oneDNN fills up its blocks with empty ones.
    """
    few, more = (kept_bytes(network, rows, length) for rows in ROWS)
    per_row = (more - few) / (ROWS[1] - ROWS[0])
    return Activations(fixed=few - ROWS[0] * per_row, per_token=per_row / length)


def kept_bytes(network: Network, rows: int, length: int) -> int:
    """Bytes of the tensors saved for the backward pass of (rows, length) sources and targets, weights left out.

    The logits' gradient comes on top: it is there before anything that was saved can be let go.
    """
    tokens = torch.full((rows, length), 4)  # any token that is no special one
    weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}  # keeping them keeps their addresses from being used again

    def keep(saved: Tensor) -> None:
        storage = saved.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):  # there is no backward pass
        logits, labels = scored_logits(network, tokens, tokens, tokens)
        loss = smoothed_cross_entropy(logits, labels, 0.1)
    assert loss.requires_grad
    return sum(storage.nbytes() for storage in kept.values()) + logits.nbytes
