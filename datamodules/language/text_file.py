"""A text file, character by character."""

import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from datamodules.language.text import Split, Text, Tokens, Windows
from datamodules.text_files import FETCH, read_text, where_missing

HELD_OUT = 0.05  # of the text for validation, and as much for testing: its last tenth, as in nanoGPT


@dataclass
class TextFile(Text):
    """The characters of a UTF-8 text: the first nine tenths for training, one twentieth each for validation and test.

    Lines of Windows and accents as characters of their own become the usual ones (NFC).

    Args:
        path: The file, in the data folder unless it is an absolute path; plain or packed (.gz, .bz2, .xz, .zip).
        share: Of the training part, from its beginning, how much is used.
    """

    path: str = "tinyshakespeare/input.txt"
    share: float = 1.0
    unit: ClassVar[Literal["character", "word"]] = "character"
    between: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"data.text.share is {self.share}; it must be above 0 and at most 1.")

    def read(self, data_dir: Path, context: int) -> None:
        path = data_dir / self.path
        with where_missing(FETCH if self.path == TextFile.path else "correct data.text.path, or DATA_DIR"):
            text = unicodedata.normalize("NFC", read_text(path).replace("\r\n", "\n"))
        if "\0" in text:
            raise ValueError(f"{path} holds NUL bytes, as no text does: is it the right file, and UTF-8?")
        held_out = int(HELD_OUT * len(text))
        if held_out <= context:
            raise ValueError(
                f"{path} has {len(text):,} characters, and a twentieth of it, {held_out}, is too short to be validated "
                f"with data.context {context}: take a longer text or a shorter context."
            )
        train, val, test = (text[: -2 * held_out], text[-2 * held_out : -held_out], text[-held_out:])
        self.symbols = sorted(set(train))  # the same whatever the share, so that losses are of the same alternatives
        train = train[: max(context + 1, int(self.share * len(train)))]
        self.training_tokens = len(train)
        self.parts = {name: self.encode(part) for name, part in (("train", train), ("val", val), ("test", test))}

    def draw(self, rng: np.random.Generator, rows: int, context: int) -> Tokens:
        """Pieces from random places."""
        train = self.parts["train"]
        return train[rng.integers(0, len(train) - context, (rows, 1)) + np.arange(context + 1)]

    def windows(self, split: Split, count: int, context: int, *, apart: bool = True) -> Windows:
        part = self.parts[split]
        last = len(part) - context - 1
        starts = np.linspace(0, last, min(count, last // (context if apart else 1) + 1)).astype(np.int64)
        tokens = part[starts[:, None] + np.arange(context + 1)]
        return Windows(tokens, np.zeros_like(tokens[:, 1:]), {})
