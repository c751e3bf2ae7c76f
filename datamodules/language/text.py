"""A text to be modelled: what every kind of text can do."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.batch import SPECIAL_TOKENS, UNK

Split = Literal["val", "test"]
Tokens = NDArray[np.int64]


class Windows(NamedTuple):
    """Pieces of a text of C + 1 tokens each, (N, C + 1): the first C are read, the last C predicted.

    `distances` (N, C) has, for a predicted token that was said before and is asked for again, how many tokens back it
    was said last, and 0 for every other token; `guesses` how often each strategy without memory is right there, (N, C).
    """

    tokens: Tokens
    distances: Tokens
    guesses: Mapping[str, NDArray[np.float64]]


class Text(ABC):
    """A text; subclasses are dataclasses whose fields are its settings.

    Attributes:
        unit: What a token is.
        between: What stands between tokens in writing.
        opening: Ids that every piece begins with.
        symbols: All tokens but the special ones, set by `read` at the latest.
        training_tokens: Length of the training text, set by `read` at the latest; 0 if it is made without end.
    """

    unit: ClassVar[Literal["character", "word"]]
    between: ClassVar[str]
    opening: ClassVar[tuple[int, ...]] = ()
    symbols: Sequence[str]
    training_tokens = 0

    @abstractmethod
    def read(self, data_dir: Path, context: int) -> None:
        """Get ready for pieces with so many predicted tokens.

        Raises:
            FileNotFoundError: A file is missing.
            ValueError: It is no text, or too short.
        """

    @abstractmethod
    def draw(self, rng: np.random.Generator, rows: int, context: int) -> Tokens:
        """Random pieces of the training text (rows, context + 1)."""

    @abstractmethod
    def windows(self, split: Split, count: int, context: int, *, apart: bool = True) -> Windows:
        """The same pieces at every call, at most `count`, spread over the split; none overlap if they are `apart`."""

    @property
    def vocab_size(self) -> int:
        return len(SPECIAL_TOKENS) + len(self.symbols)

    def split(self, text: str) -> list[str]:
        """A text as symbols."""
        return text.split() if self.between else list(text)

    def encode(self, text: str) -> Tokens:
        """Ids of a text; a symbol that is not in the training text is UNK."""
        ids = {symbol: i for i, symbol in enumerate(self.symbols, start=len(SPECIAL_TOKENS))}
        return np.array([ids.get(symbol, UNK) for symbol in self.split(text)], dtype=np.int64)

    def decode(self, ids: Sequence[int]) -> str:
        known = [*SPECIAL_TOKENS, *self.symbols]
        return self.between.join(known[i] for i in ids)
