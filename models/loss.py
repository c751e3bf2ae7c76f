"""Cross-entropy over the scored positions only. N scored positions, D width of features, V target vocabulary."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from models.network import Network

IGNORE = -100  # torch's own convention for positions that are not scored


class Loss(NamedTuple):
    """Means over scored positions, and how many there were."""

    smoothed: Tensor  # what is minimised
    nll: Tensor  # -log p(label), in nats
    accuracy: Tensor  # share of positions whose likeliest token is the label
    tokens: int


def scored_logits(network: Network, source: Tensor, decoder_input: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Teacher-forced logits (N, V) and labels (N,) of the scored positions.

    Projecting to the vocabulary is often the largest product of a step: padding is dropped before it, not after.
    """
    features = network.decode(network.encode(source), decoder_input)  # (B, T, D)
    scored = labels != IGNORE
    return network.project(features[scored]), labels[scored]


def smoothed_cross_entropy(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """-sum_v q(v) log p(v), q = 1 - smoothing on the label plus smoothing / V on all (Szegedy et al. 2016, section 7).

    Args:
        logits: (N, V); for N = 0 the loss is 0 and so is its gradient, where a mean would be NaN.
        labels: (N,).
        smoothing: In [0, 1).
    """
    if not len(labels):
        return logits.float().sum()
    return F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)


@torch.no_grad()
def evaluate(logits: Tensor, labels: Tensor, smoothing: float) -> Loss:
    """All measures of one batch, without gradients."""
    right = (logits.argmax(-1) == labels).float()
    return Loss(
        smoothed=smoothed_cross_entropy(logits, labels, smoothing),
        nll=smoothed_cross_entropy(logits, labels, 0.0),
        accuracy=right.mean() if len(labels) else right.sum(),
        tokens=len(labels),
    )
