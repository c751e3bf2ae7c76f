"""The BLEU that models are chosen and compared by."""

from collections.abc import Sequence

from sacrebleu.metrics import BLEU


def bleu(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """sacreBLEU, mixed case, 13a: hypotheses and references as plain text."""
    return float(BLEU().corpus_score(list(hypotheses), [list(references)]).score)
