"""The batch that every task yields and every model takes."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

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


class Example(NamedTuple):
    """One unpadded example: three one-dimensional int64 tensors and its number in the split."""

    source: Tensor
    decoder_input: Tensor
    labels: Tensor
    id: int


def collate(examples: Sequence[Example], multiple: int = 1, most: tuple[int, int] | None = None) -> Batch:
    """Pad examples on the right to the longest of each field, and on to a multiple.

    Args:
        examples: At least one.
        multiple: Of source and target length.
        most: Source and target length beyond which nothing is padded to a multiple.
    """
    longest_source, longest_target = most or (None, None)
    source = pad([e.source for e in examples], PAD, multiple, longest_source)
    return Batch(
        source=source,
        decoder_input=pad([e.decoder_input for e in examples], PAD, multiple, longest_target),
        labels=pad([e.labels for e in examples], IGNORE, multiple, longest_target),
        ids=torch.tensor([e.id for e in examples]),
        padded=min(e.source.numel() for e in examples) < source.shape[1],
    )


def unscored(batch: Batch) -> Batch:
    """The same examples with every label ignored."""
    return batch._replace(labels=torch.full_like(batch.labels, IGNORE))


def pad(rows: Sequence[Tensor], value: int, multiple: int = 1, most: int | None = None) -> Tensor:
    """Stack one-dimensional tensors into (len(rows), longest), padded with `value` to a multiple, or only to `most`."""
    lengths = torch.tensor([row.numel() for row in rows])
    longest = int(lengths.max())
    width = longest + -longest % multiple
    padded = torch.full((len(rows), max(longest, min(width, most or width))), value)
    padded[torch.arange(padded.shape[1]) < lengths.unsqueeze(1)] = torch.cat(list(rows))
    return padded
