"""A timed system: a model in one of its variants, in a precision, eager or compiled, ready to take a step."""

import gc
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from jsonargparse import ArgumentParser
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from datamodules.batch import BOS, EOS, Batch
from experiments.speed.settings import Precision
from models import Seq2SeqModule
from models.bahdanau import BahdanauNetwork
from models.kernels.cuda_graphs import Replays, capture_on
from models.kernels.matmul_backend import onednn_matmul
from models.lstm import LSTMNetwork
from models.network import Network
from models.transformer import TransformerNetwork

CLIP = 1.0
WIDTHS = ("width", "feed_forward", "hidden", "embedding")  # settings that grow together in a sweep of the width
FIRST_TOKEN = EOS + 2  # random tokens begin after the special ones


@dataclass(frozen=True)
class System:
    """A name such as lstm, transformer-bf16 or bahdanau-parallel-compiled, parsed.

    `math-attention` runs the Transformer with the plain product-softmax-product in place of the fused kernel.

    Args:
        name: Model, variant of the network, and how it is run.
        usual: Precision of a name with neither bf16 nor fp32 in it.
    """

    name: str
    usual: Precision = "32-true"

    @property
    def model(self) -> str:
        return self.name.partition("-")[0]

    @property
    def variant(self) -> str:
        return self.name.partition("-")[2] or "base"

    @property
    def precision(self) -> Precision:
        return "bf16-mixed" if "bf16" in self.parts else "32-true" if "fp32" in self.parts else self.usual

    @property
    def compiled(self) -> bool:
        return "compiled" in self.parts

    @property
    def plain_attention(self) -> bool:
        return "math-attention" in self.name

    @property
    def network(self) -> str:
        """Key of its settings: the name without how it is run."""
        run = {"bf16", "fp32", "compiled", "math", "attention"}
        return "-".join(part for part in self.name.split("-") if part not in run)

    @property
    def parts(self) -> list[str]:
        return self.name.split("-")


def build(specification: Mapping[str, Any], vocabulary: int, scale: float = 1.0, shared: bool = True) -> Seq2SeqModule:
    """The module that a configuration describes, its widths multiplied by `scale`.

    Args:
        specification: class_path and init_args, as under `model` in a run's configuration.
        vocabulary: Size of source and target vocabulary.
        scale: Factor on every width.
        shared: Whether source and target have one vocabulary.

    Raises:
        ValueError: If a setting is wrong.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Seq2SeqModule, "model")
    described = deepcopy(dict(specification))
    arguments = described.setdefault("init_args", {})
    network = arguments.setdefault("network", {})
    network.update({name: round(network[name] * scale) for name in WIDTHS if name in network})
    arguments |= {"source_vocabulary": vocabulary, "target_vocabulary": vocabulary, "shared_vocabulary": shared}
    module: Seq2SeqModule = parser.instantiate(parser.parse_object({"model": described})).model
    return module


def random_batch(rows: int, source: int, target: int, vocabulary: int, device: torch.device) -> Batch:
    """Tokens without meaning and without padding: (rows, source) and (rows, target)."""
    draws = torch.Generator().manual_seed(rows * 1_000_003 + source * 1009 + target)
    tokens = torch.randint(FIRST_TOKEN, vocabulary, (rows, source + target), generator=draws)
    labels = tokens[:, source:]
    fed = torch.cat([torch.full((rows, 1), BOS), labels[:, :-1]], dim=1)
    return Batch(tokens[:, :source].to(device), fed.to(device), labels.to(device), torch.arange(rows), padded=False)


class Step:
    """One system with its optimiser; each method is something to time.

    On a GPU the kernels of a shape of batch are launched together from its second meeting on, as in training.

    Args:
        module: Moved to the device and set to train.
        system: How it is run.
        device: Where.
    """

    def __init__(self, module: Seq2SeqModule, system: System, device: torch.device) -> None:
        gc.collect()  # a module and its Replays hold each other: only now an earlier one's graphs are gone
        self.module, self.system, self.device = module.to(device).train(), system, device
        # Compiled code cannot leave attention's small products to MKL, which costs more than the others gain.
        compiled_attention = system.compiled and isinstance(module.network, TransformerNetwork)
        self._by_onednn = system.precision == "32-true" and not compiled_attention
        self.optimiser = module.optimiser()
        self.loss: Callable[[Batch], tuple[Tensor, Tensor]] = module.loss
        if system.compiled:
            torch._dynamo.reset()
            torch._logging.set_logs(dynamo=logging.ERROR)  # it warns of every graph break; that there are some is known
            module.objective = torch.compile(module.objective, dynamic=False)  # type: ignore[method-assign]
        if capture := capture_on(device):
            module.replays = Replays(module.network, module.objective, capture)

    def forward(self, batch: Batch) -> Tensor:
        """The loss of a batch."""
        with self._settings():
            return self.loss(batch)[0]

    def forward_backward(self, batch: Batch) -> None:
        """The gradients of a batch."""
        self.optimiser.zero_grad()
        with onednn_matmul(self._by_onednn):
            self.forward(batch).backward()

    def step(self, batch: Batch) -> None:
        """An optimiser update as in training: gradients, clipping by norm, AdamW."""
        self.forward_backward(batch)
        torch.nn.utils.clip_grad_norm_(self.module.parameters(), CLIP)
        self.optimiser.step()

    @property
    def mode(self) -> str:
        """How the kernels are launched."""
        replays = self.module.replays
        captured = replays is not None and not replays.failure
        launched = "captured" if captured else "eager"
        return f"compiled, {launched}" if self.system.compiled else launched

    @contextmanager
    def one_by_one(self) -> Iterator[None]:
        """Launches each kernel by itself: a replay hides from the profiler what it runs and the memory it holds."""
        replays, self.module.replays = self.module.replays, None
        try:
            yield
        finally:
            self.module.replays = replays

    def _settings(self) -> AbstractContextManager[Any]:
        stack = ExitStack()
        # A capture turns the cache of casts off, and compiled code would be compiled again for it.
        bf16, cached = self.system.precision == "bf16-mixed", not self.system.compiled
        stack.enter_context(torch.autocast(self.device.type, torch.bfloat16, bf16, cache_enabled=cached))
        stack.enter_context(onednn_matmul(self._by_onednn))
        if self.system.plain_attention:
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        return stack


def sequential_steps(network: Network, source: int, target: int) -> int | None:
    """Layer applications that must wait for one another in a forward pass; None for a network not known here.

    A recurrent layer waits for its own last token, and the layer above can follow one token behind; a Transformer's
    layer takes all tokens at once.
    """
    if isinstance(network, TransformerNetwork):
        return len(network.encoder) + len(network.decoder)
    if isinstance(network, LSTMNetwork | BahdanauNetwork):
        return source + target + 2 * (network.settings.layers - 1)
    return None
