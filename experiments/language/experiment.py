"""The language experiment: loss on a test text, by position in the context and by the distance of an answer."""

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.language.data import LanguageData, as_batch
from datamodules.language.text import Text, Tokens, Windows
from experiments.language.context import by_context, token_losses
from experiments.language.errors import with_error
from experiments.record.keys import ATTENTION, Measurement
from experiments.record.write import write_atomically
from experiments.training.trained_run import Trained, attention_record
from models.network import Network

PIECES, MAPPED = 3, 48  # pieces whose attention is kept, and words of each: maps grow with the square
FIRST_BIN = 8  # tokens: bins of positions and distances end at 8, 16, 32 ..
Numbers = NDArray[np.float64]


def evaluate_run(run: Trained[LanguageData]) -> None:
    """Measure a trained run and write its result.json, last."""
    run.use(run.checkpoint["state_dict"])
    data = run.data
    windows = data.windows("test")
    losses, right = token_losses(run.module.network, windows.tokens)
    rows = [*run.cost(), run.validation_loss(), *overall(losses, data.text.unit), *by_position(losses)]
    if length := data.text.training_tokens:
        rows.append(Measurement("training_tokens", length, "tokens", 1))
    if windows.distances.any():
        rows += by_distance(losses, right, windows)
        maps = attention_records(run.module.network, data.text, windows.tokens[:PIECES, : MAPPED + 1])
        write_atomically(run.key.folder / ATTENTION, json.dumps(maps, ensure_ascii=False))
    else:
        rows += by_context(run.module.network, data.windows("test", apart=False).tokens, FIRST_BIN)
    held_equal = {
        "data order seed": data.seed,
        "examples per batch": data.rows,
        "context": f"{data.context} {data.text.unit}s",
    }
    run.record(rows, held_equal, {})
    found = {m.metric: m.value for m in rows if m.x_name == ""}
    print(f"{run.key.folder}: loss {found['loss']:.3f} nats, {found['bits']:.3f} bits a {data.text.unit}")


@torch.no_grad()
def attention_records(network: Network, text: Text, tokens: Tokens) -> list[dict[str, Any]]:
    """Attention to what was said before, while the words of pieces (N, C + 1) are predicted."""
    device = next(network.parameters()).device
    records = []
    for i in range(len(tokens)):
        piece = as_batch(tokens[i : i + 1]).of(lambda field: field.to(device))
        maps = network.every_attention(piece.source, piece.decoder_input)
        words = [text.decode([word]) for word in tokens[i, 1:].tolist()]
        records.append(attention_record("test", i, [], words, maps))
    return records


def overall(losses: Numbers, unit: str) -> list[Measurement]:
    """Mean loss over all tokens, in nats and bits, and what it means as a number of equally likely tokens."""
    n = losses.size
    rows = with_error("loss", losses.mean(1), "nats", n)
    loss = rows[0].value
    rows.append(Measurement("bits", loss / math.log(2), "bits", n))
    return [*rows, Measurement("perplexity", math.exp(loss), "words", n)] if unit == "word" else rows


def by_position(losses: Numbers) -> list[Measurement]:
    """Loss by the number of tokens read (N, C), in bins that end at 8, 16, 32 .. and C."""
    rows = []
    for first, last in bins(losses.shape[1]):
        n = len(losses) * (last - first + 1)
        rows += with_error("loss", losses[:, first - 1 : last].mean(1), "nats", n, "position", last)
    return rows


def by_distance(losses: Numbers, right: NDArray[np.bool_], windows: Windows) -> list[Measurement]:
    """Loss and accuracy on words that are asked for, by how many words back they were said, in the same bins."""
    rows, distances = [], windows.distances
    for first, last in bins(int(distances.max())):
        here = (first <= distances) & (distances <= last)
        if here.any():
            n = int(here.sum())
            rows += with_error("loss", losses[here], "nats", n, "distance", last)
            rows += with_error("token_accuracy", right[here].astype(float), "share", n, "distance", last)
            for strategy, right_there in windows.guesses.items():
                share = float(right_there[here].mean())
                rows.append(Measurement(f"chance: {strategy}", share, "share", n, "distance", last))
    return rows


def bins(longest: int) -> Iterator[tuple[int, int]]:
    """First and last of each bin: 1-8, 9-16, 17-32 .. up to the longest."""
    first, last = 1, FIRST_BIN
    while first <= longest:
        yield first, min(last, longest)
        first, last = last + 1, 2 * last
