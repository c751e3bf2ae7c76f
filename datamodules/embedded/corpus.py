"""The embedded corpus: generated English-German sentence pairs, in splits."""

import hashlib
import json
import zlib
from pathlib import Path
from random import Random

from datamodules.embedded.grammar import SentencePair, generate_pair
from datamodules.text_files import made_once

SIZES = {"train": 20_000, "val": 300, "test": 500}
SHORTEST, LONGEST = 4, 28  # English words
SHARES = 12  # one in so many possible sentences is for validation, and one for the test set


def embedded_corpus(split: str, seed: int = 0, size: int | None = None, longest: int = LONGEST) -> list[SentencePair]:
    """Distinct sentence pairs of one split, with English lengths from SHORTEST to `longest`, short ones more often.

    A length is the smaller of two even draws: on long sentences alone a model without attention learns nothing at all.

    The split of a sentence depends on the sentence alone, so splits are disjoint for any seeds, sizes and lengths. The
    same arguments give the same pairs in the same order.
    """
    rng = Random(f"{split} {seed}")
    pairs: dict[str, SentencePair] = {}
    wanted = SIZES[split] if size is None else size
    while len(pairs) < wanted:
        pair = generate_pair(rng, min(rng.randint(SHORTEST, longest), rng.randint(SHORTEST, longest)))
        if split_of(pair.english) == split and SHORTEST <= pair.words <= longest:
            pairs.setdefault(pair.english, pair)
    return list(pairs.values())


def cached_corpus(split: str, cache_dir: Path, size: int | None = None) -> list[SentencePair]:
    """`embedded_corpus`, generated once and then read from `cache_dir/embedded`.

    The file name is a hash of everything the corpus depends on. Concurrent processes generate it once.

    Raises:
        ValueError: the file holds something else.
    """
    key = hashlib.sha256(f"{split} {SIZES[split] if size is None else size}".encode())
    for source in sorted(Path(__file__).parent.iterdir()):
        key.update(source.read_bytes() if source.is_file() else b"")
    path = cache_dir / "embedded" / f"{split}-{key.hexdigest()[:16]}.json"
    content = made_once(path, lambda: json.dumps(embedded_corpus(split, size=size)).encode())
    try:
        return [SentencePair(*row) for row in json.loads(content)]
    except (ValueError, TypeError):
        raise ValueError(
            f"{path} is not the corpus that was cached there: delete it, and it is generated again."
        ) from None


def split_of(english: str) -> str:
    """The split of a sentence, by its checksum."""
    return {0: "val", 1: "test"}.get(zlib.crc32(english.encode()) % SHARES, "train")
