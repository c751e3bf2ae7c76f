"""Translation metrics: sacreBLEU and chrF, the Multi30k literature's BLEU, and torchtext's as a cross-check."""

import logging
from collections.abc import Sequence
from functools import lru_cache

from sacrebleu.metrics import BLEU, CHRF
from sacremoses import MosesPunctNormalizer, MosesTokenizer

from experiments.record.keys import Measurement
from experiments.training.decode import bleu

# Source lengths in words at which a new bin begins.
LENGTH_BINS = (1, 6, 11, 16, 21, 26, 31, 41, 51)


def bleu_tokenised(hypotheses: Sequence[str], references: Sequence[str], language: str) -> float:
    """Lower-cased, punctuation-normalised, Moses-tokenised BLEU-4 without smoothing.

    The metric of Multi30k's literature, for example Wu et al. 2021 (arXiv 2105.14462); not comparable with `bleu`.
    """
    metric = BLEU(tokenize="none", smooth_method="none", force=True)
    return float(metric.corpus_score(tokenise(hypotheses, language), [tokenise(references, language)]).score)


def bleu_torchtext(hypotheses: Sequence[str], references: Sequence[str], language: str) -> float:
    """torchtext's corpus BLEU on the same tokens as `bleu_tokenised`: an independent second opinion."""
    from torchtext.data.metrics import bleu_score

    pairs = list(zip(tokenise(hypotheses, language), tokenise(references, language), strict=True))
    return 100 * float(bleu_score([h.split() for h, _ in pairs], [[r.split()] for _, r in pairs]))


def tokenise(lines: Sequence[str], language: str) -> list[str]:
    """Lower-case, normalise punctuation, Moses-tokenise with escaping and without splitting dashes."""
    normalise, tokenizer = _moses(language)
    return [tokenizer.tokenize(normalise.normalize(line.lower()), return_str=True) for line in lines]


@lru_cache
def _moses(language: str) -> tuple[MosesPunctNormalizer, MosesTokenizer]:
    return MosesPunctNormalizer(lang=language), MosesTokenizer(lang=language)


def score_translations(
    test_set: str, sources: Sequence[str], references: Sequence[str], hypotheses: Sequence[str], language: str
) -> list[Measurement]:
    """Every metric of one test set.

    Args:
        test_set: Its name.
        sources, references, hypotheses: Plain text, line by line; the references are never tokenised or changed.
        language: Target language, for Moses' rules.
    """
    n = len(hypotheses)
    logging.getLogger("sacrebleu").setLevel(logging.ERROR)  # it warns that tokenised text looks tokenised
    corpus = BLEU().corpus_score(list(hypotheses), [list(references)])
    values = {
        ("bleu", "BLEU"): corpus.score,
        ("chrf", "chrF"): CHRF().corpus_score(list(hypotheses), [list(references)]).score,
        ("bleu_tokenised", "BLEU"): bleu_tokenised(hypotheses, references, language),
        ("bleu_torchtext", "BLEU"): bleu_torchtext(hypotheses, references, language),
        ("length_ratio", "ratio"): corpus.sys_len / max(1, corpus.ref_len),
    }
    rows = [Measurement(metric, value, unit, n, "test_set", test_set) for (metric, unit), value in values.items()]
    for low, indices in length_bins(sources).items():
        score = bleu([hypotheses[i] for i in indices], [references[i] for i in indices])
        rows.append(Measurement("bleu_by_length", score, "BLEU", len(indices), f"source words, {test_set}", low))
    return rows


def length_bins(sources: Sequence[str]) -> dict[int, list[int]]:
    """Sentence numbers by the lower bound of their length bin, in source words; empty bins are left out."""
    bins: dict[int, list[int]] = {low: [] for low in LENGTH_BINS}
    for i, source in enumerate(sources):
        bins[max(low for low in LENGTH_BINS if low <= max(1, len(source.split())))].append(i)
    return {low: indices for low, indices in bins.items() if indices}


def signatures() -> dict[str, str]:
    """sacreBLEU's own description of the metrics, for anyone who wants to compare."""
    metrics = {"bleu": BLEU(), "chrf": CHRF()}
    tokenised = BLEU(tokenize="none", smooth_method="none", force=True)
    for metric in (*metrics.values(), tokenised):
        metric.corpus_score(["a b c d"], [["a b c d"]])
    described = {name: str(metric.get_signature()) for name, metric in metrics.items()}
    return {**described, "bleu_tokenised": f"{tokenised.get_signature()} after lower-casing and Moses tokenisation"}
