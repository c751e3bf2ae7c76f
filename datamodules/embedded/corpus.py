"""The embedded corpus: English-German sentence pairs that the project writes itself, without files or network."""

import zlib
from random import Random

from datamodules.embedded.grammar import SentencePair, generate_pair

SIZES = {"train": 20_000, "val": 300, "test": 500}
SHORTEST, LONGEST = 4, 28  # English words
SHARES = 12  # of all possible sentences, one in so many may be a validation sentence and one a test sentence


def embedded_corpus(
    split: str, seed: int = 0, size: int | None = None, shortest: int = SHORTEST, longest: int = LONGEST
) -> list[SentencePair]:
    """Sentence pairs of one split, all different, with English lengths spread evenly from `shortest` to `longest`.

    Which split a sentence may be in depends on the sentence alone, so splits are disjoint whatever their seeds, sizes
    and lengths. The same arguments give the same pairs in the same order.

    Raises:
        ValueError: the split is not train, val or test, or `shortest` is below 4 or above `longest`.
    """
    if split not in SIZES:
        raise ValueError(
            f"split is {split!r}, but the embedded corpus has the splits {', '.join(SIZES)}: name one of them"
        )
    if not SHORTEST <= shortest <= longest:
        raise ValueError(
            f"shortest is {shortest} and longest {longest}, but lengths start at {SHORTEST} words: "
            f"choose {SHORTEST} <= shortest <= longest"
        )
    rng = Random(f"{split} {seed}")
    pairs: dict[str, SentencePair] = {}
    wanted = SIZES[split] if size is None else size
    while len(pairs) < wanted:
        pair = generate_pair(rng, rng.randint(shortest, longest))
        if split_of(pair.english) == split and shortest <= pair.words <= longest:
            pairs.setdefault(pair.english, pair)
    return list(pairs.values())


def split_of(english: str) -> str:
    """The only split a sentence may be in, decided by its checksum."""
    return {0: "val", 1: "test"}.get(zlib.crc32(english.encode()) % SHARES, "train")
