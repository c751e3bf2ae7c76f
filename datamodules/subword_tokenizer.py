"""SentencePiece subwords, trained on the training text and cached (Kudo and Richardson 2018, arXiv:1808.06226)."""

import hashlib
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sentencepiece

from datamodules.batch import BOS, EOS, PAD, SPECIAL_TOKENS, UNK
from datamodules.text_files import made_once
from datamodules.tokenizer import UNKNOWN, TokenizerSettings, until_eos

# 256 byte pieces spell any character the training text lacks; below this size they would crowd out words.
BYTE_FALLBACK_FROM = 4000


class SentencePieceTokenizer:
    """Subwords of a serialised SentencePiece model."""

    def __init__(self, model: bytes) -> None:
        self.processor = sentencepiece.SentencePieceProcessor(model_proto=model)

    def __len__(self) -> int:
        return self.processor.get_piece_size()

    def serialised(self) -> bytes:
        return self.processor.serialized_model_proto()

    def encode(self, text: str) -> list[int]:
        return self.processor.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        return self.processor.decode(until_eos(ids))

    def pieces(self, ids: Sequence[int]) -> list[str]:
        return [self.processor.id_to_piece(int(i)) for i in ids]


def cached_sentencepiece(sentences: Sequence[str], settings: TokenizerSettings, cache_dir: Path) -> bytes:
    """The SentencePiece model of these sentences, trained once and then read from `cache_dir/tokenizers`.

    The file name is a hash of everything the model depends on. Concurrent processes train it once.

    Raises:
        ValueError: the file holds something else, or `settings.vocab_size` does not fit the sentences.
    """
    options = sentencepiece_options(settings.kind, settings.vocab_size)
    key = hashlib.sha256(f"{sentencepiece.__version__} {options}\n".encode())
    for sentence in sentences:
        key.update(sentence.encode() + b"\n")
    path = cache_dir / "tokenizers" / f"{key.hexdigest()[:16]}.model"
    model = made_once(path, lambda: train_sentencepiece(sentences, settings.kind, settings.vocab_size))
    if not fits(model, settings.vocab_size):
        raise ValueError(
            f"{path} is not the SentencePiece model that was cached there: delete it, and it is trained again."
        )
    return model


def fits(model: bytes, vocab_size: int) -> bool:
    """Whether a model has our special ids and `vocab_size` pieces."""
    try:
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    except (RuntimeError, UnicodeDecodeError):  # the latter if the library's message quotes bytes of the file
        return False
    specials = (processor.pad_id(), processor.bos_id(), processor.eos_id(), processor.unk_id())
    return bool(specials == (PAD, BOS, EOS, UNK) and processor.get_piece_size() == vocab_size)


def train_sentencepiece(sentences: Sequence[str], kind: str, vocab_size: int) -> bytes:
    """Train a subword model that preserves the text, except runs of spaces.

    Raises:
        ValueError: SentencePiece cannot; where `vocab_size` is too large for the sentences, or too small for their
            characters, its words name the bound.
    """
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences), model_writer=model, **sentencepiece_options(kind, vocab_size)
        )
    except RuntimeError as error:
        words = re.search(r"Vocabulary size .*(<=|vs) \d+", str(error))  # after a place in its source
        raise ValueError(f"data.tokenizer.vocab_size is {vocab_size}: {words[0] if words else error}") from error
    return model.getvalue()


def sentencepiece_options(kind: str, vocab_size: int) -> dict[str, Any]:
    """All trainer options that determine a model."""
    return {
        "model_type": kind,
        "vocab_size": vocab_size,
        "character_coverage": 1.0,
        "byte_fallback": vocab_size >= BYTE_FALLBACK_FROM,
        "normalization_rule_name": "identity",
        "pad_id": PAD,
        "bos_id": BOS,
        "eos_id": EOS,
        "unk_id": UNK,
        "pad_piece": SPECIAL_TOKENS[PAD],
        "bos_piece": SPECIAL_TOKENS[BOS],
        "eos_piece": SPECIAL_TOKENS[EOS],
        "unk_piece": SPECIAL_TOKENS[UNK],
        "unk_surface": UNKNOWN,
        "max_sentence_length": 1 << 16,  # bytes; longer sentences would be skipped silently
        "num_threads": 4,  # a fixed number: sums over threads, and so the pieces, depend on it
        "minloglevel": 2,
    }
