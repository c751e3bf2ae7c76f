"""How often the words of references and hypotheses occur in the training text, counted while that is there."""

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

tokenise = Tokenizer13a()


@cache
def split(chunk: str) -> list[str]:
    return str(tokenise(chunk)).split()


def words(lines: Iterable[str]) -> Iterator[str]:
    """The words that BLEU counts. No rule of 13a reaches across a space, and most of what is between two recurs."""
    return (word for line in lines for chunk in line.split() for word in split(chunk))


def target_word_counts(training: Iterable[str], others: Iterable[str]) -> dict[str, Any]:
    """Counts in the training target text of each word that other target sentences have, 0 included."""
    found, counts = set(words(others)), Counter(words(training))
    return {"tokeniser": "13a", "counts": {word: counts[word] for word in sorted(found)}}
