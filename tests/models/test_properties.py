"""Properties of what everything else rests on, on hundreds of random cases each: sampler, padding and search."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from datamodules.batch import IGNORE, Example, collate
from datamodules.sampler import TokenBucketBatchSampler
from models.network import Network
from models.search import Decoding, Hypothesis, beam_search, greedy_search, search
from tests.datamodules.test_sampler import batches_of_ranks
from tests.models.test_search import agree, eager, every_hypothesis, limit_of, rescored
from tests.support.toy_networks import (
    ALL,
    BOS,
    EOS,
    PAD,
    SOURCE_VOCABULARY,
    TARGET_VOCABULARY,
    Chain,
    build,
    sources,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
# The same cases every time: a test that fails now and then tells nobody which change broke it.
many = settings(max_examples=500, deadline=None, derandomize=True)

lengths_of_pairs = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=150).map(np.array)


@st.composite
def samplers(draw: st.DrawFn) -> TokenBucketBatchSampler:
    lengths = draw(lengths_of_pairs)
    sampler = TokenBucketBatchSampler(
        lengths,
        max_tokens=int(lengths.max()) + draw(st.integers(0, 400)),
        seed=draw(st.integers(0, 2**32 - 1)),
        accumulate=draw(st.integers(1, 4)),
    )
    sampler.set_epoch(draw(st.integers(0, 1000)))
    return sampler


@given(samplers(), st.integers(1, 8))
@many
def test_training_has_every_example_once_within_the_budget_and_as_many_batches_on_every_rank(
    sampler: TokenBucketBatchSampler, world: int
) -> None:
    lengths, turn = sampler.lengths, world * sampler.accumulate
    if len(sampler.plan(1)) > len(lengths) // turn * turn:  # more batches would be needed than there are examples
        with pytest.raises(ValueError, match=f"cannot be dealt to updates of {turn} batches"):
            batches_of_ranks(sampler, world)
        return
    ranks = batches_of_ranks(sampler, world)
    assert {len(batches) % sampler.accumulate for batches in ranks} == {0}
    assert len({len(batches) for batches in ranks}) == 1
    every = [batch for batches in ranks for batch in batches]
    assert sorted(example for batch in every for example in batch) == list(range(len(lengths)))
    assert all(batch and len(batch) * lengths[batch].max() <= sampler.max_tokens for batch in every)


@given(samplers(), st.integers(1, 8), st.integers(1, 8))
@many
def test_updates_are_the_same_however_their_batches_are_dealt(
    sampler: TokenBucketBatchSampler, world: int, accumulate: int
) -> None:
    lengths, turn = sampler.lengths, world * accumulate
    if len(sampler.plan(1)) > len(lengths) // turn * turn:
        return
    found = []
    for ranks, each in ((world, accumulate), (1, turn), (turn, 1)):
        sampler.accumulate = each
        dealt = batches_of_ranks(sampler, ranks)
        updates = len(dealt[0]) // each
        found.append([sorted(b for rank in dealt for b in rank[u * each : (u + 1) * each]) for u in range(updates)])
    assert found[0] == found[1] == found[2]


@given(samplers(), st.integers(1, 8))
@many
def test_evaluation_has_the_same_batches_whatever_the_number_of_ranks(
    sampler: TokenBucketBatchSampler, world: int
) -> None:
    sampler.shuffle = False
    (alone,) = batches_of_ranks(sampler, 1)
    ranks = batches_of_ranks(sampler, world)
    assert all(ranks)
    for rank, batches in enumerate(ranks):
        assert batches == (alone[rank::world] or alone[:1])
    assert sorted(example for batch in alone for example in batch) == list(range(len(sampler.lengths)))


def tokens(longest: int, vocabulary: int, least: int = 1) -> st.SearchStrategy[Tensor]:
    return st.lists(st.integers(3, vocabulary - 1), min_size=least, max_size=longest).map(torch.tensor)


@st.composite
def examples(draw: st.DrawFn) -> Example:
    decoder_input = draw(tokens(9, TARGET_VOCABULARY))
    labels = draw(
        st.lists(
            st.sampled_from([IGNORE, *range(3, TARGET_VOCABULARY)]),
            min_size=len(decoder_input),
            max_size=len(decoder_input),
        )
    )
    source = draw(tokens(9, SOURCE_VOCABULARY))
    return Example(source, decoder_input, torch.tensor(labels), draw(st.integers(0, 10**6)))


@given(st.lists(examples(), min_size=1, max_size=8))
@many
def test_a_batch_holds_its_examples_and_else_padding(chosen: list[Example]) -> None:
    batch = collate(chosen)
    assert batch.ids.tolist() == [example.id for example in chosen]
    for name, filler in (("source", PAD), ("decoder_input", PAD), ("labels", IGNORE)):
        rows, wanted = getattr(batch, name), [getattr(example, name) for example in chosen]
        assert rows.shape == (len(chosen), max(map(len, wanted)))
        for row, one in zip(rows, wanted, strict=True):
            assert row.tolist() == one.tolist() + [filler] * (rows.shape[1] - len(one))


@given(
    st.sampled_from(ALL),
    st.lists(examples(), min_size=1, max_size=5),
    st.tuples(st.integers(0, 4), st.integers(0, 4)),
    st.integers(0, 10_000),
)
@many
@torch.no_grad()
def test_no_result_of_a_row_depends_on_the_padding_around_it(
    name: str, chosen: list[Example], beyond: tuple[int, int], seed: int
) -> None:
    network, batch = build(name, seed=seed), collate(chosen)
    source = torch.nn.functional.pad(batch.source, (0, beyond[0]), value=PAD)
    decoder_input = torch.nn.functional.pad(batch.decoder_input, (0, beyond[1]), value=PAD)
    together = network(source, decoder_input)
    maps = network.attention(network.encode(source), decoder_input)
    for row, example in enumerate(chosen):
        S, T = len(example.source), len(example.decoder_input)
        alone = network(example.source.unsqueeze(0), example.decoder_input.unsqueeze(0))
        torch.testing.assert_close(together[row, :T], alone[0], rtol=1e-9, atol=1e-9)
        for weights in maps.values():
            assert weights[row, :, :T, S:].abs().max() == 0 if weights.shape[-1] > S else True


@st.composite
def searches(draw: st.DrawFn) -> tuple[Network, Tensor, Decoding]:
    """A network of random weights, sources of random lengths, and settings of a search."""
    seed = draw(st.integers(0, 10_000))
    network = eager(build(draw(st.sampled_from(ALL)), seed=seed), draw(st.floats(0.0, 0.9)))
    source = sources(tuple(draw(st.lists(st.integers(1, 7), min_size=1, max_size=3))), seed=seed)
    decoding = Decoding(
        beam_size=draw(st.integers(1, 6)),
        length_penalty=draw(st.floats(0.0, 3.0)),
        length_factor=draw(st.floats(0.0, 1.2)),
        length_margin=draw(st.integers(1, 4)),
    )
    return network, source, decoding


@given(searches())
@many
def test_every_hypothesis_has_the_score_of_teacher_forcing_and_they_are_distinct_and_sorted(
    case: tuple[Network, Tensor, Decoding],
) -> None:
    network, source, decoding = case
    for row, found in enumerate(search(network, source, decoding, n_best=decoding.beam_size)):
        assert 1 <= len(found) <= decoding.beam_size
        assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
        assert len({(tuple(h.tokens), h.truncated) for h in found}) == len(found)
        for h in found:
            assert not {PAD, BOS, EOS} & set(h.tokens)
            assert len(h.tokens) + (not h.truncated) <= limit_of(source[row], decoding)
            assert h.log_prob == pytest.approx(rescored(network, source[row], h), abs=2e-4)
            assert h.score == decoding.score(h.log_prob, len(h.tokens) + (not h.truncated))


@given(searches())
@many
def test_a_beam_of_one_is_greedy_search_always(case: tuple[Network, Tensor, Decoding]) -> None:
    network, source, settings_of_any = case
    decoding = Decoding(1, settings_of_any.length_penalty, settings_of_any.length_factor, settings_of_any.length_margin)
    greedy = greedy_search(network, source, decoding)
    agree([found[0] for found in beam_search(network, source, decoding)], greedy)
    agree([found[0] for found in search(network, source, decoding)], greedy)


@st.composite
def small_chains(draw: st.DrawFn) -> tuple[Chain, Decoding, int]:
    """Two words and the end to choose from, three steps at most: fifteen hypotheses at most."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    scores = draw(st.sampled_from([0.3, 1.0, 4.0])) * torch.randn(4, 5, 5, generator=generator)
    limit = draw(st.integers(1, 3))
    decoding = Decoding(draw(st.integers(1, 15)), draw(st.floats(0.0, 3.0)), length_factor=0.0, length_margin=limit)
    return Chain(scores), decoding, limit


@given(small_chains())
@many
def test_what_is_found_is_among_all_that_can_be_said_and_all_of_it_if_the_beam_is_wide_enough(
    case: tuple[Chain, Decoding, int],
) -> None:
    network, decoding, limit = case
    source = torch.tensor([[3]])
    everything = every_hypothesis(network, source[0], decoding, [3, 4])
    assert len(everything) == sum(2**length for length in range(limit + 1))
    found = search(network, source, decoding, n_best=decoding.beam_size)[0]
    scores = {(tuple(h.tokens), h.truncated): h.score for h in everything}
    for h in found:
        assert h.score == pytest.approx(scores[tuple(h.tokens), h.truncated], abs=1e-4)
    assert found[0].score <= everything[0].score + 1e-4
    if decoding.beam_size == 15:
        agree(found, everything)


def test_the_exhaustive_oracle_counts_what_it_should() -> None:
    network, source = Chain(torch.zeros(4, 5, 5)), torch.tensor([3])
    everything = every_hypothesis(network, source, Decoding(1, 0.0, 0.0, 2), [3, 4])
    said = {(tuple(h.tokens), h.truncated) for h in everything}
    assert said == {
        ((), False),
        *((word, False) for word in product([3, 4])),
        *((words, True) for words in product([3, 4], repeat=2)),
    }
    probability = math.exp(next(h.log_prob for h in everything if h == Hypothesis([], h.log_prob, h.score, False)))
    assert probability == pytest.approx(1 / 5)  # padding and begin of sentence have their share, but are never said
