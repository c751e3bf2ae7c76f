"""Probes of a network's memory: how much of a source still reaches the loss, the attention and the encoder's state.

Every function takes a network as it is, before or after training, and measures it without dropout.
B batch, S source length, T target length, h heads, V target vocabulary.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.batch import IGNORE, Batch
from models.decoder_only.attention import DecoderOnlyAttentionNetwork
from models.decoder_only.recurrent import DecoderOnlyRecurrentNetwork
from models.decoder_only.transformer import DecoderOnlyTransformerNetwork
from models.embedding import Embedding
from models.encoder_only.network import EncoderOnlyNetwork
from models.encoder_only.transformer import EncoderOnlyTransformerNetwork
from models.kernels.gpu import without_cudnn
from models.multi_head_attention import attention_weights
from models.network import Network
from models.recurrent import RecurrentEncoder
from models.transformer import TransformerNetwork

RIDGE = 0.01  # strength of the probe's penalty, as a share of a standardised feature's variance
KEYS = 64  # keys that a query of `score_statistics` chooses among
KEY_SETS, QUERIES = 32, 32  # `score_statistics` takes means over their product


@contextmanager
def evaluating(network: Network) -> Iterator[None]:
    """Evaluation mode, and afterwards the mode it was in."""
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)


@contextmanager
def outputs_of(*modules: nn.Module) -> Iterator[list[Tensor]]:
    """What these modules return while the context lasts, in the order of the calls."""
    outputs: list[Tensor] = []
    handles = [module.register_forward_hook(lambda _, given, output: outputs.append(output)) for module in modules]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def gradient_reach(network: Network, batch: Batch) -> dict[int, float]:
    """Mean norm of d loss / d source embedding by distance from the end of the source; 1 is the last token.

    The loss is an example's mean cross-entropy over its scored positions, the embedding what the encoder is given, of
    unit variance at initialisation. The mean at a distance is over the examples whose source is that long.
    """
    tables = [module for module in network.modules() if isinstance(module, Embedding)]
    # cuDNN has no backward pass for recurrent networks in evaluation mode.
    with evaluating(network), torch.enable_grad(), without_cudnn():
        with outputs_of(*tables) as outputs:
            memory = network.encode(batch.source)
        (embedded,) = outputs  # (B, S, E): encoding embeds the source and nothing else
        logits = network.project(network.decode(memory, batch.decoder_input))  # (B, T, V)
        losses = F.cross_entropy(logits.flatten(0, 1), batch.labels.flatten(), ignore_index=IGNORE, reduction="none")
        # Examples do not touch each other, so the gradient of the sum holds each example's own.
        loss = (losses.view_as(batch.labels).sum(1) / (batch.labels != IGNORE).sum(1)).sum()
        (gradient,) = torch.autograd.grad(loss, embedded)
    norms = gradient.double().norm(dim=-1).cpu()  # (B, S)
    real = (batch.source != network.pad_id).cpu()
    distances = real.sum(1, keepdim=True) - torch.arange(real.shape[1])  # (B, S)
    counts = torch.bincount(distances[real])
    sums = torch.bincount(distances[real], weights=norms[real])
    return {distance: float(sums[distance] / counts[distance]) for distance in range(1, len(counts))}


@torch.no_grad()
def attention_on_answer(network: Network, batch: Batch) -> float | None:
    """Mean attention of the best head to the source token that is the answer, where it occurs exactly once.

    A head is judged by its mean weight over all such positions, and the best is taken over all heads and layers: one
    head that finds the answer is enough, and which one it is differs from seed to seed. None without attention, or
    where no answer occurs exactly once.
    """
    same = batch.source.unsqueeze(1) == batch.labels.unsqueeze(2)  # (B, T, S)
    once = same.sum(2) == 1  # (B, T)
    if not once.any():
        return None
    with evaluating(network):
        maps = network.attention(network.encode(batch.source), batch.decoder_input)  # (B, h, T, S) each
    place = same.int().argmax(2)[:, None, :, None]  # (B, 1, T, 1)
    means = []
    for weights in maps.values():
        mass = weights.gather(-1, place.expand(-1, weights.shape[1], -1, -1)).squeeze(-1)  # (B, h, T)
        means.append(mass.transpose(1, 2)[once].double().mean(0))  # (h,)
    return float(torch.cat(means).max()) if means else None


@torch.no_grad()
def permutation_difference(network: Network, batch: Batch, generator: torch.Generator) -> float:
    """Largest change of an output probability at a scored position when every source's tokens are shuffled.

    Taken in double precision, so that the rounding of another order of addition is not mistaken for an effect.

    Args:
        network: Any.
        batch: Examples; their padding stays where it is.
        generator: Of the CPU; draws the shuffles.
    """
    keys = torch.rand(batch.source.shape, generator=generator).to(batch.source.device)
    order = keys.masked_fill(batch.source == network.pad_id, torch.inf).argsort(1)  # (B, S)
    exact = copy.deepcopy(network).double().eval()
    scored = batch.labels != IGNORE
    before, after = (
        torch.softmax(exact(source, batch.decoder_input)[scored], dim=-1)  # (scored positions, V)
        for source in (batch.source, batch.source.gather(1, order))
    )
    return float((after - before).abs().max())


@torch.no_grad()
def encoder_states(network: Network, source: Tensor) -> Tensor:
    """The state of an encoder at the last word it has read: (N, S) token ids -> (N, features).

    For a recurrent encoder the last layer's hidden and, of an LSTM, cell state (both directions where it has two); for
    a Transformer its output at the last position, or, without an encoder, what its last layer keeps of that.
    """
    with evaluating(network):
        if isinstance(network, TransformerNetwork | EncoderOnlyTransformerNetwork | DecoderOnlyTransformerNetwork):
            return word_states(network, source, (source != network.pad_id).sum(1) - 1)
        if isinstance(network, DecoderOnlyRecurrentNetwork | DecoderOnlyAttentionNetwork):
            state, rnn = network.encode(source), network.rnn
        else:
            encoder = network.get_submodule("encoder")
            assert isinstance(encoder, RecurrentEncoder)
            state, rnn = encoder(source), encoder.rnn
        hidden, cell = state.hidden[:, -1], state.cell[:, -1]  # (N, H) each
        return torch.cat([hidden, cell], dim=-1) if isinstance(rnn, nn.LSTM) else hidden


class Probe(NamedTuple):
    """How well a linear probe reads a class off the state after some words.

    Attributes:
        words_read: Words read after the one whose class is asked for.
        accuracy: Share of held-out sentences that the probe gets right.
        chance: Share of the most frequent class among them.
        n: Number of held-out sentences.
    """

    words_read: int
    accuracy: float
    chance: float
    n: int


@torch.no_grad()
def word_states(network: Network, source: Tensor, at: Tensor) -> Tensor:
    """The state at a word of each source, after all that it can see: (N, S) token ids and places (N,) -> (N, features).

    Of a Transformer's stack what `encoder_states` takes of it; a recurrent encoder or decoder is run up to there.
    """
    row = torch.arange(len(source), device=source.device)
    at = at.to(source.device)
    with evaluating(network):
        if isinstance(network, EncoderOnlyNetwork):
            return network.encode(source).states[row, at]
        if isinstance(network, TransformerNetwork):
            with outputs_of(network.encoder_norm) as outputs:
                network.encode(source)
            return outputs[0][row, at]
        if isinstance(network, DecoderOnlyTransformerNetwork):
            place = (source == network.pad_id).sum(1) + at  # padding is on the left there
            return torch.cat([part[row, :, place].flatten(1) for part in network.encode(source).cache[-1]], dim=-1)
    later = torch.arange(source.shape[1], device=source.device) > at.unsqueeze(1)
    return encoder_states(network, source.masked_fill(later, network.pad_id))


def probe(network: Network, source: Tensor, classes: Tensor) -> list[Probe]:
    """How much of the second word is linearly decodable from the encoder's state after it and after each further word.

    The encoder is run again on each prefix, so that no encoder, not even a bidirectional one, has seen more of the
    sentence than the words read. At every prefix a probe is fitted on the first half of the sentences and judged on
    the second.

    Args:
        network: Any.
        source: (N, S) token ids without padding, in an order independent of the class.
        classes: (N,) class of the second word, 0 and above.
    """
    return [
        probe_states(encoder_states(network, source[:, : words_read + 2]), classes, words_read)
        for words_read in range(source.shape[1] - 1)
    ]


def probe_states(states: Tensor, classes: Tensor, words_read: int = 0) -> Probe:
    """Fit a probe on the first half of states (N, features) with their classes (N,), judge it on the second."""
    half = len(states) // 2
    held_out = classes[half:]
    predicted = ridge_predictions(states[:half], classes[:half], states[half:])
    accuracy = (predicted == held_out).double().mean()
    return Probe(words_read, float(accuracy), int(held_out.bincount().max()) / len(held_out), len(held_out))


def ridge_predictions(features: Tensor, classes: Tensor, held_out: Tensor) -> Tensor:
    """Classes (M,) of held-out features (M, D) by ridge regression from (N, D) to one-hot classes (N,).

    W = (X^T X / N + RIDGE I)^-1 X^T Y / N, X standardised by its own mean and deviation, Y centred, in double
    precision.
    """
    features, held_out = features.double(), held_out.double()
    mean, deviation = features.mean(0), features.std(0, correction=0)
    deviation = deviation.where(deviation > 0, 1)
    X, X_held_out = (features - mean) / deviation, (held_out - mean) / deviation
    Y = F.one_hot(classes).double()
    penalty = RIDGE * torch.eye(X.shape[1], dtype=X.dtype, device=X.device)
    W = torch.linalg.solve(X.T @ X / len(X) + penalty, X.T @ (Y - Y.mean(0)) / len(X))
    return (X_held_out @ W + Y.mean(0)).argmax(-1)


class ScoreStatistics(NamedTuple):
    """How far from saturated a softmax over attention scores is: means over queries.

    Attributes:
        entropy: Of the weights, in nats; log(KEYS) where all are equal, 0 where one has everything.
        gradient_norm: Frobenius norm of the softmax's Jacobian, d weights / d scores.
    """

    entropy: float
    gradient_norm: float


def score_statistics(head_width: int, scaled: bool, generator: torch.Generator) -> ScoreStatistics:
    """Attention of random queries over KEYS random keys of unit variance, with and without 1 / sqrt(d).

    Vaswani et al. 2017, section 3.2.1: unscaled scores have variance d, which should push the softmax to where its
    gradient is small. The gradient is taken by the scores as the softmax sees them. It is small for equal weights
    too, so that without scaling its mean rises with d before it falls.

    Args:
        head_width: d.
        scaled: Whether scores are divided by sqrt(d).
        generator: Of the CPU; draws queries, then keys.
    """
    query = torch.randn(KEY_SETS, QUERIES, head_width, generator=generator)
    key = torch.randn(KEY_SETS, KEYS, head_width, generator=generator)
    p = attention_weights(query, key, scale=None if scaled else 1.0).double()  # (KEY_SETS, QUERIES, KEYS)
    # J = diag(p) - p p^T, so |J|^2 = sum p^2 - 2 sum p^3 + (sum p^2)^2.
    squares = p.square().sum(-1)
    norm = (squares - 2 * p.pow(3).sum(-1) + squares.square()).clamp_min(0).sqrt()
    return ScoreStatistics(float(torch.special.entr(p).sum(-1).mean()), float(norm.mean()))
