"""The translation experiment: validate by BLEU, then decode the test sets, score, and write the record."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback

from datamodules import TranslationData
from experiments.record.keys import WORD_COUNTS, Measurement, RunKey, config_hash
from experiments.record.languages import USUAL, tokeniser_for
from experiments.record.write import write_atomically, write_rows
from experiments.training.decode import Translation, bleu, translate_split
from experiments.training.trained_run import Trained, attention_record
from experiments.training.validation import ValidationBLEU
from experiments.translation.scoring import score_translations, signatures
from experiments.translation.word_counts import target_word_counts
from models import Seq2SeqModule
from models.network import Network
from models.search import Decoding, search

ATTENTION_SENTENCES = 4  # per run, from the first test set
MAPPED = 256  # source tokens of the longest sentence that is mapped: maps grow with the square


def announce(data: TranslationData) -> None:
    """Print what was changed in the text or left out, and which test pairs are training pairs too."""
    data.examples("train")
    overlaps = {test_set: data.also_trained_on(test_set) for test_set in data.test_sets}
    again = [
        f"{name}: {n:,} of {len(data.text(name)):,} pairs are training pairs too" for name, n in overlaps.items() if n
    ]
    for note in [*data.notes, *again]:
        print(f"note: {note}", file=sys.stderr)


def callbacks(data: TranslationData, decoding: Decoding, validation_sentences: int) -> list[Callback]:
    """What watches the training of a translation model."""
    return [ValidationBLEU(data, decoding, validation_sentences)]


def longest(data: TranslationData, decoding: Decoding) -> tuple[int, str]:
    """Tokens of the longest sequence in training and evaluation, and what it is."""
    found = []
    for split in ("train", "val", *data.test_sets):
        source, target = (int(n) for n in data.examples(split).lengths.max(axis=0))
        found += [(source, f"a source of {split}"), (target, f"a target of {split}")]
        if split != "train":
            found.append((decoding.limit(source), f"a hypothesis of {split} (decoding.length_factor, length_margin)"))
    return max(found)


def evaluate_run(run: Trained[TranslationData]) -> None:
    """Measure a trained run and write its result.json, last."""
    data, decoding = run.data, run.decoding
    rows = [*run.cost(), *validation_measurements(run)]
    run.use(run.checkpoint["state_dict"])
    written: list[str] = []
    for test_set in data.test_sets:
        hypotheses, scores = _evaluate_test_set(run.key, test_set, run.module, data, decoding)
        written += [*hypotheses, *data.text(test_set).target]
        rows += scores
    tokeniser = tokeniser_for(data.corpus.target_language)
    counts = target_word_counts(data.text("train").target, written, tokeniser)
    write_atomically(run.key.folder / WORD_COUNTS, json.dumps(counts, ensure_ascii=False))
    maps = attention_records(run.module.network, data, decoding, ATTENTION_SENTENCES)
    write_atomically(run.key.folder / "attention.json", json.dumps(maps, ensure_ascii=False))
    files = run.config.get("contents")
    held_equal = {
        "text": f"SHA-256 {config_hash({'files': [*files.values()]})}" if files else "generated",
        "data order seed": data.seed,
        "tokens per batch": data.max_tokens,
        "tokenizer": f"{data.tokenizer.kind}, {data.target_vocab_size} tokens",
        "training pairs": len(data.examples("train")),
        "changes of the text": "; ".join(data.notes) or "none",
        "beam size": decoding.beam_size,
        "length penalty": decoding.length_penalty,
    }
    run.record(rows, held_equal, signatures(data.corpus.target_language))
    found = "  ".join(f"{m.x} {m.value:.2f}" for m in rows if m.metric == "bleu")
    print(f"{run.key.folder}: BLEU {f'({tokeniser}) ' if tokeniser != USUAL else ''}{found}")


def validation_measurements(run: Trained[TranslationData]) -> list[Measurement]:
    """Validation BLEU of the chosen checkpoint with beam search, with averaged weights and with the last raw ones."""
    references, language = run.data.text("val").target, run.data.corpus.target_language
    run.use(run.checkpoint["state_dict"])
    rows = [run.validation_loss()]
    weights = {"val_bleu": run.checkpoint["state_dict"]}
    if "current_model_state" in run.checkpoint:
        raw = run.checkpoint["current_model_state"]
        weights["val_bleu_unaveraged"] = {name.removeprefix("module."): value for name, value in raw.items()}
    for metric, state in weights.items():
        run.use(state)
        translations = translate_split(run.module.network, run.data, "val", run.decoding, run.module.device)
        score = bleu([t.hypothesis for t in translations], references, language)
        rows.append(Measurement(metric, score, "BLEU", len(references)))
    return rows


def _evaluate_test_set(
    key: RunKey, test_set: str, module: Seq2SeqModule, data: TranslationData, decoding: Decoding
) -> tuple[list[str], list[Measurement]]:
    text = data.text(test_set)
    begun = time.perf_counter()
    translations = translate_split(module.network, data, test_set, decoding, module.device)
    seconds = time.perf_counter() - begun
    write_rows(key.folder / "hypotheses" / f"{test_set}.jsonl", map(_row, translations, text.source, text.target))
    n = len(translations)
    truncated = sum(t.truncated for t in translations) / n
    return [t.hypothesis for t in translations], [
        *score_translations(test_set, translations, text, data.corpus),
        Measurement("also_trained_on", data.also_trained_on(test_set), "pairs", n, "test_set", test_set),
        Measurement("truncated_share", truncated, "share", n, "test_set", test_set),
        Measurement("decode_seconds", seconds, "s", n, "test_set", test_set),
    ]


def _row(translation: Translation, source: str, reference: str) -> dict[str, Any]:
    return {"id": translation.id, "source": source, "reference": reference, **asdict(translation)}


@torch.no_grad()
def attention_records(
    network: Network, data: TranslationData, decoding: Decoding, wanted: int, every: bool = False
) -> list[dict[str, Any]]:
    """Attention to the source of the best hypotheses of `wanted` sentences of the first test set, or `every` map."""
    test_set = data.test_sets[0]
    examples = data.examples(test_set)
    device = next(network.parameters()).device
    records = []
    for i in evenly_spaced(examples.lengths[:, 0].tolist(), wanted):
        if examples.lengths[i, 0] > MAPPED:
            continue
        source = examples.batch([i]).source[0].to(device)
        tokens = search(network, source.unsqueeze(0), decoding)[0][0].tokens
        rows, decoder_input = source.unsqueeze(0), torch.tensor([[decoding.bos_id, *tokens]], device=device)
        if every:
            maps = network.every_attention(rows, decoder_input)
        else:
            maps = network.attention(network.encode(rows), decoder_input)
        words = data.source_tokenizer.pieces(source.tolist()), [*data.target_tokenizer.pieces(tokens), "</s>"]
        records.append(attention_record(test_set, i, *words, maps, decimals=3 if every else 4))
    return records


def evenly_spaced(lengths: Sequence[int], wanted: int) -> list[int]:
    """Numbers of `wanted` sentences evenly spaced by length, ties by number: the data decide, not the model."""
    by_length = sorted(range(len(lengths)), key=lambda i: (lengths[i], i))
    middles = (len(by_length) * (2 * k + 1) // (2 * wanted) for k in range(wanted))
    return [by_length[middle] for middle in dict.fromkeys(middles)]
