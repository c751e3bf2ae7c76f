"""Which of two German sentences a trained translation model finds more likely: the reference, or one with a wrong verb.

python -m experiments.translation.contrastive --suite quick
"""

import zlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, TypeAlias

import torch
from torch.nn import functional as F

from datamodules import TranslationData
from datamodules.batch import IGNORE
from datamodules.contrast.pairs import ContrastPair, contrast_pairs
from datamodules.sampler import TokenBucketBatchSampler
from datamodules.translation import TranslationExamples
from experiments.launch import command_line
from experiments.launch.exit_codes import FAILED
from experiments.launch.provenance import provenance
from experiments.launch.receipts import of_stage
from experiments.record.keys import Measurement, config_hash
from experiments.record.read import is_finished
from experiments.record.schema import Pair
from experiments.record.write import write_result, write_rows
from experiments.training.environment import quiet
from experiments.training.trained_run import load_module
from experiments.translation.remeasure import finished_run, measure_each, provide_test_sentences, recording
from models.loss import scored_logits
from models.network import Network

DISTANCES = (0, 1, 2, 4, 8)  # each bin reaches to the next; the last is open
ATTRACTORS = (0, 1, 2)
PRECISION = "32-true"

Encoded: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]]  # source and target ids, without BOS and EOS


class LogProb(NamedTuple):
    """log P(target | source) in nats, and over how many tokens it is summed, EOS included."""

    total: float
    tokens: int

    @property
    def mean(self) -> float:
        return self.total / self.tokens


class Scored(NamedTuple):
    """A pair and the log-probabilities of both its sentences under a model."""

    pair: ContrastPair
    reference: LogProb
    contrast: LogProb

    @property
    def right(self) -> bool:
        """A tie is wrong."""
        return self.reference.total > self.contrast.total

    @property
    def right_by_mean(self) -> bool:
        """The same judged by the mean over tokens: a longer spelling in subwords costs nothing."""
        return self.reference.mean > self.contrast.mean


def main(suite: str = "quick", root: str = "runs") -> None:
    """Score every trained translation model of a suite; those scored already are skipped.

    Args:
        suite: Which suite's models.
        root: Folder of the run store.
    """
    quiet()
    receipt = of_stage("contrastive", suite, root)
    if not measure_each(suite, root, score_run):
        raise SystemExit(FAILED)
    receipt.write()


def score_run(folder: Path) -> str:
    """Score a finished translation run, unless done before, and write its record; return a line for the user.

    Raises:
        FileNotFoundError: The run is not finished, or its folder is not whole.
        ValueError: Its checkpoint belongs to another model, or a file is not as a run writes it.
    """
    started, (run, training) = datetime.now(UTC), finished_run(folder)
    command = f"make contrastive SUITE={run.suite}"
    key = replace(run, experiment="long-range", task=f"contrastive-{run.task}", command=command)
    module, data, _ = load_module(folder)
    provide_test_sentences(data, folder)
    try:
        pairs = balanced(contrast_pairs(data))
    except ValueError as error:  # of another target language, for example: nothing to score, and nothing wrong
        return f"skipped {folder}: {error}"
    config = {"trained": training, "pairs": config_hash({"pairs": pairs}), "precision": PRECISION}
    if is_finished(key.folder, config_hash(config)):
        return f"finished already: {key.folder}"
    scored = score_pairs(module.network.float(), data, pairs)
    rows = measurements(scored)
    held_equal = {
        "contrast pairs": f"{len(pairs)}, list {config['pairs']}",
        "tokenizer": f"{data.tokenizer.kind}, {data.target_vocab_size} tokens",
        "precision": PRECISION,
    }
    with recording(key):
        write_rows(key.folder / "pairs.jsonl", map(as_row, scored))
        write_result(key, config, rows, held_equal, {}, provenance(started))
    return f"{key.folder}: {rows[0].value:.3f} of {len(pairs)} pairs"


def balanced(pairs: Sequence[ContrastPair]) -> list[ContrastPair]:
    """As many pairs with a singular as with a plural verb in each bin of distances, in the order given.

    In captions four verbs of five are singular, so that "always singular" would look like agreement. Of the more
    frequent number those stay whose ids have the smallest checksums.

    Raises:
        ValueError: No bin has both numbers.
    """
    kept: set[ContrastPair] = set()
    for low in DISTANCES:
        here = [pair for pair in pairs if bin_of(pair.distance, DISTANCES) == low]
        here.sort(key=lambda pair: zlib.crc32(pair.id.encode()))
        numbers = [[pair for pair in here if pair.number == number] for number in ("singular", "plural")]
        for members in numbers:
            kept.update(members[: min(map(len, numbers))])
    if not kept:
        raise ValueError("its contrast pairs have verbs of one number only at each distance: use larger test sets.")
    return [pair for pair in pairs if pair in kept]


def score_pairs(network: Network, data: TranslationData, pairs: Sequence[ContrastPair]) -> list[Scored]:
    """Score both sentences of every pair, each with the source it translates."""
    sources = [tuple(data.source_tokenizer.encode(pair.source)) for pair in pairs]
    references = [tuple(data.target_tokenizer.encode(pair.reference)) for pair in pairs]
    contrasts = [tuple(data.target_tokenizer.encode(pair.contrast)) for pair in pairs]
    both = [*zip(sources, references, strict=True), *zip(sources, contrasts, strict=True)]
    found = log_probs(network, both, data.max_tokens)
    return [Scored(*row) for row in zip(pairs, found[: len(pairs)], found[len(pairs) :], strict=True)]


@torch.no_grad()
def log_probs(network: Network, encoded: Sequence[Encoded], max_tokens: int) -> list[LogProb]:
    """log P(target | source), teacher forced, in the order given.

    Equal pairs of source and target are scored once, so that rounding in different batches breaks no tie.

    Args:
        max_tokens: Budget of a batch; a longer sentence gets its own.
    """
    unique = list(dict.fromkeys(encoded))
    examples = TranslationExamples([source for source, _ in unique], [target for _, target in unique])
    budget = max(max_tokens, int(examples.lengths.max()))
    sampler = TokenBucketBatchSampler(examples.lengths, budget, shuffle=False)
    device = next(iter(network.parameters()), torch.empty(0)).device
    scores: dict[Encoded, LogProb] = {}
    for rows in sampler:
        batch = examples.batch(rows).of(lambda tensor: tensor.to(device))
        logits, scored = scored_logits(network, batch.source, batch.decoder_input, batch.labels)
        losses = F.cross_entropy(logits.float(), scored, reduction="none").double()
        for i, row in zip(rows, losses.split((batch.labels != IGNORE).sum(1).tolist()), strict=True):
            scores[unique[i]] = LogProb(-float(row.sum()), len(row))
    return [scores[pair] for pair in encoded]


def measurements(scored: Sequence[Scored]) -> list[Measurement]:
    """Share of pairs judged right: of all, by distance, and by attractors where they are known; and by always
    choosing the verb's more frequent number.
    """
    bins: dict[tuple[str, str | int], list[Scored]] = {("all", "all"): list(scored)}
    bins |= {("distance", low): [s for s in scored if bin_of(s.pair.distance, DISTANCES) == low] for low in DISTANCES}
    known = [(s, s.pair.attractors) for s in scored if s.pair.attractors is not None]
    bins |= {("attractors", low): [s for s, n in known if bin_of(n, ATTRACTORS) == low] for low in ATTRACTORS}
    rows = []
    for (x_name, x), members in bins.items():
        if n := len(members):
            by_sum, by_mean = sum(s.right for s in members), sum(s.right_by_mean for s in members)
            rows.append(Measurement("contrastive_accuracy", by_sum / n, "share", n, x_name, x))
            rows.append(Measurement("contrastive_accuracy_mean", by_mean / n, "share", n, x_name, x))
            most = max(Counter(s.pair.number for s in members).values())
            rows.append(Measurement("chance: the more frequent number", most / n, "share", n, x_name, x))
    return rows


def bin_of(value: int, lows: Sequence[int]) -> int:
    """The largest lower bound that is not above a value."""
    return lows[bisect_right(lows, value) - 1]


def as_row(scored: Scored) -> Pair:
    """A pair as a line of pairs.jsonl."""
    pair = scored.pair
    return {
        "id": pair.id,
        "source": pair.source,
        "reference": pair.reference,
        "contrast": pair.contrast,
        "distance": pair.distance,
        "log_prob_reference": scored.reference.total,
        "log_prob_contrast": scored.contrast.total,
    }


if __name__ == "__main__":
    command_line.run(main)
