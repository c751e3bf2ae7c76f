"""Search against brute force, and against a textbook version that keeps nothing between steps."""

import re
from unittest.mock import patch

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.network import Network
from models.search import LOOKS, Decoding, Hypothesis, _largest, beam_search, greedy_search, search
from tests.support.toy_networks import BOS, EOS, ONE_OF_EACH, PAD, TARGET_VOCABULARY, Chain, build, sources

WORDS = [token for token in range(TARGET_VOCABULARY) if token not in (PAD, BOS, EOS)]


def short(beam_size: int) -> Decoding:
    return Decoding(beam_size=beam_size, length_factor=0.5, length_margin=4)


@torch.no_grad()
def log_probs(network: Network, source: Tensor, prefix: list[int]) -> Tensor:
    """(len(prefix) + 1, V): the whole prefix is run again, teacher forced, from one source without padding."""
    length = max(1, int((source != PAD).sum()))
    logits = network(source[:length].unsqueeze(0), torch.tensor([[BOS, *prefix]]))
    return torch.log_softmax(logits[0].float(), -1)


def rescored(network: Network, source: Tensor, hypothesis: Hypothesis) -> float:
    targets = hypothesis.tokens + ([] if hypothesis.truncated else [EOS])
    table = log_probs(network, source, hypothesis.tokens)
    return sum(float(table[t, token]) for t, token in enumerate(targets))


def limit_of(source: Tensor, decoding: Decoding) -> int:
    return int(decoding.length_factor * int((source != PAD).sum())) + decoding.length_margin


def textbook_beam_search(network: Network, source: Tensor, decoding: Decoding) -> list[Hypothesis]:
    """One sentence, lists instead of tensors, no cache."""
    K, limit = decoding.beam_size, limit_of(source, decoding)
    beams: list[tuple[float, list[int]]] = [(0.0, [])]
    found: list[Hypothesis] = []
    for length in range(1, limit + 1):
        candidates = []
        for p, prefix in beams:
            table = log_probs(network, source, prefix)[-1].tolist()
            candidates += [(p + q, [*prefix, v]) for v, q in enumerate(table) if v not in (PAD, BOS)]
        candidates.sort(key=lambda c: -c[0])
        for p, tokens in candidates[:K]:
            if tokens[-1] == EOS and len(found) < K:
                found.append(Hypothesis(tokens[:-1], p, p / ((5 + length) / 6) ** decoding.length_penalty, False))
        beams = [c for c in candidates if c[1][-1] != EOS][:K]
        if len(found) == K:
            break
        if length == limit:
            cut = [Hypothesis(t, p, p / ((5 + length) / 6) ** decoding.length_penalty, True) for p, t in beams]
            found += cut[: K - len(found)]
    return in_order(found)


def in_order(found: list[Hypothesis]) -> list[Hypothesis]:
    """Best first; what was cut off has not paid for its end and comes after what ended."""
    return sorted(found, key=lambda h: (h.truncated, -h.score))


def agree(actual: list[Hypothesis], expected: list[Hypothesis]) -> None:
    assert [(h.tokens, h.truncated) for h in actual] == [(h.tokens, h.truncated) for h in expected]
    assert [h.log_prob for h in actual] == pytest.approx([h.log_prob for h in expected], abs=1e-4)
    assert [h.score for h in actual] == pytest.approx([h.score for h in expected], abs=1e-4)


@torch.no_grad()
def eager(network: Network, share: float = 0.3) -> Network:
    """Make EOS the most probable token at this share of positions; in a random network it may be always or never."""
    tokens = torch.randint(3, TARGET_VOCABULARY, (64, 5), generator=torch.Generator().manual_seed(5))
    tokens[:, 0] = BOS
    logits = network(sources(tuple(1 + n * 5 % 9 for n in range(64))), tokens)
    behind = logits[..., WORDS].amax(-1) - logits[..., EOS]
    network.output.bias[EOS] += behind.quantile(share)  # type: ignore[union-attr, index, operator]
    return network


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_greedy_search_takes_the_most_probable_token_of_the_whole_prefix(name: str) -> None:
    """One source is empty. A beam of one finds the same."""
    network, source, decoding = eager(build(name)), sources((7, 4, 0, 6)), short(1)
    greedy = greedy_search(network, source, decoding)
    for row, hypothesis in enumerate(greedy):
        tokens: list[int] = []
        for _ in range(limit_of(source[row], decoding)):
            table = log_probs(network, source[row], tokens)[-1]
            table[[PAD, BOS]] = -torch.inf
            tokens.append(int(table.argmax()))
            if tokens[-1] == EOS:
                break
        assert hypothesis.tokens + ([] if hypothesis.truncated else [EOS]) == tokens
        assert hypothesis.log_prob == pytest.approx(rescored(network, source[row], hypothesis), abs=1e-4)
    for found in (beam_search(network, source, decoding), search(network, source, decoding)):
        agree([hypotheses[0] for hypotheses in found], greedy)


GENERATING = [name for name in ONE_OF_EACH if not name.startswith("encoder_only")]  # in encoders most hypotheses tie


@pytest.mark.parametrize("name", GENERATING)
def test_beam_search_equals_the_textbook_without_a_cache(name: str) -> None:
    network, source, decoding = eager(build(name)), sources((5, 0, 4)), short(3)
    for row, hypotheses in enumerate(beam_search(network, source, decoding, n_best=3)):
        agree(hypotheses, textbook_beam_search(network, source[row], decoding))


decodings = st.builds(
    Decoding,
    beam_size=st.integers(1, 6),
    length_penalty=st.floats(0.0, 3.0),
    length_factor=st.floats(0.0, 1.5),
    length_margin=st.integers(1, 4),
)


@pytest.mark.parametrize("beam_size", [1, 3])
def test_each_source_has_its_own_limit_of_one_token_at_least(beam_size: int) -> None:
    scores = torch.randn(20, 7, 7)
    scores[..., EOS] = -1e4
    for factor, margin, limits in ((1.5, 2, [12, 3, 8, 2]), (0.5, 0, [3, 1, 2, 1])):
        source = sources((7, 1, 4, 0))
        decoding = Decoding(beam_size=beam_size, length_factor=factor, length_margin=margin)
        assert decoding.limits(source, PAD) == limits
        found = [hypotheses[0] for hypotheses in search(Chain(scores), source, decoding)]
        assert [(len(h.tokens), h.truncated) for h in found] == [(limit, True) for limit in limits]


def test_more_hypotheses_than_beams_are_refused() -> None:
    for beam_size in (1, 3):
        with pytest.raises(ValueError, match=f"n_best is {beam_size + 1}.*keeps only {beam_size}"):
            search(build("lstm-lstm-1-layers"), sources(), Decoding(beam_size=beam_size), n_best=beam_size + 1)
    with pytest.raises(ValueError, match=r"decoding\.beam_size is 0"):
        Decoding(beam_size=0)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_attention_maps_cover_the_hypothesis_and_its_end(name: str) -> None:
    network, source, decoding = eager(build(name)), sources((6,))[0], short(2)
    tokens = search(network, source.unsqueeze(0), decoding)[0][0].tokens
    maps = network.attention(network.encode(source.unsqueeze(0)), torch.tensor([[decoding.bos_id, *tokens]]))
    assert (maps == {}) == re.sub("(en|de)coder_only-", "", name).startswith("lstm")
    for (weights,) in maps.values():
        assert weights.shape[1:] == (len(tokens) + 1, 6)
        if name.startswith("decoder_only"):  # the rest goes to the target's own past
            assert (weights.sum(-1) < 1 + 1e-6).all()
        else:
            torch.testing.assert_close(weights.sum(-1).double(), torch.ones(weights.shape[:2]).double())


@st.composite
def chains(draw: st.DrawFn) -> tuple[Chain, Tensor]:
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    scores = draw(st.sampled_from([0.3, 1.0, 4.0])) * torch.randn(13, 7, 7, generator=generator)
    scores[..., EOS] += draw(st.sampled_from([-3.0, 0.0, 2.0]))
    lengths = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    return Chain(scores), sources(tuple(lengths))


# One word at most for the first source, which gives fewer hypotheses than beams, and several for the second.
FEW = (Chain(torch.arange(13 * 7 * 7).reshape(13, 7, 7).mul(0.7).sin()), sources((1, 4))), Decoding(6, 1.0, 0.9, 1), 8


@settings(max_examples=150)
@given(chains(), decodings, st.sampled_from([1, 2, 8]))
@example(*FEW)
def test_any_chain_is_searched_as_in_the_textbook(
    drawn: tuple[Chain, Tensor], decoding: Decoding, steps_between_looks: int
) -> None:
    network, source = drawn
    with patch.dict(LOOKS, cpu=steps_between_looks):
        found = beam_search(network, source, decoding, n_best=decoding.beam_size)
    for row, hypotheses in enumerate(found):
        agree(hypotheses, textbook_beam_search(network, source[row], decoding))


@given(data=st.data(), rows=st.integers(1, 4), width=st.sampled_from([7, 64, 320, 1000]))
@settings(max_examples=60)
def test_the_largest_are_those_of_topk(data: st.DataObject, rows: int, width: int) -> None:
    """Whether or not the width divides into chunks, and with impossible candidates among them."""
    k = data.draw(st.integers(1, min(width, 12)))
    torch.manual_seed(data.draw(st.integers(0, 1000)))
    candidates = torch.randn(rows, width).masked_fill(torch.rand(rows, width) < 0.3, -torch.inf)
    best, index = _largest(candidates, k)
    torch.testing.assert_close(best, candidates.topk(k).values)
    torch.testing.assert_close(candidates.gather(1, index), best)
    possible = index.masked_fill(best.isinf(), -1)
    assert all(len(set(row) - {-1}) == sum(i >= 0 for i in row) for row in possible.tolist())
