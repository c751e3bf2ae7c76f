"""Gradients of everything written by hand against difference quotients, in double precision.

`torch.autograd.gradcheck` changes its inputs in place, so that a function may read them where they are used.
"""

from collections.abc import Callable, Sequence
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models.attention import MultiHeadAttention, attention_weights, causal_bias, reference_attention
from models.bahdanau import AdditiveAttention
from models.embedding import Embedding
from models.kernels import matmul_backend as products
from models.kernels.attention_loop import AttentionLoop
from models.kernels.dropout import Dropout
from models.kernels.matmul_backend import call_with_mkl, onednn_matmul
from models.kernels.ragged import run_ragged
from models.positions import positions
from models.recurrent import CELLS, Bridge, Cell
from tests.support.toy_networks import ALL, build, sources

gradcheck = partial(torch.autograd.gradcheck, rtol=1e-5, atol=1e-7)
LENGTHS = torch.tensor([5, 2, 4])


def slopes(compute: Callable[[], Tensor], inputs: Sequence[Tensor], step: float = 1e-6) -> tuple[float, float]:
    """How a random sum of the result grows in a random direction of all inputs: by its gradient, by its difference.

    One backward pass, where gradcheck wants several of the same graph, and two forward passes for all inputs together.
    """
    weights = torch.randn_like(compute())
    directions = [torch.randn_like(x) for x in inputs]
    gradients = torch.autograd.grad((weights * compute()).sum(), inputs)
    by_gradient = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True))

    @torch.no_grad()
    def at(distance: float) -> Tensor:
        torch._foreach_add_(list(inputs), directions, alpha=distance)
        result = (weights * compute()).sum()
        torch._foreach_add_(list(inputs), directions, alpha=-distance)
        return result

    return float(by_gradient), float(at(step) - at(-step)) / (2 * step)


def check(compute: Callable[[], Tensor], inputs: Sequence[Tensor]) -> None:
    by_gradient, by_difference = slopes(compute, inputs)
    assert by_gradient == pytest.approx(by_difference, rel=1e-6, abs=1e-7)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    draws = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=draws, dtype=torch.double).requires_grad_()


@pytest.mark.parametrize("name", ALL)
def test_a_whole_network(name: str) -> None:
    """Sources are of several lengths, one of them empty; no target is padded, because padding has no gradient."""
    network, source = build(name), sources((5, 0, 1, 3))
    decoder_input = torch.randint(1, 13, (4, 3), generator=torch.Generator().manual_seed(0))
    check(lambda: network(source, decoder_input), list(network.parameters()))


@pytest.mark.parametrize(
    "name", ["lstm-gru-2-layers-feed-context", "bahdanau-parallel-2-layers", "transformer-rotary-pre"]
)
def test_a_whole_network_with_dropout(name: str) -> None:
    network, source = build(name).train(), sources((5, 2, 3))
    decoder_input = torch.randint(1, 13, (3, 3), generator=torch.Generator().manual_seed(0))
    plain = network(source, decoder_input)

    def seeded() -> Tensor:
        torch.manual_seed(1)
        logits: Tensor = network(source, decoder_input)
        return logits

    assert not torch.equal(seeded(), plain)
    check(seeded, list(network.parameters()))


@pytest.mark.parametrize("name", [name for name in ALL if name.startswith(("bahdanau", "lstm-lstm-2"))])
def test_words_one_at_a_time(name: str) -> None:
    """T = 1 has code of its own in the attention network."""
    network, source = build(name), sources((4, 0, 2))
    tokens = torch.tensor([[1, 5], [1, 7], [1, 3]])

    def stepwise() -> Tensor:
        memory = network.encode(source)
        state = network.start(memory)
        features = []
        for token in tokens.unbind(1):
            each, state = network.step(token, memory, state)
            features.append(each)
        return network.project(torch.stack(features, 1))

    check(stepwise, list(network.parameters()))


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("layers", [1, 2])
def test_recurrent_layers_over_rows_of_several_lengths(cell: Cell, layers: int) -> None:
    torch.manual_seed(0)
    rnn = CELLS[cell](2, 3, layers, batch_first=True, bidirectional=True).double()
    x = numbers(3, 6, 2)

    def run() -> Tensor:
        output, states = run_ragged(rnn, x, LENGTHS, Dropout(0.0))
        return torch.cat([output.flatten(), *(state.flatten() for state in states)])

    check(run, (x, *rnn.parameters()))


@pytest.mark.parametrize("length", [1, 3])
@pytest.mark.parametrize("seen", [(4, 2, 1), (4, 4, 4)])
def test_the_loop_of_the_attention_decoder(length: int, seen: tuple[int, ...]) -> None:
    B, S, H, A = 3, 4, 2, 3
    mask = torch.zeros(B, S).masked_fill(torch.arange(S) >= torch.tensor(seen).unsqueeze(1), -torch.inf)
    shapes = ((B, length, 4 * H), (B, S, H), (B, S, A)), ((B, H), (B, H), (A, H), (A,), (A,), (4 * H, 2 * H))
    before, after = ([numbers(*shape, seed=i) for i, shape in enumerate(part)] for part in shapes)
    assert gradcheck(AttentionLoop.apply, (*before, mask, *after))


@pytest.mark.parametrize("together", [True, False])
def test_additive_attention_by_sigmoid(together: bool) -> None:
    torch.manual_seed(0)
    attention = AdditiveAttention(3, 2, 4).double()
    query, annotations = numbers(2, 3, 3) if together else numbers(2, 3), numbers(2, 4, 2, seed=1)
    mask = torch.tensor([[0.0, 0, 0, 0], [0, 0, -torch.inf, -torch.inf]])

    def weights(*_: Tensor) -> Tensor:
        return attention.weights(query, attention.keys(annotations), mask)

    assert gradcheck(weights, (query, annotations, *attention.parameters()))


def forbidding() -> Tensor:
    """(2, 1, 1, 4): two keys of the first row, all of the second."""
    return torch.tensor([0.0, 0, -torch.inf, -torch.inf, *[-torch.inf] * 4], dtype=torch.double).view(2, 1, 1, 4)


@pytest.mark.parametrize("attend", [reference_attention, F.scaled_dot_product_attention])
def test_attention_where_some_or_all_keys_are_forbidden(attend: object) -> None:
    query, key, value = numbers(2, 2, 3, 4), numbers(2, 2, 4, 4, seed=1), numbers(2, 2, 4, 4, seed=2)
    assert callable(attend)
    assert gradcheck(lambda *x: attend(*x, forbidding()), (query, key, value))
    attended = attend(query, key, value, forbidding())
    assert attended[1].eq(0).all()
    torch.testing.assert_close(attended[:1], reference_attention(query[:1], key[:1, :, :2], value[:1, :, :2]))


def test_attention_weights_where_some_or_all_keys_are_forbidden() -> None:
    query, key = numbers(2, 2, 3, 4), numbers(2, 2, 4, 4, seed=1)
    assert gradcheck(lambda *x: attention_weights(*x, forbidding()), (query, key))
    weights = attention_weights(query, key, forbidding())
    torch.testing.assert_close(weights[0].sum(-1), torch.ones(2, 3, dtype=torch.double))
    assert weights[1].eq(0).all()


@pytest.mark.parametrize("kind", ["rotary", "alibi", "none"])
@pytest.mark.parametrize("causal", [True, False])
def test_many_headed_attention_with_positions(kind: str, causal: bool) -> None:
    torch.manual_seed(0)
    attention = MultiHeadAttention(8, 2).double()
    place = positions(kind, width=8, heads=2, max_length=9)  # type: ignore[arg-type]
    x = numbers(2, 4, 8)

    def attend() -> Tensor:
        key, value = attention.keys_values(x)
        turned = attention.keys_values(x)._replace(key=place.turned(key, 0), value=value)
        bias = place.bias(4, 4, x.device)
        attended: Tensor = attention(place.turned(attention.queries(x), 0), turned, bias, causal=causal)
        return attended

    check(attend, (x, *attention.parameters()))


@pytest.mark.parametrize("kind", ["sinusoidal", "learned", "rotary"])
def test_positions_by_themselves(kind: str) -> None:
    place = positions(kind, width=4, heads=2, max_length=9).double()  # type: ignore[arg-type]
    x, y = numbers(2, 3, 4), numbers(2, 2, 3, 2, seed=1)

    def placed(*_: Tensor) -> tuple[Tensor, Tensor]:
        added = place.added(2, 3, x.device)
        return x if added is None else x + added, place.turned(y, 2)

    assert gradcheck(placed, (x, y, *place.parameters()))


@pytest.mark.parametrize("bias", [None, causal_bias(3, 3, torch.device("cpu")).double(), numbers(2, 3, 3, seed=3)])
def test_products_left_to_the_other_library(bias: Tensor | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "onednn_is_exact", lambda: True)
    query, key, value = (numbers(2, 3, 4, seed=seed) for seed in range(3))

    def attend() -> Tensor:
        return call_with_mkl(reference_attention, query, key, value, bias)

    with onednn_matmul():
        assert "CallWithMKL" in type(attend().grad_fn).__name__
        inputs = [query, key, value, bias]
        check(attend, [x for x in inputs if x is not None and x.requires_grad])


@pytest.mark.parametrize("p", [0.0, 0.3, 0.9])
def test_dropout(p: float) -> None:
    dropout, x = Dropout(p), numbers(3, 7)

    def seeded(x: Tensor) -> Tensor:
        torch.manual_seed(0)
        return dropout(x)

    assert gradcheck(seeded, (x,))


def test_embeddings_and_bridges() -> None:
    embedding, bridge = Embedding(5, 4, pad_id=0).double(), Bridge(3).double()
    tokens, hidden, cell = torch.tensor([[1, 4, 1], [2, 3, 3]]), numbers(2, 2, 3), numbers(2, 2, 3, seed=1)
    assert gradcheck(lambda _: embedding(tokens), (embedding.weight,))
    assert gradcheck(lambda *_: bridge(hidden, cell), (hidden, cell, *bridge.parameters()))


class WrongByAThousandth(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        return 1.001 * gradients[0]


def test_a_gradient_that_is_wrong_by_a_thousandth_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    network = build("lstm-lstm-1-layers")
    project = network.project
    monkeypatch.setattr(network, "project", lambda features: project(WrongByAThousandth.apply(features)))
    source, decoder_input = sources((3, 2)), torch.tensor([[1, 4], [1, 5]])
    with pytest.raises(AssertionError):
        check(lambda: network(source, decoder_input), list(network.parameters()))
    with pytest.raises(RuntimeError, match="Jacobian"):
        gradcheck(WrongByAThousandth.apply, (numbers(3),))
