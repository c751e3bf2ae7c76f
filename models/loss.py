"""Cross-entropy over scored positions. N scored positions, D width of features, V target vocabulary."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from models.kernels.cross_entropy import IGNORE, summed_cross_entropy
from models.network import Network


class Loss(NamedTuple):
    """Means over the scored positions, and their number."""

    smoothed: Tensor  # label-smoothed cross-entropy, the training objective
    nll: Tensor  # -log p(label), in nats
    accuracy: Tensor  # share of positions whose most probable token is the label
    tokens: int


def scored_logits(
    network: Network, source: Tensor, decoder_input: Tensor, labels: Tensor, padded: bool = True
) -> tuple[Tensor, Tensor]:
    """Teacher-forced logits (N, V) and labels (N,) of the scored positions.

    Only these are projected to the vocabulary, which is often the largest product of a step.
    """
    features = network.decode(network.encode(source, padded), decoder_input)  # (B, T, D)
    scored = labels != IGNORE
    if scored.device.type == "cpu" and scored.all():  # as in language models; picking all of them takes longer
        return network.project(features.flatten(0, 1)), labels.flatten()
    return network.project(features[scored]), labels[scored]


def smoothed_cross_entropy(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """-sum_v q(v) log p(v), q(v) = (1 - smoothing) [v = label] + smoothing / V (Szegedy et al. 2016, section 7).

    Args:
        logits: (N, V); for N = 0 the loss and its gradient are 0, where a mean would be NaN.
        labels: (N,).
        smoothing: In [0, 1).
    """
    if not len(labels):
        return logits.float().sum()
    return F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)


def scored_loss(
    network: Network, source: Tensor, decoder_input: Tensor, labels: Tensor, smoothing: float, padded: bool
) -> tuple[Tensor, Tensor]:
    """The training objective, a mean over scored positions, and their number, as a tensor."""
    logits, scored = scored_logits(network, source, decoder_input, labels, padded)
    return smoothed_cross_entropy(logits, scored, smoothing), torch.tensor(float(len(scored)))


def masked_loss(
    network: Network, source: Tensor, decoder_input: Tensor, labels: Tensor, smoothing: float, padded: bool
) -> tuple[Tensor, Tensor]:
    """The same for an accelerator: every position is projected, because to find the scored ones means to wait."""
    tokens = (labels != IGNORE).sum()
    logits = network.project(network.decode(network.encode(source, padded), decoder_input))  # (B, T, V)
    total = summed_cross_entropy(logits.flatten(0, 1), labels.flatten(), smoothing)
    return total / tokens.clamp(min=1), tokens.float()


@torch.no_grad()
def evaluate(logits: Tensor, labels: Tensor, smoothing: float) -> Loss:
    """All metrics of one batch, without gradients."""
    right = (logits.argmax(-1) == labels).float()
    return Loss(
        smoothed=smoothed_cross_entropy(logits, labels, smoothing),
        nll=smoothed_cross_entropy(logits, labels, 0.0),
        accuracy=right.mean() if len(labels) else right.sum(),
        tokens=len(labels),
    )
