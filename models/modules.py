"""The three LightningModules that are compared: one behaviour, three networks."""

from dataclasses import dataclass
from typing import Any, Protocol

import lightning as L
import torch
from torch import Tensor

from models.bahdanau import BahdanauNetwork, BahdanauSettings
from models.loss import evaluate, scored_logits, smoothed_cross_entropy
from models.lstm import LSTMNetwork, LSTMSettings
from models.network import Network
from models.schedules import Schedule, learning_rate_factor
from models.transformer import TransformerNetwork, TransformerSettings


class Batch(Protocol):
    """What a task yields: see the datamodules. Shapes (B, S), (B, T), (B, T), (B,)."""

    @property
    def source(self) -> Tensor: ...
    @property
    def decoder_input(self) -> Tensor: ...
    @property
    def labels(self) -> Tensor: ...
    @property
    def ids(self) -> Tensor: ...


@dataclass
class Optimisation:
    """How a network is trained.

    Args:
        learning_rate: Peak learning rate of AdamW (a plain factor with the noam schedule).
        schedule: Shape of the learning rate over steps.
        warmup_steps: Steps until the peak.
        betas: Adam's decay rates; (0.9, 0.98) is Vaswani et al. 2017, section 5.3.
        eps: Adam's denominator offset.
        weight_decay: Decoupled weight decay.
        label_smoothing: Probability mass spread over the vocabulary (Vaswani et al. 2017, section 5.4).
        initialisation_scale: Factor on every weight matrix and embedding at the start; biases and gains are left alone.
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
    """Loss, optimiser, schedule, validation and test: the same for every network.

    Args:
        network: Any `Network`.
        optimisation: How it is trained.
        width: Model width D, which the noam schedule asks for.
    """

    def __init__(self, network: Network, optimisation: Optimisation, width: int) -> None:
        super().__init__()
        self.network = network
        self.optimisation = optimisation
        self.width = width
        with torch.no_grad():
            for weights in (p for p in network.parameters() if p.dim() > 1):
                weights.mul_(optimisation.initialisation_scale)

    def forward(self, source: Tensor, decoder_input: Tensor) -> Tensor:
        """(B, S) and (B, T) token ids -> (B, T, V) logits."""
        return self.network(source, decoder_input)

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        """What a training step minimises, a mean over scored positions, and how many these are."""
        logits, labels = scored_logits(self.network, batch.source, batch.decoder_input, batch.labels)
        return smoothed_cross_entropy(logits, labels, self.optimisation.label_smoothing), len(labels)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss, scored = self.loss(batch)
        self.log("train/loss", loss, batch_size=scored)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate(batch, "test")

    def _evaluate(self, batch: Batch, stage: str) -> None:
        """Log means over tokens: Lightning weights by batch size, over batches and ranks, so that is the tokens."""
        logits, labels = scored_logits(self.network, batch.source, batch.decoder_input, batch.labels)
        loss = evaluate(logits, labels, self.optimisation.label_smoothing)
        metrics = {f"{stage}/loss": loss.nll, f"{stage}/smoothed_loss": loss.smoothed}
        metrics[f"{stage}/token_accuracy"] = loss.accuracy
        self.log_dict(metrics, batch_size=loss.tokens, on_epoch=True, sync_dist=True)

    def optimiser(self) -> torch.optim.Optimizer:
        """AdamW with one kernel for all parameters."""
        o = self.optimisation
        return torch.optim.AdamW(
            self.parameters(), lr=o.learning_rate, betas=o.betas, eps=o.eps, weight_decay=o.weight_decay, fused=True
        )

    def configure_optimizers(self) -> Any:
        o = self.optimisation
        optimiser = self.optimiser()
        max_steps = int(self.trainer.estimated_stepping_batches)

        def factor(completed: int) -> float:
            return learning_rate_factor(
                o.schedule, completed + 1, o.warmup_steps, width=self.width, max_steps=max_steps
            )

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by norm here: under mixed precision Lightning refuses to with a fused optimiser, because of fp16."""
        if gradient_clip_val:
            torch.nn.utils.clip_grad_norm_(self.parameters(), gradient_clip_val)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["model_class"] = type(self).__name__


class LSTMSeq2Seq(Seq2SeqModule):
    """Encoder-decoder without attention.

    Args:
        source_vocabulary, target_vocabulary: Sizes of the vocabularies; taken from the data.
        shared_vocabulary: Whether source and target tokens have the same ids; taken from the data.
        network: Size and variants.
        optimisation: How it is trained.
    """

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        shared_vocabulary: bool = False,
        network: LSTMSettings = LSTMSettings(),  # noqa: B008 - never changed
        optimisation: Optimisation = Optimisation(),  # noqa: B008
    ) -> None:
        built = LSTMNetwork(source_vocabulary, target_vocabulary, network, shared_vocabulary=shared_vocabulary)
        super().__init__(built, optimisation, network.hidden)


class BahdanauSeq2Seq(Seq2SeqModule):
    """Encoder-decoder with additive attention.

    Args:
        source_vocabulary, target_vocabulary: Sizes of the vocabularies; taken from the data.
        shared_vocabulary: Whether source and target tokens have the same ids; taken from the data.
        network: Size and routing.
        optimisation: How it is trained.
    """

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        shared_vocabulary: bool = False,
        network: BahdanauSettings = BahdanauSettings(),  # noqa: B008
        optimisation: Optimisation = Optimisation(),  # noqa: B008
    ) -> None:
        built = BahdanauNetwork(source_vocabulary, target_vocabulary, network, shared_vocabulary=shared_vocabulary)
        super().__init__(built, optimisation, network.hidden)


class TransformerSeq2Seq(Seq2SeqModule):
    """Encoder-decoder of attention alone.

    Args:
        source_vocabulary, target_vocabulary: Sizes of the vocabularies; taken from the data.
        shared_vocabulary: Whether source and target tokens have the same ids; taken from the data.
        network: Size and variants.
        optimisation: How it is trained.
    """

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        shared_vocabulary: bool = False,
        network: TransformerSettings = TransformerSettings(),  # noqa: B008
        optimisation: Optimisation = Optimisation(),  # noqa: B008
    ) -> None:
        built = TransformerNetwork(source_vocabulary, target_vocabulary, network, shared_vocabulary=shared_vocabulary)
        super().__init__(built, optimisation, network.width)
