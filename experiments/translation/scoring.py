"""Translation metrics: sacreBLEU and chrF, the Multi30k literature's BLEU, and torchtext's as a cross-check."""

import logging
from collections.abc import Sequence
from functools import lru_cache

from sacrebleu.metrics import BLEU, CHRF
from sacremoses import MosesPunctNormalizer, MosesTokenizer

from datamodules.corpora import Corpus, ParallelText
from experiments.record.keys import Measurement
from experiments.record.languages import USUAL, separates_words, tokeniser_for
from experiments.training.decode import Translation, bleu

# Source lengths at which a new bin begins: in words or, where nothing separates these, in tokens of the model.
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
    test_set: str, translations: Sequence[Translation], text: ParallelText, corpus: Corpus
) -> list[Measurement]:
    """Every metric of one test set.

    Args:
        test_set: Its name.
        translations: Of its sentences, in their order.
        text: Its sources and references, plain.
        corpus: Names the languages: the target's tokeniser of BLEU and Moses' rules, the source's unit of length.
    """
    hypotheses, references, language = [t.hypothesis for t in translations], text.target, corpus.target_language
    n = len(hypotheses)
    logging.getLogger("sacrebleu").setLevel(logging.ERROR)  # it warns that tokenised text looks tokenised
    score = BLEU(tokenize=tokeniser_for(language)).corpus_score(hypotheses, [references])
    values = {
        ("bleu", "BLEU"): score.score,
        ("chrf", "chrF"): CHRF().corpus_score(hypotheses, [references]).score,
        ("length_ratio", "ratio"): score.sys_len / max(1, score.ref_len),
    }
    if tokeniser_for(language) == USUAL:  # Moses leaves a sentence without blanks one word
        values["bleu_tokenised", "BLEU"] = bleu_tokenised(hypotheses, references, language)
        values["bleu_torchtext", "BLEU"] = bleu_torchtext(hypotheses, references, language)
    rows = [Measurement(metric, value, unit, n, "test_set", test_set) for (metric, unit), value in values.items()]
    if separates_words(corpus.source_language):
        unit, lengths = "source words", [len(source.split()) for source in text.source]
    else:
        unit, lengths = "source tokens", [t.source_tokens - 1 for t in translations]  # without the end of the sentence
    for low, indices in length_bins(lengths).items():
        value = bleu([hypotheses[i] for i in indices], [references[i] for i in indices], language)
        rows.append(Measurement("bleu_by_length", value, "BLEU", len(indices), f"{unit}, {test_set}", low))
    return rows


def length_bins(lengths: Sequence[int]) -> dict[int, list[int]]:
    """Sentence numbers by the lower bound of their length bin; empty bins are left out."""
    bins: dict[int, list[int]] = {low: [] for low in LENGTH_BINS}
    for i, length in enumerate(lengths):
        bins[max(low for low in LENGTH_BINS if low <= max(1, length))].append(i)
    return {low: indices for low, indices in bins.items() if indices}


def signatures(language: str) -> dict[str, str]:
    """sacreBLEU's own description of the metrics, for anyone who wants to compare."""
    metrics = {"bleu": BLEU(tokenize=tokeniser_for(language)), "chrf": CHRF()}
    tokenised = BLEU(tokenize="none", smooth_method="none", force=True)
    for metric in (*metrics.values(), tokenised):
        metric.corpus_score(["a b c d"], [["a b c d"]])
    described = {name: str(metric.get_signature()) for name, metric in metrics.items()}
    if tokeniser_for(language) != USUAL:
        return described
    return {**described, "bleu_tokenised": f"{tokenised.get_signature()} after lower-casing and Moses tokenisation"}
