"""The LightningModules compared: one training procedure, a network each."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Protocol, TypeVar, cast

import lightning as L
import torch
import torch.distributed as dist
from torch import Tensor, nn

from models.bahdanau import BahdanauNetwork, BahdanauSettings
from models.decoder_only.attention import DecoderOnlyAttentionNetwork, DecoderOnlyAttentionSettings
from models.decoder_only.recurrent import DecoderOnlyRecurrentNetwork, DecoderOnlyRecurrentSettings
from models.decoder_only.transformer import DecoderOnlyTransformerNetwork, DecoderOnlyTransformerSettings
from models.embedding import Vocabularies
from models.encoder_only.recurrent import EncoderOnlyRecurrentNetwork, EncoderOnlyRecurrentSettings
from models.encoder_only.transformer import EncoderOnlyTransformerNetwork, EncoderOnlyTransformerSettings
from models.kernels.cuda_graphs import Replays
from models.loss import Loss, evaluate, masked_loss, scored_logits, scored_loss
from models.lstm import LSTMNetwork, LSTMSettings
from models.network import Network
from models.schedules import Schedule, learning_rate_factor
from models.transformer import TransformerNetwork, TransformerSettings

Row = TypeVar("Row")
Settings = TypeVar("Settings")


class Batch(Protocol):
    """The part of a batch of `datamodules.batch` that training reads: (B, S), (B, T), (B, T)."""

    @property
    def source(self) -> Tensor: ...
    @property
    def decoder_input(self) -> Tensor: ...
    @property
    def labels(self) -> Tensor: ...
    @property
    def padded(self) -> bool: ...


@dataclass
class Optimisation:
    """Optimiser, learning-rate schedule and loss.

    Args:
        learning_rate: Peak learning rate of AdamW.
        schedule: Shape of the learning rate over steps.
        warmup_steps: Steps until the peak.
        betas: Adam's decay rates; (0.9, 0.98) is Vaswani et al. 2017, section 5.3.
        eps: Adam's denominator offset.
        weight_decay: Decoupled weight decay.
        label_smoothing: Probability mass spread over the vocabulary (Vaswani et al. 2017, section 5.4).
        initialisation_scale: Factor on every initial weight matrix and embedding, not on vectors: biases, gains, v.
    """

    learning_rate: float = 1e-3
    schedule: Schedule = "inverse_square_root"
    warmup_steps: int = 400
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-9
    weight_decay: float = 0.0
    label_smoothing: float = 0.1
    initialisation_scale: float = 1.0

    def __post_init__(self) -> None:
        if self.initialisation_scale <= 0:
            raise ValueError(f"optimisation.initialisation_scale is {self.initialisation_scale}; it must be above 0.")


class Seq2SeqModule(L.LightningModule):
    """Loss, optimiser, schedule and validation, the same for every network.

    Args:
        network: Any `Network`.
        optimisation: How it is trained.
    """

    def __init__(self, network: Network, optimisation: Optimisation) -> None:
        super().__init__()
        self.network = network
        self.optimisation = optimisation
        self.replays: Replays | None = None  # of the training objective, where a step is launched at once
        self._tokens = torch.zeros(())  # scored so far in the current update, on all devices
        self._losses: list[Tensor] = []  # summed over tokens, of this device's batches of the current update
        self._measured: list[Loss] = []  # of the batches of the current validation
        with torch.no_grad():
            for weights in (p for p in network.parameters() if p.dim() > 1):
                weights.mul_(optimisation.initialisation_scale)

    def forward(self, source: Tensor, decoder_input: Tensor) -> Tensor:
        """(B, S) and (B, T) token ids -> (B, T, V) logits."""
        return self.network(source, decoder_input)

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The training objective, a mean over scored positions, and their number."""
        if self.replays:
            return self.replays(batch.source, batch.decoder_input, batch.labels, padded=batch.padded)
        return self.objective(self.network, batch.source, batch.decoder_input, batch.labels, batch.padded)

    def objective(
        self, network: nn.Module, source: Tensor, decoder_input: Tensor, labels: Tensor, padded: bool
    ) -> tuple[Tensor, Tensor]:
        """`loss` of tensors, as it is captured."""
        loss = scored_loss if source.device.type == "cpu" else masked_loss
        smoothing = self.optimisation.label_smoothing
        return loss(cast(Network, network), source, decoder_input, labels, smoothing, padded)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The batch's part of the mean over all tokens of the update so far, on all devices."""
        loss, tokens = self.loss(batch)
        self._losses.append(loss.detach() * tokens)
        batches: int = self.trainer.world_size * self.trainer.accumulate_grad_batches
        if batches == 1:
            self._tokens = tokens
            return loss
        return loss * self._share(tokens, batches)

    def _share(self, tokens: Tensor, batches: int) -> Tensor:
        """The weight of a batch with so many tokens, after the gradient of earlier batches was scaled down.

        Lightning divides by the batches of an update, and devices average their gradients: both are undone here.
        """
        before = self._tokens
        self._tokens = before + self.trainer.strategy.reduce(tokens.clone(), reduce_op="sum")
        if gradients := [p.grad for p in self.parameters() if p.grad is not None]:
            torch._foreach_mul_(gradients, before / self._tokens.clamp(min=1))
        return tokens * batches / self._tokens.clamp(min=1)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Log the objective of this update: the mean over its tokens on all devices."""
        losses, tokens = self._losses, self._tokens
        self._losses, self._tokens = [], torch.zeros_like(tokens)
        if (self.trainer.global_step + 1) % self.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            total = self.trainer.strategy.reduce(torch.stack(losses).sum(), reduce_op="sum")
            self.log("train/loss", total / tokens.clamp(min=1))

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        """An update. Lightning drops its gradients after the next forward pass, which would first have to keep them."""
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        if self.replays:
            optimizer.zero_grad()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        logits, labels = scored_logits(self.network, batch.source, batch.decoder_input, batch.labels)
        self._measured.append(evaluate(logits, labels, self.optimisation.label_smoothing))

    def on_validation_epoch_end(self) -> None:
        """Means over the tokens of all devices, summed in the batch order of a single device."""
        measured, self._measured = self._measured, []
        rows = gather_interleaved([(*(float(mean) for mean in loss[:3]), loss.tokens) for loss in measured])
        smoothed, nll, accuracy, tokens = (torch.tensor(column) for column in zip(*rows, strict=True))
        for name, values in (("loss", nll), ("smoothed_loss", smoothed), ("token_accuracy", accuracy)):
            self.log(f"val/{name}", token_mean(values, tokens), reduce_fx="max", sync_dist=True)  # all are equal

    def optimiser(self) -> torch.optim.Optimizer:
        """AdamW, fused."""
        o = self.optimisation
        return torch.optim.AdamW(
            self.parameters(), lr=o.learning_rate, betas=o.betas, eps=o.eps, weight_decay=o.weight_decay, fused=True
        )

    def configure_optimizers(self) -> Any:
        o = self.optimisation
        optimiser = self.optimiser()
        max_steps = int(self.trainer.estimated_stepping_batches)

        def factor(completed: int) -> float:
            return learning_rate_factor(o.schedule, completed + 1, o.warmup_steps, max_steps)

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["model_class"] = type(self).__name__


def token_mean(means: Tensor, tokens: Tensor) -> Tensor:
    """Mean over all tokens from each batch's mean (N,) and token count (N,); batches without tokens are skipped."""
    total = torch.zeros(())
    for mean, count in zip(means[tokens > 0], tokens[tokens > 0], strict=True):
        total += mean * count
    return total / tokens.sum()


def gather_interleaved(part: list[Row]) -> list[Row]:
    """The rows of all devices, interleaved: in the order of a single device."""
    if not (dist.is_available() and dist.is_initialized()):
        return part
    parts: list[list[Row]] = [[] for _ in range(dist.get_world_size())]
    dist.all_gather_object(parts, part)
    return [row for rows in zip_longest(*parts) for row in rows if row is not None]


class BuiltModule(Seq2SeqModule):
    """A network that is built for the vocabularies of the data.

    Args:
        build: The network's class.
        network: Its sizes and variants.
        source_vocabulary: Size of the source's vocabulary; taken from the data.
        target_vocabulary: Size of the target's; taken from the data.
        shared_vocabulary: Whether source and target share their ids; taken from the data.
        optimisation: How it is trained.
    """

    def __init__(
        self,
        build: Callable[[Vocabularies, Settings], Network],
        network: Settings,
        source_vocabulary: int,
        target_vocabulary: int,
        shared_vocabulary: bool = False,
        optimisation: Optimisation = Optimisation(),  # noqa: B008, never modified
    ) -> None:
        vocabularies = Vocabularies(source_vocabulary, target_vocabulary, shared_vocabulary)
        super().__init__(build(vocabularies, network), optimisation)


class LSTMSeq2Seq(BuiltModule):
    """Encoder-decoder without attention (Sutskever et al. 2014)."""

    def __init__(self, network: LSTMSettings = LSTMSettings(), **common: Any) -> None:  # noqa: B008
        super().__init__(LSTMNetwork, network, **common)


class BahdanauSeq2Seq(BuiltModule):
    """Encoder-decoder with additive attention (Bahdanau et al. 2015)."""

    def __init__(self, network: BahdanauSettings = BahdanauSettings(), **common: Any) -> None:  # noqa: B008
        super().__init__(BahdanauNetwork, network, **common)


class TransformerSeq2Seq(BuiltModule):
    """Encoder-decoder without recurrence (Vaswani et al. 2017)."""

    def __init__(self, network: TransformerSettings = TransformerSettings(), **common: Any) -> None:  # noqa: B008
        super().__init__(TransformerNetwork, network, **common)


class DecoderOnlyTransformer(BuiltModule):
    """Source and target as one stream, without recurrence."""

    def __init__(
        self,
        network: DecoderOnlyTransformerSettings = DecoderOnlyTransformerSettings(),  # noqa: B008
        **common: Any,
    ) -> None:
        super().__init__(DecoderOnlyTransformerNetwork, network, **common)


class DecoderOnlyRecurrent(BuiltModule):
    """Source and target as one stream, by recurrence alone."""

    def __init__(self, network: DecoderOnlyRecurrentSettings = DecoderOnlyRecurrentSettings(), **common: Any) -> None:  # noqa: B008
        super().__init__(DecoderOnlyRecurrentNetwork, network, **common)


class DecoderOnlyAttention(BuiltModule):
    """Source and target as one stream, by an LSTM that attends to its own past."""

    def __init__(self, network: DecoderOnlyAttentionSettings = DecoderOnlyAttentionSettings(), **common: Any) -> None:  # noqa: B008
        super().__init__(DecoderOnlyAttentionNetwork, network, **common)


class EncoderOnlyTransformer(BuiltModule):
    """A state for each source token by self-attention, read at a place."""

    def __init__(
        self,
        network: EncoderOnlyTransformerSettings = EncoderOnlyTransformerSettings(),  # noqa: B008
        **common: Any,
    ) -> None:
        super().__init__(EncoderOnlyTransformerNetwork, network, **common)


class EncoderOnlyRecurrent(BuiltModule):
    """A state for each source token by recurrence in both directions, read at a place."""

    def __init__(self, network: EncoderOnlyRecurrentSettings = EncoderOnlyRecurrentSettings(), **common: Any) -> None:  # noqa: B008
        super().__init__(EncoderOnlyRecurrentNetwork, network, **common)
