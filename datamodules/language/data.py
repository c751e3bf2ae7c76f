"""Texts as a LightningDataModule: targets without a source."""

from pathlib import Path

import lightning as L
import numpy as np
import torch
from torch.utils.data import DataLoader

from datamodules.batch import Batch, unscored
from datamodules.corpora import find_data_dir
from datamodules.language.text import Split, Text, Tokens, Windows
from datamodules.sampler import dealt, rank_and_world
from datamodules.synthetic import FreshBatches

EVALUATED = 128  # rows in a batch of evaluation


class LanguageData(L.LightningDataModule):
    """Pieces of a text: a model predicts each token from those before it in its piece.

    Args:
        text: The text.
        context: Tokens C that a model reads at most; a piece has one more.
        rows: Pieces in a training batch on one device.
        validation_rows: Pieces of the validation part, spread over it.
        test_rows: Pieces of the test part.
        seed: Seed of the training batches; evaluation does not depend on it.
        data_dir: Folder of the text; by default $DATA_DIR, else data.

    Raises:
        FileNotFoundError: The text is missing.
        ValueError: It is no text, or too short.
    """

    def __init__(
        self,
        text: Text,
        context: int = 64,
        rows: int = 12,
        validation_rows: int = 512,
        test_rows: int = 1024,
        seed: int = 0,
        data_dir: str | None = None,
    ) -> None:
        super().__init__()
        if min(context, rows, validation_rows, test_rows) < 1:
            raise ValueError("data.context, rows, validation_rows and test_rows must be at least 1.")
        self.text, self.context, self.rows, self.seed = text, context, rows, seed
        self.validation_rows, self.test_rows = validation_rows, test_rows
        text.read(Path(find_data_dir(data_dir)), context)
        self.source_vocab_size = self.target_vocab_size = text.vocab_size
        self.shared_vocabulary = True  # a source, if there is one, has the same words

    def training_batch(self, index: int) -> Batch:
        """Training batch number `index`, a function of text, seed and index only."""
        tokens = self.text.draw(np.random.default_rng([self.seed, index]), self.rows, self.context)
        return as_batch(tokens, index * self.rows)

    def windows(self, split: Split, *, apart: bool = True) -> Windows:
        """The pieces of a split that are evaluated."""
        count = self.validation_rows if split == "val" else self.test_rows
        return self.text.windows(split, count, self.context, apart=apart)

    def train_dataloader(self) -> FreshBatches:
        return FreshBatches(self.training_batch)

    def val_dataloader(self) -> DataLoader[Batch]:
        """The validation pieces, shared among the devices."""
        tokens = self.windows("val").tokens
        parts = [as_batch(tokens[i : i + EVALUATED], i) for i in range(0, len(tokens), EVALUATED)]
        rank, world = rank_and_world()
        batches = list(dealt(parts, rank, world))
        if rank >= len(parts):
            batches = [unscored(batch) for batch in batches]
        return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]


def as_batch(tokens: Tokens, first_id: int = 0) -> Batch:
    """Pieces (B, C + 1) as a batch: no source, C inputs and the tokens that follow them."""
    rows = torch.from_numpy(tokens)
    source, ids = rows[:, :0], torch.arange(first_id, first_id + len(rows))
    return Batch(source, rows[:, :-1], rows[:, 1:], ids, padded=False)
