"""Search against brute force, and against a textbook version that keeps nothing between steps."""

import math
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.network import Network
from models.search import Decoding, Hypothesis, _largest, attention_maps, beam_search, greedy_search, search
from tests.support.toy_networks import ALL, BOS, EOS, ONE_OF_EACH, PAD, TARGET_VOCABULARY, Chain, build, sources

WORDS = [token for token in range(TARGET_VOCABULARY) if token not in (PAD, BOS, EOS)]


def short(beam_size: int) -> Decoding:
    return Decoding(beam_size=beam_size, length_factor=0.5, length_margin=4)


@torch.no_grad()
def log_probs(network: Network, source: Tensor, prefix: list[int]) -> Tensor:
    """(len(prefix) + 1, V): the whole prefix is run anew, teacher forced, from one unpadded source."""
    logits = network(source[source != PAD].unsqueeze(0), torch.tensor([[BOS, *prefix]]))
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
    return sorted(found, key=lambda h: -h.score)


def agree(actual: list[Hypothesis], expected: list[Hypothesis]) -> None:
    assert [(h.tokens, h.truncated) for h in actual] == [(h.tokens, h.truncated) for h in expected]
    assert [h.log_prob for h in actual] == pytest.approx([h.log_prob for h in expected], abs=1e-4)
    assert [h.score for h in actual] == pytest.approx([h.score for h in expected], abs=1e-4)


@torch.no_grad()
def eager(network: Network, share: float = 0.3) -> Network:
    """Make EOS the likeliest token at this share of positions; in a random network it may be always or never."""
    tokens = torch.randint(3, TARGET_VOCABULARY, (64, 5), generator=torch.Generator().manual_seed(5))
    tokens[:, 0] = BOS
    logits = network(sources(tuple(1 + n * 5 % 9 for n in range(64))), tokens)
    behind = logits[..., WORDS].amax(-1) - logits[..., EOS]
    network.output.bias[EOS] += behind.quantile(share)  # type: ignore[union-attr, index, operator]
    return network


@pytest.mark.parametrize("name", ALL)
def test_greedy_takes_the_likeliest_token_of_the_whole_prefix(name: str) -> None:
    network, source, decoding = eager(build(name)), sources(), short(1)
    for row, hypothesis in enumerate(greedy_search(network, source, decoding)):
        tokens: list[int] = []
        for _ in range(limit_of(source[row], decoding)):
            table = log_probs(network, source[row], tokens)[-1]
            table[[PAD, BOS]] = -torch.inf
            tokens.append(int(table.argmax()))
            if tokens[-1] == EOS:
                break
        assert hypothesis.tokens + ([] if hypothesis.truncated else [EOS]) == tokens
        assert hypothesis.log_prob == pytest.approx(rescored(network, source[row], hypothesis), abs=1e-4)


@pytest.mark.parametrize("name", ALL)
def test_beam_search_equals_the_textbook_without_a_cache(name: str) -> None:
    network, source, decoding = eager(build(name)), sources((5, 2, 4)), short(3)
    for row, hypotheses in enumerate(beam_search(network, source, decoding, n_best=3)):
        agree(hypotheses, textbook_beam_search(network, source[row], decoding))


@pytest.mark.parametrize("name", ONE_OF_EACH)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_beam_of_one_is_greedy_search(name: str, seed: int) -> None:
    network, source, decoding = eager(build(name, seed=seed)), sources(seed=seed), short(1)
    greedy = greedy_search(network, source, decoding)
    agree([hypotheses[0] for hypotheses in beam_search(network, source, decoding)], greedy)
    agree([hypotheses[0] for hypotheses in search(network, source, decoding)], greedy)


def every_hypothesis(network: Network, source: Tensor, decoding: Decoding, words: list[int]) -> list[Hypothesis]:
    """All that can be said within the limit, best first."""
    limit, everything = limit_of(source, decoding), []
    for length in range(limit + 1):
        for tokens in product(words, repeat=length):
            h = Hypothesis(list(tokens), 0.0, 0.0, truncated=length == limit)
            p = rescored(network, source, h)
            counted = length + (not h.truncated)
            score = p / ((5 + counted) / 6) ** decoding.length_penalty
            everything.append(Hypothesis(h.tokens, p, score, h.truncated))
    return sorted(everything, key=lambda h: -h.score)


def only(words: list[int], network: Network) -> Network:
    """Leave these words and EOS as the only ones that can be said."""
    never = [v for v in range(TARGET_VOCABULARY) if v not in (EOS, *words)]
    with torch.no_grad():
        network.output.bias[never] = -torch.inf  # type: ignore[union-attr, operator]
    return network


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0, 3.0])
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_beam_wide_enough_finds_everything_in_order(name: str, penalty: float) -> None:
    words = [4, 7]
    network, source = only(words, eager(build(name))), sources((3, 3))
    decoding = Decoding(beam_size=15, length_penalty=penalty, length_factor=0, length_margin=3)
    for row, hypotheses in enumerate(search(network, source, decoding, n_best=15)):
        expected = every_hypothesis(network, source[row], decoding, words)
        assert len(expected) == 1 + 2 + 4 + 8
        agree(hypotheses, expected)


def chain(transitions: dict[tuple[int, int], float], vocabulary: int = 7) -> Chain:
    """The same at every step, from probabilities by (last, next); what is left out cannot happen."""
    scores = torch.full((vocabulary, vocabulary), -1e4)
    for (last, following), probability in transitions.items():
        scores[last, following] = math.log(probability)
    return Chain(scores.expand(20, -1, -1))


GARDEN_PATH = {(BOS, 3): 0.6, (BOS, 4): 0.4, (3, 5): 0.35, (3, 6): 0.34, (3, EOS): 0.31, (4, 6): 1.0}
GARDEN_PATH |= {(5, EOS): 1.0, (6, EOS): 1.0}


def test_a_beam_of_two_leaves_the_garden_path() -> None:
    """The likeliest first word leads to 0.6 x 0.35 at best, the other to 0.4."""
    network, source = chain(GARDEN_PATH), torch.tensor([[3]])
    greedy = search(network, source, Decoding(beam_size=1, length_penalty=0.0))[0][0]
    assert greedy.tokens == [3, 5]
    assert math.exp(greedy.log_prob) == pytest.approx(0.21)
    best = search(network, source, Decoding(beam_size=2, length_penalty=0.0))[0][0]
    assert best.tokens == [4, 6]
    assert math.exp(best.log_prob) == pytest.approx(0.4)


def test_the_length_penalty_decides_between_short_and_long() -> None:
    network = chain({(BOS, EOS): 0.3, (BOS, 3): 0.7, (3, 4): 0.6, (3, 5): 0.4, (4, EOS): 0.5, (4, 5): 0.5, (5, EOS): 1})
    best = {}
    for alpha in (0.0, 2.0):
        decoding = Decoding(beam_size=5, length_penalty=alpha)
        best[alpha] = search(network, torch.tensor([[3]]), decoding)[0][0]
        assert best[alpha].score == decoding.score(best[alpha].log_prob, len(best[alpha].tokens) + 1)
    assert best[0.0].tokens == []
    assert best[2.0].tokens == [3, 5]
    assert best[2.0].score == pytest.approx(math.log(0.28) / ((5 + 3) / 6) ** 2, abs=1e-5)


def test_the_score_is_gnmts() -> None:
    assert Decoding(length_penalty=0.0).score(-3.0, 9) == -3.0
    assert Decoding(length_penalty=1.0).score(-3.0, 1) == -3.0
    assert Decoding(length_penalty=0.6).score(-3.0, 7) == pytest.approx(-3.0 / 2**0.6)


@pytest.mark.parametrize("beam_size", [1, 4])
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_sentence_alone_is_decoded_as_in_a_batch_of_64(name: str, beam_size: int) -> None:
    network = eager(build(name), 0.5)
    source = sources(tuple(1 + n * 5 % 9 for n in range(64)))
    decoding = short(beam_size)
    together = search(network, source, decoding, n_best=beam_size)
    assert len({len(h.tokens) for hypotheses in together for h in hypotheses}) > 1
    for row in range(0, 64, 5):
        alone = search(network, source[row][source[row] != PAD].unsqueeze(0), decoding, n_best=beam_size)
        agree(together[row], alone[0])


@pytest.mark.parametrize("beam_size", [1, 4])
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_hypotheses_are_sorted_distinct_clean_and_rightly_scored(name: str, beam_size: int) -> None:
    source, decoding, seen = sources(), short(beam_size), set()
    for share in (0.0, 0.5):
        network = eager(build(name), share)
        for row, hypotheses in enumerate(search(network, source, decoding, n_best=beam_size)):
            assert len(hypotheses) == beam_size
            scores = [h.score for h in hypotheses]
            assert scores == sorted(scores, reverse=True)
            assert len({tuple(h.tokens) for h in hypotheses}) == beam_size
            limit = limit_of(source[row], decoding)
            for h in hypotheses:
                assert set(h.tokens) <= set(WORDS)
                assert len(h.tokens) == limit if h.truncated else len(h.tokens) < limit
                assert h.log_prob == pytest.approx(rescored(network, source[row], h), abs=1e-4)
                assert h.score == decoding.score(h.log_prob, len(h.tokens) + (not h.truncated))
                seen.add(h.truncated)
    assert seen == {True, False}


def test_each_source_has_its_own_limit() -> None:
    never_ends = chain({(BOS, 3): 1.0, (3, 4): 0.6, (3, 5): 0.4, (4, 3): 1.0, (5, 3): 1.0})
    source = sources((7, 1, 4))
    for beam_size in (1, 3):
        decoding = Decoding(beam_size=beam_size, length_factor=1.5, length_margin=2)
        assert decoding.limits(source, PAD) == [12, 3, 8]
        found = search(never_ends, source, decoding)
        assert [len(hypotheses[0].tokens) for hypotheses in found] == [12, 3, 8]
        assert all(hypotheses[0].truncated for hypotheses in found)


def test_an_end_exactly_at_the_limit_is_no_truncation() -> None:
    network = chain({(BOS, 3): 1.0, (3, 4): 1.0, (4, EOS): 1.0})
    for beam_size in (1, 2):
        for limit, truncated in ((3, False), (2, True)):
            decoding = Decoding(beam_size=beam_size, length_factor=0, length_margin=limit)
            best = search(network, torch.tensor([[3]]), decoding)[0][0]
            assert (best.tokens, best.truncated) == ([3, 4], truncated)


def test_padding_and_begin_of_sentence_are_never_said() -> None:
    network = chain({(BOS, PAD): 0.5, (BOS, BOS): 0.3, (BOS, 3): 0.2, (3, BOS): 0.6, (3, PAD): 0.3, (3, EOS): 0.1})
    for beam_size in (1, 2):
        best = search(network, torch.tensor([[3]]), Decoding(beam_size=beam_size))[0][0]
        assert best.tokens == [3]
        assert math.exp(best.log_prob) == pytest.approx(0.2 * 0.1)


def test_an_empty_hypothesis_is_possible() -> None:
    network = chain({(BOS, EOS): 1.0})
    for beam_size in (1, 3):
        best = search(network, torch.tensor([[3, 4], [5, PAD]]), Decoding(beam_size=beam_size))
        assert [h[0].tokens for h in best] == [[], []]


def test_more_hypotheses_than_beams_are_refused() -> None:
    network = build("lstm-lstm-1-layers")
    for beam_size in (1, 3):
        with pytest.raises(ValueError, match=f"n_best is {beam_size + 1}.*keeps only {beam_size}"):
            search(network, sources(), Decoding(beam_size=beam_size), n_best=beam_size + 1)
    with pytest.raises(ValueError, match=r"decoding\.beam_size is 0"):
        Decoding(beam_size=0)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_search_leaves_no_gradient_and_no_mode_behind(name: str) -> None:
    network = build(name)
    search(network, sources(), short(2))
    assert not network.training
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_attention_maps_cover_the_hypothesis_and_its_end(name: str) -> None:
    network, source, decoding = eager(build(name)), sources((6,))[0], short(2)
    tokens = search(network, source.unsqueeze(0), decoding)[0][0].tokens
    maps = attention_maps(network, source, tokens, decoding)
    assert (maps == {}) == name.startswith("lstm")
    for weights in maps.values():
        assert weights.shape[1:] == (len(tokens) + 1, 6)
        torch.testing.assert_close(weights.sum(-1).double(), torch.ones(weights.shape[:2]).double())
        assert not weights.requires_grad


@st.composite
def chains(draw: st.DrawFn) -> tuple[Chain, Tensor]:
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    scores = draw(st.sampled_from([0.3, 1.0, 4.0])) * torch.randn(13, 7, 7, generator=generator)
    scores[..., EOS] += draw(st.sampled_from([-3.0, 0.0, 2.0]))
    lengths = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    return Chain(scores), sources(tuple(lengths))


decodings = st.builds(
    Decoding,
    beam_size=st.integers(1, 6),
    length_penalty=st.sampled_from([0.0, 0.6, 1.0, 2.0]),
    length_factor=st.sampled_from([0.0, 1.0, 1.5]),
    length_margin=st.integers(1, 4),
)


def agrees_with_the_textbook(drawn: tuple[Chain, Tensor], decoding: Decoding) -> None:
    network, source = drawn
    for row, hypotheses in enumerate(beam_search(network, source, decoding, n_best=decoding.beam_size)):
        agree(hypotheses, textbook_beam_search(network, source[row], decoding))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(chains(), decodings)
def test_any_chain_is_searched_as_in_the_textbook(drawn: tuple[Chain, Tensor], decoding: Decoding) -> None:
    agrees_with_the_textbook(drawn, decoding)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(chains(), decodings)
def test_many_chains_are_searched_as_in_the_textbook(drawn: tuple[Chain, Tensor], decoding: Decoding) -> None:
    agrees_with_the_textbook(drawn, decoding)


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(chains(), st.sampled_from([0.0, 0.6, 1.0, 2.0]))
def test_wide_beams_find_everything_in_order(drawn: tuple[Chain, Tensor], penalty: float) -> None:
    network, source = drawn
    words = [3, 4, 5, 6]
    decoding = Decoding(beam_size=1 + 4 + 16, length_penalty=penalty, length_factor=0, length_margin=2)
    for row, hypotheses in enumerate(search(network, source, decoding, n_best=decoding.beam_size)):
        agree(hypotheses, every_hypothesis(network, source[row], decoding, words))


@given(data=st.data(), rows=st.integers(1, 4), width=st.sampled_from([7, 64, 320, 1000]))
@settings(max_examples=60, deadline=None)
def test_the_largest_are_those_of_topk(data: st.DataObject, rows: int, width: int) -> None:
    """Whether or not the width falls into chunks, and with impossible candidates among them."""
    k = data.draw(st.integers(1, min(width, 12)))
    torch.manual_seed(data.draw(st.integers(0, 1000)))
    candidates = torch.randn(rows, width).masked_fill(torch.rand(rows, width) < 0.3, -torch.inf)
    best, index = _largest(candidates, k)
    torch.testing.assert_close(best, candidates.topk(k).values)
    torch.testing.assert_close(candidates.gather(1, index), best)
    possible = index.masked_fill(best.isinf(), -1)
    assert all(len(set(row) - {-1}) == sum(i >= 0 for i in row) for row in possible.tolist())
