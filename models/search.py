"""Greedy and beam search over the step interface of a network.

n unfinished sentences, B batch, K beams, V target vocabulary, S source length.
"""

from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from models.kernels.matmul_backend import onednn_matmul
from models.network import Network, select_rows

# Steps between two looks of beam search at what is done; an accelerator would have to wait for each.
LOOKS = {"cpu": 1, "cuda": 8}


@dataclass
class Decoding:
    """Search settings, the same for every model compared.

    Args:
        beam_size: Hypotheses kept at each step; 1 is greedy search.
        length_penalty: alpha of GNMT's penalty (Wu et al. 2016, section 7): 0 prefers short hypotheses, 1 less so, and
            hardly where they are much longer than five tokens.
        length_factor: Length limit of a hypothesis is length_factor x source tokens + length_margin, per source, so
            that the result does not depend on the batch.
        length_margin: See length_factor.
        bos_id: Token id that begins a target.
        eos_id: Token id that ends a target.
    """

    beam_size: int = 5
    length_penalty: float = 1.0
    length_factor: float = 2.0
    length_margin: int = 10
    bos_id: int = 1
    eos_id: int = 2

    def __post_init__(self) -> None:
        if self.beam_size < 1:
            raise ValueError(f"decoding.beam_size is {self.beam_size}; it must be at least 1.")

    def score(self, log_prob: float, tokens: int) -> float:
        """log P(Y | X) / lp(Y) with lp(Y) = ((5 + |Y|) / 6)^alpha; |Y| counts the end of the sentence."""
        return log_prob / ((5 + tokens) / 6) ** self.length_penalty

    def limits(self, source: Tensor, pad_id: int) -> list[int]:
        """Length limit for each source (B, S), end of sentence included; at least 1."""
        return [self.limit(n) for n in (source != pad_id).sum(1).tolist()]

    def limit(self, source_tokens: int) -> int:
        return max(1, int(self.length_factor * source_tokens) + self.length_margin)


@dataclass(frozen=True)
class Hypothesis:
    """A target sentence found by search.

    Attributes:
        tokens: Token ids without begin and end of sentence.
        log_prob: Sum of the tokens' natural log-probabilities, end of sentence included.
        score: `log_prob` with the length penalty, by which hypotheses are ranked.
        truncated: Whether it reached the length limit before its end of sentence.
    """

    tokens: list[int]
    log_prob: float
    score: float
    truncated: bool


def search(network: Network, source: Tensor, decoding: Decoding, n_best: int = 1) -> list[list[Hypothesis]]:
    """At most `n_best` hypotheses for each of (B, S) sources, best first; fewer where not so many were found.

    Raises:
        ValueError: `n_best` exceeds the beam size.
    """
    if n_best > decoding.beam_size:
        raise ValueError(f"n_best is {n_best}, but decoding.beam_size keeps only {decoding.beam_size} hypotheses.")
    with onednn_matmul():
        if decoding.beam_size == 1:
            return [[hypothesis] for hypothesis in greedy_search(network, source, decoding)]
        return beam_search(network, source, decoding, n_best)


@torch.no_grad()
def greedy_search(network: Network, source: Tensor, decoding: Decoding) -> list[Hypothesis]:
    """The most probable token at each step, for (B, S) sources; finished sentences leave the batch."""
    limits = decoding.limits(source, network.pad_id)
    memory = network.encode(source)
    state = network.start(memory)
    token = torch.full((len(source),), decoding.bos_id, device=source.device)
    alive = list(range(len(source)))  # sentence of each row
    tokens: list[list[int]] = [[] for _ in alive]
    log_probs = [0.0 for _ in alive]
    ended = [False for _ in alive]
    length = 0
    while alive:
        length += 1
        features, state = network.step(token, memory, state)
        best, token = _log_probs(network, features, decoding).max(dim=-1)
        for sentence, log_prob, choice in zip(alive, best.tolist(), token.tolist(), strict=True):
            log_probs[sentence] += log_prob
            if choice == decoding.eos_id:
                ended[sentence] = True
            else:
                tokens[sentence].append(choice)
        rows = [row for row, sentence in enumerate(alive) if not ended[sentence] and length < limits[sentence]]
        if len(rows) < len(alive):
            alive = [alive[row] for row in rows]
            kept = torch.tensor(rows, dtype=torch.long, device=source.device)
            token, memory, state = select_rows((token, memory, state), kept)
    return [
        Hypothesis(t, p, decoding.score(p, len(t) + e), truncated=not e)
        for t, p, e in zip(tokens, log_probs, ended, strict=True)
    ]


@torch.no_grad()
def beam_search(network: Network, source: Tensor, decoding: Decoding, n_best: int = 1) -> list[list[Hypothesis]]:
    """Beam search over (B, S) sources, all beams of all sentences in one batch.

    Candidates among the K best that end are collected, and the K best others continue. A sentence is done once it has K
    finished hypotheses, or at its length limit, where unfinished hypotheses are truncated. Not having paid for their
    end, those come last. Sentences that are done leave the batch at the next look.
    """
    K, device = decoding.beam_size, source.device
    limits = torch.tensor(decoding.limits(source, network.pad_id), device=device)
    longest = int(limits.max())
    memory = select_rows(network.encode(source), torch.arange(len(source), device=device).repeat_interleave(K))
    state = network.start(memory)
    found = _Found(len(source), K, longest, device)
    alive = torch.arange(len(source), device=device)  # sentence of each group of K rows
    tokens = torch.empty(len(source), K, 0, dtype=torch.long, device=device)  # (n, K, length so far)
    token = torch.full((len(source) * K,), decoding.bos_id, device=device)
    # All beams are equal at the start: only the first may be extended.
    log_prob = torch.full((len(source), K), -torch.inf, device=device)  # (n, K)
    log_prob[:, 0] = 0.0
    for length in range(1, longest + 1):
        features, state = network.step(token, memory, state)
        candidates = _log_probs(network, features, decoding).unflatten(0, (-1, K))  # (n, K, V)
        V = candidates.shape[-1]
        candidates = candidates.add_(log_prob.unsqueeze(-1)).flatten(1)  # (n, K V)
        # Each beam has one end of sentence: at least K of the 2K best candidates continue.
        best, index = _largest(candidates, min(2 * K, K * V))  # (n, 2K)
        beam, choice = index // V, index % V
        ends, limit = choice == decoding.eos_id, limits[alive].unsqueeze(1)  # (n, 2K), (n, 1)
        found.add(alive, _rows_of(tokens, beam[:, :K]), best[:, :K], ends[:, :K] & (length <= limit), truncated=False)

        log_prob, rank = best.masked_fill(ends, -torch.inf).topk(K, dim=-1)  # (n, K)
        beam, choice = beam.gather(1, rank), choice.gather(1, rank)
        tokens = torch.cat([_rows_of(tokens, beam), choice.unsqueeze(-1)], dim=-1)
        found.add(alive, tokens, log_prob, limit.eq(length).expand(-1, K), truncated=True)
        rows = beam + K * torch.arange(len(alive), device=device).unsqueeze(1)  # (n, K) of the state
        if length % LOOKS[device.type] == 0 or length == longest:
            kept = ((found.number[alive] < K) & (length < limit.squeeze(1))).nonzero().squeeze(1)
            if not len(kept):
                break
            if len(kept) < len(alive):
                alive, tokens, choice, log_prob, rows = select_rows((alive, tokens, choice, log_prob, rows), kept)
                # Beams keep their source, so memory is re-indexed only when sentences leave.
                memory = select_rows(memory, (K * kept.unsqueeze(1) + torch.arange(K, device=device)).flatten())
        state, token = select_rows(state, rows.flatten()), choice.flatten()
    return [sorted(each, key=lambda h: (h.truncated, -h.score))[:n_best] for each in found.hypotheses(decoding)]


class _Found:
    """The first K hypotheses found of each of N sentences, on the device; slot K takes what is one too many."""

    def __init__(self, sentences: int, beams: int, longest: int, device: torch.device) -> None:
        slots = (sentences, beams + 1)
        self.tokens = torch.zeros((*slots, longest), dtype=torch.long, device=device)
        self.lengths = torch.zeros(slots, dtype=torch.long, device=device)
        self.log_probs = torch.zeros(slots, device=device)
        self.truncated = torch.zeros(slots, dtype=torch.bool, device=device)
        self.number = torch.zeros(sentences, dtype=torch.long, device=device)

    def add(self, sentences: Tensor, tokens: Tensor, log_probs: Tensor, chosen: Tensor, *, truncated: bool) -> None:
        """Add the chosen ones, unless impossible, of candidates (n, K) with tokens (n, K, length)."""
        beams = log_probs.shape[1]
        chosen = chosen & log_probs.isfinite()
        slot = self.number[sentences].unsqueeze(1) + chosen.cumsum(1) - 1
        at = sentences.unsqueeze(1), torch.where(chosen, slot, beams).clamp(max=beams)
        self.tokens[(*at, slice(tokens.shape[2]))] = tokens
        self.lengths[at] = tokens.shape[2]
        self.log_probs[at] = log_probs
        self.truncated[at] = truncated
        self.number[sentences] = (self.number[sentences] + chosen.sum(1)).clamp(max=beams)

    def hypotheses(self, decoding: Decoding) -> list[list[Hypothesis]]:
        """Of each sentence, in the order found."""
        fields = (self.tokens, self.lengths, self.log_probs, self.truncated)
        return [
            [
                Hypothesis(words[:length], p, decoding.score(p, length + (not truncated)), truncated)
                for words, length, p, truncated in islice(zip(*slots, strict=True), number)
            ]
            for number, *slots in zip(self.number.tolist(), *(field.tolist() for field in fields), strict=True)
        ]


def _rows_of(tokens: Tensor, beam: Tensor) -> Tensor:
    """(n, K, length): the tokens of each beam (n, K)."""
    return tokens.gather(1, beam.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))


def _largest(candidates: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """topk of each row (n, N): values and indices, (n, k) each.

    On a CPU topk is slow and max is fast: the k largest are in the k chunks with the largest maxima, and topk runs on
    these only (a third of the time for 30,000 candidates).
    """
    N = candidates.shape[-1]
    C = next((size for size in range(min(256, N // k), 15, -1) if N % size == 0), None)  # chunk size
    if C is None or candidates.device.type != "cpu":
        return candidates.topk(k, dim=-1)
    chunks = candidates.unflatten(-1, (-1, C))  # (n, N / C, C)
    chunk = chunks.amax(-1).topk(k, dim=-1).indices  # (n, k)
    best, index = chunks.gather(1, chunk.unsqueeze(-1).expand(-1, -1, C)).flatten(1).topk(k, dim=-1)
    return best, chunk.gather(1, index // C) * C + index % C


def _log_probs(network: Network, features: Tensor, decoding: Decoding) -> Tensor:
    """(rows, V) log-probabilities of the next token, -inf for padding and begin of sentence."""
    log_probs = torch.log_softmax(network.project(features).float(), dim=-1)
    for never in (network.pad_id, decoding.bos_id):  # one by one: a list of them would be copied from the host
        log_probs[:, never] = -torch.inf
    return log_probs
