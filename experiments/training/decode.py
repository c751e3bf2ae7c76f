"""Sentences in, hypotheses out: decoding a split with any network, and the BLEU of its hypotheses."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from sacrebleu.metrics import BLEU
from torch import Tensor

from datamodules import TranslationData
from datamodules.text_files import tidied
from experiments.record.languages import tokeniser_for
from models.lightning_modules import gather_interleaved
from models.network import Network
from models.search import Decoding, Hypothesis, search


@dataclass(frozen=True)
class Translation:
    """The best hypothesis of one sentence, as text."""

    id: int
    hypothesis: str
    score: float
    log_prob: float
    source_tokens: int
    truncated: bool


def translate_batch(
    network: Network, source: Tensor, ids: Tensor, data: TranslationData, decoding: Decoding
) -> list[Translation]:
    """Translate (B, S) token ids; `ids` (B,) say which sentences they are."""
    found = search(network, source, decoding)
    lengths = (source != network.pad_id).sum(1).tolist()
    return [as_text(i, best, n, data) for i, (best, *_), n in zip(ids.tolist(), found, lengths, strict=True)]


def as_text(id: int, hypothesis: Hypothesis, source_tokens: int, data: TranslationData) -> Translation:
    text = tidied(data.target_tokenizer.decode(hypothesis.tokens))  # as references are
    return Translation(id, text, hypothesis.score, hypothesis.log_prob, source_tokens, hypothesis.truncated)


def translate_split(
    network: Network, data: TranslationData, split: str, decoding: Decoding, device: torch.device
) -> list[Translation]:
    """Translate a whole split in single precision, in the corpus's order.

    Every sentence has its own length limit and precision is full, so that batches do not change hypotheses.
    """
    translations: list[Translation] = []
    for batch in data.loader(split, max_tokens=8 * data.max_tokens // decoding.beam_size):
        translations += translate_batch(network, batch.source.to(device), batch.ids, data, decoding)
    return sorted(translations, key=lambda t: t.id)


def gather(translations: list[Translation]) -> list[Translation]:
    """The translations of all ranks, each sentence once, in order."""
    return sorted({t.id: t for t in gather_interleaved(translations)}.values(), key=lambda t: t.id)


def bleu(hypotheses: Sequence[str], references: Sequence[str], language: str) -> float:
    """sacreBLEU, mixed case, by the tokeniser of the target language: hypotheses and references as plain text."""
    metric = BLEU(tokenize=tokeniser_for(language))
    return float(metric.corpus_score(list(hypotheses), [list(references)]).score)
