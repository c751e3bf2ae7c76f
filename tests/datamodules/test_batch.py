import torch
from hypothesis import given
from hypothesis import strategies as st

from datamodules.batch import IGNORE, PAD, Example, collate

ids = st.lists(st.integers(4, 99), min_size=1, max_size=9)


def example(source: list[int], target: list[int], number: int) -> Example:
    return Example(torch.tensor(source), torch.tensor(target), torch.tensor(target), number)


@given(st.lists(st.tuples(ids, ids), min_size=1, max_size=6))
def test_collate_loses_nothing_and_adds_only_padding(pairs: list[tuple[list[int], list[int]]]) -> None:
    batch = collate([example(s, t, n) for n, (s, t) in enumerate(pairs)])
    assert batch.source.shape == (len(pairs), max(len(s) for s, _ in pairs))
    assert batch.labels.shape == batch.decoder_input.shape == (len(pairs), max(len(t) for _, t in pairs))
    for row, (source, target) in enumerate(pairs):
        assert batch.source[row].tolist() == source + [PAD] * (batch.source.shape[1] - len(source))
        blank = batch.labels.shape[1] - len(target)
        assert batch.decoder_input[row].tolist() == target + [PAD] * blank
        assert batch.labels[row].tolist() == target + [IGNORE] * blank
    assert batch.ids.tolist() == list(range(len(pairs)))


def test_lengths_are_padded_to_a_multiple_and_the_host_knows_of_padded_sources() -> None:
    equal, uneven = (
        [example([4, 5], [6] * 5, 0), example([5, 6], [7], 1)],
        [example([4], [6], 0), example([5, 6], [7], 1)],
    )
    padded = collate(equal, 4)
    assert (padded.source.shape, padded.labels.shape, padded.decoder_input.shape) == ((2, 4), (2, 8), (2, 8))
    assert padded.source[0].tolist() == [4, 5, PAD, PAD]
    assert padded.labels[0].tolist() == [6] * 5 + [IGNORE] * 3
    limited = collate(equal, 4, most=(3, 6))
    assert (limited.source.shape, limited.labels.shape) == ((2, 3), (2, 6))
    found = [collate(equal), collate(uneven), padded, collate(equal, 2)]
    assert [batch.padded for batch in found] == [False, True, True, False]
