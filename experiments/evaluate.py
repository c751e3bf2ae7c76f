"""After training: decode the test sets with the checkpoint that validation chose, score, and write the record."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import lightning as L
import torch

from datamodules import TranslationData
from experiments.callbacks import Clock
from experiments.decode import Translation, translate_split
from experiments.scoring import bleu, score_translations, signatures
from experiments.store import Measurement, RunKey, write_atomically, write_result, write_rows
from models import Seq2SeqModule
from models.loss import scored_logits, smoothed_cross_entropy
from models.search import Decoding, attention_maps, search

ATTENTION_SENTENCES = 4  # per run, from the first test set


def evaluate_run(
    key: RunKey,
    config: dict[str, Any],
    trainer: L.Trainer,
    module: Seq2SeqModule,
    data: TranslationData,
    decoding: Decoding,
    clock: Clock,
    started: datetime,
) -> list[Measurement]:
    """Measure a trained run and write its result.json, last."""
    best = key.folder / "checkpoints" / "best.ckpt"
    checkpoint: dict[str, Any] = torch.load(best, map_location="cpu", weights_only=True)
    rows = [*training_measurements(module, checkpoint, clock, trainer.global_step)]
    rows += validation_measurements(module, checkpoint, data, decoding)
    module.load_state_dict(checkpoint["state_dict"])
    module.eval()
    for test_set in data.test_sets:
        rows += _evaluate_test_set(key, test_set, module, data, decoding)
    write_atomically(key.folder / "attention.json", _attention_json(module, data, decoding))
    settings = config["trainer"]
    held_equal = {
        "data order seed": data.seed,
        "steps": settings["max_steps"],
        "tokens per batch": data.max_tokens,
        "batches per step": settings["accumulate"] * trainer.world_size,
        "precision": trainer.precision,
        "weight averaging": f"exponential, decay {settings['ema_decay']}" if settings["ema_decay"] else "none",
        "label smoothing": module.optimisation.label_smoothing,
        "learning-rate schedule": module.optimisation.schedule,
        "gradient clipping": settings["gradient_clip"],
        "tokenizer": f"{data.tokenizer.kind}, {data.target_vocab_size} tokens",
        "checkpoint chosen by": settings["monitor"],
        "beam size": decoding.beam_size,
        "length penalty": decoding.length_penalty,
    }
    finished = datetime.now(UTC)
    times = {"started": started.isoformat(timespec="seconds"), "finished": finished.isoformat(timespec="seconds")}
    write_result(key, config, rows, held_equal, signatures(), times)
    scores = "  ".join(f"{m.x} {m.value:.2f}" for m in rows if m.metric == "bleu")
    print(f"{key.folder}: BLEU {scores}")
    return rows


def training_measurements(
    module: Seq2SeqModule, checkpoint: dict[str, Any], clock: Clock, steps: int
) -> list[Measurement]:
    """What training took: size, steps, tokens, seconds."""
    parameters = sum(p.numel() for p in module.parameters())
    embeddings = {id(m.weight): m.weight.numel() for m in module.modules() if isinstance(m, torch.nn.Embedding)}
    tokens = int(clock.target_tokens)
    return [
        Measurement("parameters", parameters, "parameters", 1),
        Measurement("parameters_without_embeddings", parameters - sum(embeddings.values()), "parameters", 1),
        Measurement("steps", steps, "steps", 1),
        Measurement("best_step", checkpoint["global_step"], "steps", 1),
        Measurement("target_tokens", tokens, "tokens", 1),
        Measurement("source_tokens", int(clock.source_tokens), "tokens", 1),
        Measurement("train_seconds", clock.seconds, "s", 1),
        Measurement("target_tokens_per_second", tokens / clock.seconds, "tokens/s", 1),
    ]


def validation_measurements(
    module: Seq2SeqModule, checkpoint: dict[str, Any], data: TranslationData, decoding: Decoding
) -> list[Measurement]:
    """Validation BLEU of the chosen checkpoint with beam search, with averaged weights and with the last raw ones."""
    references = data.text("val").target
    rows = [validation_loss(module, checkpoint, data)]
    weights = {"val_bleu": checkpoint["state_dict"]}
    if "current_model_state" in checkpoint:
        raw = checkpoint["current_model_state"]
        weights["val_bleu_unaveraged"] = {name.removeprefix("module."): value for name, value in raw.items()}
    for metric, state in weights.items():
        module.load_state_dict(state)
        module.eval()
        translations = translate_split(module.network, data, "val", decoding, module.device)
        score = bleu([t.hypothesis for t in translations], references)
        rows.append(Measurement(metric, score, "BLEU", len(references)))
    return rows


@torch.no_grad()
def validation_loss(module: Seq2SeqModule, checkpoint: dict[str, Any], data: TranslationData) -> Measurement:
    """Mean -log p of a validation token under the chosen checkpoint, in nats."""
    module.load_state_dict(checkpoint["state_dict"])
    module.eval()
    total, tokens = 0.0, 0
    for batch in data.loader("val"):
        source, decoder_input, labels = (t.to(module.device) for t in (batch.source, batch.decoder_input, batch.labels))
        logits, scored = scored_logits(module.network, source, decoder_input, labels)
        total += float(smoothed_cross_entropy(logits, scored, 0.0)) * len(scored)
        tokens += len(scored)
    return Measurement("val_loss", total / tokens, "nats", tokens)


def _evaluate_test_set(
    key: RunKey, test_set: str, module: Seq2SeqModule, data: TranslationData, decoding: Decoding
) -> list[Measurement]:
    text = data.text(test_set)
    begun = time.perf_counter()
    translations = translate_split(module.network, data, test_set, decoding, module.device)
    seconds = time.perf_counter() - begun
    hypotheses = [t.hypothesis for t in translations]
    write_rows(
        key.folder / "hypotheses" / f"{test_set}.jsonl",
        map(_row, translations, text.source, text.target),
    )
    n = len(translations)
    truncated = sum(t.truncated for t in translations) / n
    return [
        *score_translations(test_set, text.source, text.target, hypotheses, data.corpus.target_language),
        Measurement("truncated_share", truncated, "share", n, "test_set", test_set),
        Measurement("decode_seconds", seconds, "s", n, "test_set", test_set),
    ]


def _row(translation: Translation, source: str, reference: str) -> dict[str, Any]:
    return {
        "id": translation.id,
        "source": source,
        "reference": reference,
        "hypothesis": translation.hypothesis,
        "score": translation.score,
        "log_prob": translation.log_prob,
        "source_tokens": translation.source_tokens,
        "truncated": translation.truncated,
    }


def _attention_json(module: Seq2SeqModule, data: TranslationData, decoding: Decoding) -> str:
    """Attention of the best hypothesis for a few sentences, evenly spaced by length."""
    test_set = data.test_sets[0]
    examples = data.examples(test_set)
    by_length = sorted(range(len(examples)), key=lambda i: (len(examples[i].source), i))
    chosen = [by_length[len(by_length) * (2 * i + 1) // (2 * ATTENTION_SENTENCES)] for i in range(ATTENTION_SENTENCES)]
    records = []
    for i in chosen:
        source = examples[i].source.to(module.device)
        hypothesis = search(module.network, source.unsqueeze(0), decoding)[0][0]
        maps = attention_maps(module.network, source, hypothesis.tokens, decoding)
        records.append(
            {
                "test_set": test_set,
                "id": i,
                "source_tokens": data.source_tokenizer.pieces(source.tolist()),
                "target_tokens": [*data.target_tokenizer.pieces(hypothesis.tokens), "</s>"],
                "maps": {name: weights.cpu().numpy().round(4).tolist() for name, weights in maps.items()},
            }
        )
    return json.dumps(records, ensure_ascii=False)
