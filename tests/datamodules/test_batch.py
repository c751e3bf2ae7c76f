import torch
from hypothesis import given
from hypothesis import strategies as st

from datamodules.batch import BOS, EOS, IGNORE, PAD
from datamodules.translation import TranslationExamples

ids = st.lists(st.integers(4, 99), max_size=9)
pairs = st.lists(st.tuples(ids, ids), min_size=1, max_size=6)


@given(pairs, st.data())
def test_a_batch_loses_nothing_and_adds_only_padding(
    pairs: list[tuple[list[int], list[int]]], data: st.DataObject
) -> None:
    """Of any rows in any order."""
    rows = data.draw(st.lists(st.integers(0, len(pairs) - 1), min_size=1, max_size=8))
    sources, targets = [list(side) for side in zip(*pairs, strict=True)]
    batch = TranslationExamples(sources, targets).batch(rows)
    fields = (
        (batch.source, [[*sources[i], EOS] for i in rows], PAD),
        (batch.decoder_input, [[BOS, *targets[i]] for i in rows], PAD),
        (batch.labels, [[*targets[i], EOS] for i in rows], IGNORE),
    )
    for found, expected, padding in fields:
        as_tensors = [torch.tensor(row) for row in expected]
        padded = torch.nn.utils.rnn.pad_sequence(as_tensors, batch_first=True, padding_value=padding)
        assert torch.equal(found, padded)
    assert batch.ids.tolist() == rows
    assert batch.padded == bool((batch.source == PAD).any())


def test_a_batch_is_padded_to_a_shape_and_the_host_knows_of_padded_sources() -> None:
    examples = TranslationExamples([[4], [5], []], [[6] * 4, [7], [6]])
    padded = examples.batch([0, 1], (4, 7))
    assert (padded.source.shape, padded.labels.shape, padded.decoder_input.shape) == ((2, 4), (2, 7), (2, 7))
    assert padded.source[0].tolist() == [4, EOS, PAD, PAD]
    assert padded.labels[0].tolist() == [6] * 4 + [EOS] + [IGNORE] * 2
    found = [examples.batch([0, 1]), examples.batch([0, 2]), padded, examples.batch([0, 1], (2, 6))]
    assert [batch.padded for batch in found] == [False, True, True, False]
