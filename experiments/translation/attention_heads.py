"""The attention heads of a trained translation model: maps of a few sentences, measures over many.

python -m experiments.translation.attention_heads --suite quick
"""

import json
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import Tensor

from datamodules import TranslationData
from experiments.launch import command_line
from experiments.launch.exit_codes import FAILED
from experiments.launch.provenance import provenance
from experiments.launch.receipts import of_stage
from experiments.record.keys import ATTENTION, WORD_COUNTS, Measurement, config_hash
from experiments.record.metrics import metrics
from experiments.record.read import WHOLE_RUN, is_finished, read_json
from experiments.record.schema import WordCounts
from experiments.record.write import write_atomically, write_result
from experiments.training.environment import quiet
from experiments.training.trained_run import load_module
from experiments.translation.experiment import MAPPED, attention_records
from experiments.translation.remeasure import finished_run, measure_each, provide_test_sentences, recording
from models.network import Network

SENTENCES = 6  # whose maps are kept
MEASURED = 200  # sentences that the measures of the heads are means over
PRECISION = "32-true"


def main(suite: str = "quick", root: str = "runs") -> None:
    """Inspect every trained translation model of a suite; those inspected already are skipped.

    Args:
        suite: Which suite's models.
        root: Folder of the run store.
    """
    quiet()
    receipt = of_stage("inspect", suite, root)
    if not measure_each(suite, root, inspect_run):
        raise SystemExit(FAILED)
    receipt.write()


def inspect_run(folder: Path) -> str:
    """Inspect a finished translation run, unless done before, and write its record; return a line for the user.

    Raises:
        FileNotFoundError: The run is not finished, or its folder is not whole.
        ValueError: Its checkpoint belongs to another model, or a file is not as a run writes it.
    """
    started, (run, training) = datetime.now(UTC), finished_run(folder)
    key = replace(run, experiment="inspection", command=f"make inspect SUITE={run.suite}")
    config = {"trained": training, "sentences": [SENTENCES, MEASURED], "precision": PRECISION}
    if is_finished(key.folder, config_hash(config)):
        return f"finished already: {key.folder}"
    module, data, decoding = load_module(folder)
    network = module.network.float()
    provide_test_sentences(data, folder)
    counts: WordCounts = read_json(folder / WORD_COUNTS, WordCounts, WHOLE_RUN)
    maps = attention_records(network, data, decoding, SENTENCES, every=True)
    rows = measurements(network, data)
    test_set = data.test_sets[0]
    held_equal = {
        "sentences measured": f"first {min(MEASURED, len(data.examples(test_set)))} of {test_set}, teacher forced",
        "tokenizer": f"{data.tokenizer.kind}, {data.target_vocab_size} tokens",
        "precision": PRECISION,
    }
    with recording(key):
        write_atomically(key.folder / WORD_COUNTS, json.dumps(counts, ensure_ascii=False))
        write_atomically(key.folder / ATTENTION, json.dumps(maps, ensure_ascii=False))
        write_result(key, config, rows, held_equal, {}, provenance(started))
    heads = sum(row.metric == "head_entropy" for row in rows)
    return f"{key.folder}: {heads} attention heads, {len(counts['counts'])} words counted"


@torch.no_grad()
def measurements(network: Network, data: TranslationData) -> list[Measurement]:
    """Means over the queries of the first sentences of the first test set with their references, by map and head."""
    examples = data.examples(data.test_sets[0])
    measured = [i for i in range(min(MEASURED, len(examples))) if max(examples.lengths[i]) <= MAPPED]
    n = len(measured)
    found: dict[tuple[str, str], list[Tensor]] = defaultdict(list)  # by metric and map, (h, queries) a sentence
    chance: list[Tensor] = []
    for i in measured:
        source, decoder_input, *_ = examples.batch([i])
        for name, weights in network.every_attention(source, decoder_input).items():
            for metric, values in head_values(name, weights[0].double()).items():
                found[metric, name].append(values)
        chance.append(near_diagonal(decoder_input.shape[1], source.shape[1]).double().mean(1))
    rows = []
    for (metric, name), parts in found.items():
        for head, value in enumerate(torch.cat(parts, dim=1).mean(1).tolist(), start=1):
            rows.append(Measurement(metric, value, metrics()[metric].unit, n, name, head))
    if rows:
        rows.append(Measurement("alignment_by_chance", float(torch.cat(chance).mean()), "share", n))
    return rows


def head_values(name: str, weights: Tensor) -> dict[str, Tensor]:
    """Measures of each head at each query, (h, queries for which it is defined) by metric.

    Args:
        name: Of the map; `encoder` and `decoder` are self-attention, a decoder's query sees keys up to its own place.
        weights: (h, T, K) of one sentence without padding.
    """
    kind = name.split()[0]
    T, K = weights.shape[1:]
    query, key = torch.arange(T), torch.arange(K)
    seen = query + 1 if kind == "decoder" else torch.full((T,), K)
    entropy = torch.special.entr(weights).sum(-1)  # (h, T)
    choice = seen > 1
    found = {
        "head_entropy": entropy,
        "head_entropy_share": entropy[:, choice] / seen[choice].double().log(),
        "head_distance": (weights * (query.unsqueeze(1) - key).abs()).sum(-1),
        "head_strongest": weights.amax(-1),
        # where attention goes that is of no use elsewhere: a decoder's first input is <s>, a source ends with </s>
        "head_edge": weights[:, choice, 0] if kind == "decoder" else weights[:, choice, -1],
    }
    if kind in ("encoder", "decoder"):
        found["head_previous"] = weights.diagonal(-1, -2, -1)
        found["head_same"] = weights.diagonal(0, -2, -1)
        if kind == "encoder":
            found["head_next"] = weights.diagonal(1, -2, -1)
    else:
        strongest = weights.argmax(-1, keepdim=True)  # (h, T, 1)
        found["head_alignment"] = near_diagonal(T, K).expand_as(weights).gather(-1, strongest).squeeze(-1).double()
    return found


def near_diagonal(T: int, S: int) -> Tensor:
    """(T, S), whether source token s is within 1 of t (S - 1) / (T - 1): from first to first, from last to last."""
    place = torch.arange(T) * (S - 1) / max(T - 1, 1)
    return (torch.arange(S) - place.unsqueeze(1)).abs() <= 1


if __name__ == "__main__":
    command_line.run(main)
