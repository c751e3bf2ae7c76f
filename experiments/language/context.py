"""What a trained language model makes of its context, without further training (Khandelwal et al. 2018).

The last token of each piece of text is predicted again from a context that is cut, or whose distant part is shuffled or
reversed. The tokens that are predicted are the same, so differences are between pairs.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.language.data import as_batch
from datamodules.language.text import Tokens
from experiments.language.errors import with_error
from experiments.record.keys import Measurement
from models.network import Network

ROWS = 64  # pieces evaluated at once
Numbers = NDArray[np.float64]


@torch.no_grad()
def token_losses(network: Network, tokens: Tokens, last: bool = False) -> tuple[Numbers, NDArray[np.bool_]]:
    """-log p of each predicted token of pieces (N, C + 1), in nats, and whether it was the most likely: (N, C) each.

    Only of the last token of each piece, (N, 1), if `last`.
    """
    device = next(network.parameters()).device
    losses, right = [], []
    for start in range(0, len(tokens), ROWS):
        batch = as_batch(tokens[start : start + ROWS]).of(lambda field: field.to(device))
        features = network.decode(network.encode(batch.source, batch.padded), batch.decoder_input)
        labels = batch.labels
        if last:
            features, labels = features[:, -1:], labels[:, -1:]
        logits = network.project(features).float()
        losses.append(torch.nn.functional.cross_entropy(logits.transpose(1, 2), labels, reduction="none").double())
        right.append(logits.argmax(-1) == labels)
    return torch.cat(losses).cpu().numpy(), torch.cat(right).cpu().numpy()


def by_context(network: Network, tokens: Tokens, shortest: int) -> list[Measurement]:
    """Loss on the last token of each piece with a context changed beyond 8, 16, 32 .. tokens, and what that costs."""
    C = tokens.shape[1] - 1
    whole, _ = token_losses(network, tokens, last=True)
    distances = [shortest * 2**i for i in range(20) if shortest * 2**i < C]
    rows = measured(whole, whole, "context, cut", C)
    for name, change in (("cut", cut), ("shuffled beyond", shuffled), ("reversed beyond", turned)):
        for distance in distances:
            changed, _ = token_losses(network, change(tokens, distance), last=True)
            rows += measured(changed, whole, f"context, {name}", distance)
    return rows


def measured(changed: Numbers, whole: Numbers, x_name: str, x: int) -> list[Measurement]:
    """The loss with a changed context, and how much lower it is with the whole one."""
    found = {"loss": changed, "context_gain": changed - whole}
    n, rows = len(whole), []
    for metric, values in found.items():
        rows += with_error(metric, values[:, 0], "nats", n, x_name, x)
    return rows


def cut(tokens: Tokens, distance: int) -> Tokens:
    """Pieces with the last `distance` tokens of their context alone."""
    return tokens[:, -distance - 1 :]


def shuffled(tokens: Tokens, distance: int) -> Tokens:
    """Pieces whose context beyond `distance` is in random order, the same at every call."""
    far = tokens[:, : -distance - 1]
    order = np.random.default_rng(distance).permuted(np.tile(np.arange(far.shape[1]), (len(far), 1)), axis=1)
    return np.concatenate([np.take_along_axis(far, order, 1), tokens[:, -distance - 1 :]], 1)


def turned(tokens: Tokens, distance: int) -> Tokens:
    """Pieces whose context beyond `distance` is in the opposite order."""
    return np.concatenate([tokens[:, : -distance - 1][:, ::-1], tokens[:, -distance - 1 :]], 1)
