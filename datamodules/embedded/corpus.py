"""The embedded corpus: generated English-German sentence pairs, in splits."""

import zlib
from random import Random

from datamodules.embedded.grammar import SentencePair, generate_pair

SIZES = {"train": 20_000, "val": 300, "test": 500}
SHORTEST, LONGEST = 4, 28  # English words
SHARES = 12  # one in so many possible sentences is for validation, and one for the test set


def embedded_corpus(
    split: str, seed: int = 0, size: int | None = None, shortest: int = SHORTEST, longest: int = LONGEST
) -> list[SentencePair]:
    """Distinct sentence pairs of one split, with English lengths from `shortest` to `longest`, short ones more often.

    A length is the smaller of two even draws: on long sentences alone a model without attention learns nothing at all.

    The split of a sentence depends on the sentence alone, so splits are disjoint for any seeds, sizes and lengths. The
    same arguments give the same pairs in the same order.

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
        pair = generate_pair(rng, min(rng.randint(shortest, longest), rng.randint(shortest, longest)))
        if split_of(pair.english) == split and shortest <= pair.words <= longest:
            pairs.setdefault(pair.english, pair)
    return list(pairs.values())


def split_of(english: str) -> str:
    """The split of a sentence, by its checksum."""
    return {0: "val", 1: "test"}.get(zlib.crc32(english.encode()) % SHARES, "train")
