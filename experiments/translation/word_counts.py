"""How often the words of references and hypotheses occur in the training text, counted while that is there."""

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from experiments.record import languages

split = lru_cache(1 << 20)(languages.words)


def words(lines: Iterable[str], tokeniser: str) -> Iterator[str]:
    """The words that BLEU counts. No rule of 13a reaches across a space, and most of what is between two recurs."""
    usual = tokeniser == languages.USUAL
    chunks = (chunk for line in lines for chunk in (line.split() if usual else [line]))
    return (word for chunk in chunks for word in split(chunk, tokeniser))


def target_word_counts(training: Iterable[str], others: Iterable[str], tokeniser: str) -> dict[str, Any]:
    """Counts in the training target text of each word that other target sentences have, 0 included."""
    found, counts = set(words(others, tokeniser)), Counter(words(training, tokeniser))
    return {"tokeniser": tokeniser, "counts": {word: counts[word] for word in sorted(found)}}
