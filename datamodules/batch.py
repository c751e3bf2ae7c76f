"""The batch that every task yields and every model takes."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

PAD, BOS, EOS, UNK = 0, 1, 2, 3  # ids shared by every tokeniser and every synthetic task
SPECIAL_TOKENS = ("<pad>", "<s>", "</s>", "<unk>")
IGNORE = -100  # label of a position that is not scored; the default of torch's cross-entropy


class Batch(NamedTuple):
    """Examples padded on the right to one length. B batch, S source length, T target length.

    Attributes:
        source: (B, S) int64, padded with PAD.
        decoder_input: (B, T) int64, input of the decoder, padded with PAD.
        labels: (B, T) int64, IGNORE where nothing is scored. In translation the decoder input shifted by one; in
            associative recall the answers to the queries in the decoder input.
        ids: (B,) int64, the example's number in its split, by which results are gathered and sorted.
        padded: Whether a source may be shorter than S. The host knows it; to ask an accelerator would mean to wait.
    """

    source: Tensor
    decoder_input: Tensor
    labels: Tensor
    ids: Tensor
    padded: bool = True

    def of(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """The batch with each tensor changed: moved to a device, or cut to its first rows."""
        source, decoder_input, labels, ids = map(change, self[:4])
        return Batch(source, decoder_input, labels, ids, self.padded)


def unscored(batch: Batch) -> Batch:
    """The same examples with every label ignored."""
    return batch._replace(labels=torch.full_like(batch.labels, IGNORE))


class Rows:
    """Sequences of token ids, end to end in one array.

    A batch is taken from it at once: an accelerator's step is as short as what the host does for it.
    """

    def __init__(self, sequences: Sequence[Sequence[int]]) -> None:
        self.lengths = np.array([len(ids) for ids in sequences])
        self._begins = self.lengths.cumsum() - self.lengths
        self._flat = np.fromiter((i for ids in sequences for i in ids), np.int32, int(self.lengths.sum()))

    def padded(self, rows: Sequence[int], value: int, length: int, skip: int = 0, drop: int = 0) -> Tensor:
        """(rows, length) int64, padded on the right with `value`, each row without its first and last ids.

        Args:
            rows: Which sequences.
            value: Of the padding.
            length: At least that of the longest row.
            skip: Ids left out at the beginning.
            drop: Ids left out at the end.
        """
        place = np.arange(length)
        begins, lengths = self._begins[rows] + skip, self.lengths[rows] - skip - drop
        places = np.minimum(begins[:, None] + place, len(self._flat) - 1)
        filled = np.where(place < lengths[:, None], self._flat[places], value)
        return torch.from_numpy(filled.astype(np.int64))
