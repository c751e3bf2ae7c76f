"""The interface of the tokenisers, which convert text to ids and back, and their settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from datamodules.batch import BOS, EOS, PAD

UNKNOWN = "⁇"  # text of an unknown token


@dataclass
class TokenizerSettings:
    """Kind and size of a tokeniser.

    Attributes:
        kind: `bpe` and `unigram` are SentencePiece subwords, `word` are Moses words.
        vocab_size: Number of ids, special tokens included: exact for subwords, an upper bound for words.
        joint: One vocabulary for both languages, so that a model can share its embeddings; otherwise one per language.
        min_frequency: For `word`: rarer words become unknown.
    """

    kind: Literal["bpe", "unigram", "word"] = "bpe"
    vocab_size: int = 8000
    joint: bool = True
    min_frequency: int = 2


class Tokenizer(Protocol):
    """The interface of a tokeniser. The special ids are those of `datamodules.batch`."""

    def __len__(self) -> int:
        """Number of ids, special tokens included."""

    def serialised(self) -> bytes:
        """All that it was trained to be."""

    def encode(self, text: str) -> list[int]:
        """Ids of a sentence, without BOS and EOS."""

    def decode(self, ids: Sequence[int]) -> str:
        """Plain text of the ids up to the first EOS; an unknown token becomes `⁇`, other special tokens are dropped."""

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """One printable string per id, special tokens included: labels for the axis of an attention map."""


def until_eos(ids: Sequence[int]) -> list[int]:
    """The ids before the first EOS, without BOS and PAD."""
    plain = [int(i) for i in ids]
    if EOS in plain:
        plain = plain[: plain.index(EOS)]
    return [i for i in plain if i not in (BOS, PAD)]
