"""The interface that search and training rely on, for every network and variant."""

import re
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from models.bahdanau import BahdanauNetwork
from models.decoder_only import attention
from models.decoder_only.attention import DecoderOnlyAttentionNetwork
from models.decoder_only.recurrent import DecoderOnlyRecurrentNetwork
from models.decoder_only.transformer import DecoderOnlyTransformerNetwork
from models.embedding import Embedding
from models.encoder_only.recurrent import EncoderOnlyRecurrentNetwork
from models.encoder_only.transformer import EncoderOnlyTransformerNetwork
from models.kernels.dropout import Dropout
from models.loss import scored_logits, smoothed_cross_entropy
from models.lstm import LSTMNetwork
from models.network import Network, select_rows
from models.search import Decoding, search
from models.transformer import TransformerNetwork
from tests.support.toy_networks import (
    ALL,
    BOS,
    ONE_OF_EACH,
    PAD,
    TARGET_VOCABULARY,
    bahdanau,
    build,
    decoder_inputs,
    decoder_only_attention,
    lstm,
    sources,
    transformer,
)

KINDS: dict[type[Network], set[str]] = {
    LSTMNetwork: set(),
    BahdanauNetwork: {"additive"},
    TransformerNetwork: {"encoder", "decoder", "cross"},
    DecoderOnlyRecurrentNetwork: set(),
    DecoderOnlyAttentionNetwork: {"decoder", "additive"},
    DecoderOnlyTransformerNetwork: {"encoder", "decoder", "cross"},
    EncoderOnlyRecurrentNetwork: set(),
    EncoderOnlyTransformerNetwork: {"encoder", "cross"},
}
every_network = pytest.mark.parametrize("name", ALL)
EMPTY = 2  # row of the source without a token
OTHERS = torch.tensor([0, 1, 3])
WITH_EMPTY = (7, 4, 0, 1)


def close(actual: Tensor, expected: Tensor) -> None:
    """Networks are in double precision here."""
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


@pytest.fixture(autouse=True)
def _two_states_attend_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the language model with attention, so that targets of six tokens have several blocks."""
    monkeypatch.setattr(attention, "BLOCK", 2)


def without_dropout(name: str, *, training: bool = False) -> Network:
    """In training mode kernels differ from those of evaluation; without dropout results are still deterministic."""
    network = build(name)
    for module in network.modules():
        if isinstance(module, Dropout):
            module.p = 0.0
        elif isinstance(module, nn.RNNBase):
            module.dropout = 0.0
    return network.train(training)


def gradients(network: Network, logits: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(logits.square().sum(), list(network.parameters()), materialize_grads=True))


@every_network
def test_decoding_one_or_several_tokens_at_a_time_equals_teacher_forcing(name: str) -> None:
    network, source, decoder_input = build(name), sources(), decoder_inputs()
    memory = network.encode(source)
    state, steps = network.start(memory), []
    for token in decoder_input.unbind(1):
        features, state = network.step(token, memory, state)
        steps.append(features)
    whole = network.decode(memory, decoder_input)
    close(torch.stack(steps, 1), whole)
    begun, state = network.advance(decoder_input[:, :2], memory, network.start(memory))
    continued, _ = network.advance(decoder_input[:, 2:], memory, state)
    close(torch.cat([begun, continued], 1), whole)
    assert whole.std() > 0.01
    logits = network(source, decoder_input)
    assert logits.shape == (*decoder_input.shape, TARGET_VOCABULARY)
    close(network.project(whole[:, 1]), logits[:, 1])


@every_network
def test_no_position_depends_on_later_decoder_input(name: str) -> None:
    network, source = build(name), sources()
    decoder_input = decoder_inputs((6, 6, 6, 6))
    logits = network(source, decoder_input)
    for t in range(5):
        changed = decoder_input.clone()
        changed[:, t + 1 :] = (changed[:, t + 1 :] - 2) % (TARGET_VOCABULARY - 3) + 3
        assert not (changed[:, t + 1 :] == decoder_input[:, t + 1 :]).any()
        other = network(source, changed)
        close(other[:, : t + 1], logits[:, : t + 1])
        assert (other[:, t + 1] - logits[:, t + 1]).abs().max() > 1e-4


@every_network
def test_a_row_depends_on_neither_padding_nor_its_batch(name: str) -> None:
    """Alone, in another order, with more padding and other padding; one source is empty, one row is S = T = 1."""
    network, decoder_input = without_dropout(name), decoder_inputs((3, 6, 5, 1))
    source = sources(WITH_EMPTY)
    logits, maps = network(source, decoder_input), network.every_attention(source, decoder_input)
    assert logits.isfinite().all()
    assert not torch.allclose(logits[EMPTY], network(sources(), decoder_input)[EMPTY])
    wider = network(*(torch.cat([x, torch.full((4, 5), PAD)], 1) for x in (source, decoder_input)))
    close(wider[:, : decoder_input.shape[1]], logits)
    order = torch.tensor([2, 0, 3, 1])
    close(network(source[order], decoder_input[order]), logits[order])
    for row in range(4):
        S, T = max(1, WITH_EMPTY[row]), int((decoder_input[row] != PAD).sum())
        alone = source[row : row + 1, :S], decoder_input[row : row + 1, :T]
        close(network(*alone)[0], logits[row, :T])
        for map_name, weights in network.every_attention(*alone).items():
            if row != EMPTY:
                close(weights[0], maps[map_name][row, :, : weights.shape[2], : weights.shape[3]])
    with torch.no_grad():
        for table in (part for part in network.modules() if isinstance(part, Embedding)):
            table.weight[PAD] += 1
    words = decoder_input != PAD  # a tied output changes the score of padding too
    close(network(source, decoder_input)[words][:, PAD + 1 :], logits[words][:, PAD + 1 :])


@pytest.mark.parametrize("name", ALL)
def test_a_batch_without_a_source_token_is_encoded_as_empty_sources_are(name: str) -> None:
    network, decoder_input = build(name), decoder_inputs()
    empty = torch.full((len(decoder_input), 2), PAD)
    torch.testing.assert_close(network(empty[:, :0], decoder_input), network(empty, decoder_input))


@every_network
def test_an_empty_source_changes_no_gradient_of_other_rows(name: str) -> None:
    network, source, decoder_input = without_dropout(name, training=True), sources(WITH_EMPTY), decoder_inputs()
    logits = network(source, decoder_input)
    assert all(gradient.isfinite().all() for gradient in gradients(network, logits))
    found = gradients(network, network(source, decoder_input)[OTHERS])
    for with_it, without in zip(found, gradients(network, network(source[OTHERS], decoder_input[OTHERS])), strict=True):
        torch.testing.assert_close(with_it, without)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_an_empty_source_in_bf16(name: str) -> None:
    network = build(name, dtype=torch.float).train()
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(sources(WITH_EMPTY), decoder_inputs())
        loss = logits.float().square().sum()
    loss.backward()
    assert logits.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@every_network
def test_the_last_source_token_counts(name: str) -> None:
    network, source, decoder_input = build(name), sources(), decoder_inputs()
    changed = source.clone()
    lengths = (source != PAD).sum(1, keepdim=True)
    changed.scatter_(1, lengths - 1, (source.gather(1, lengths - 1) - 2) % 8 + 3)
    difference = (network(changed, decoder_input) - network(source, decoder_input)).abs().amax(2)  # (B, T)
    assert (difference[:, 0] > 1e-4).all()


@every_network
def test_rows_of_memory_and_state_can_be_selected(name: str) -> None:
    network, source = build(name), sources()
    memory = network.encode(source)
    token = torch.full((4,), BOS)
    _, state = network.step(token, memory, network.start(memory))
    rows = torch.tensor([3, 1, 1])
    next_token = torch.tensor([5, 6, 7])
    features, _ = network.step(next_token, select_rows(memory, rows), select_rows(state, rows))
    for row, (source_row, following) in enumerate(zip(rows.tolist(), next_token.tolist(), strict=True)):
        expected = network.decode(network.encode(source[[source_row]]), torch.tensor([[BOS, following]]))
        close(features[row], expected[0, 1])


@every_network
def test_attention_rows_sum_to_one_over_visible_positions(name: str) -> None:
    network, source, decoder_input = build(name), sources(WITH_EMPTY), decoder_inputs()
    maps = network.every_attention(source, decoder_input)
    S, T = source.shape[1], decoder_input.shape[1]
    shapes = {"encoder": (S, S), "decoder": (T, T), "cross": (T, S), "additive": (T, S)}
    sums: dict[str, Tensor] = {}
    for map_name, weights in maps.items():
        kind = map_name.split()[0]
        assert (weights.shape[0], *weights.shape[2:]) == (4, *shapes[kind])
        assert weights.isfinite().all()
        weights = weights[OTHERS]
        together = name.startswith("decoder_only") and kind != "encoder"  # with the weights on the rest of the stream
        whole = map_name.removeprefix(kind) if together else map_name
        sums[whole] = sums.get(whole, torch.zeros(())) + weights.sum(-1)
        if kind == "decoder":
            visible = torch.ones(T, T, dtype=torch.bool).tril().expand_as(weights)
        else:
            visible = (source[OTHERS] != PAD)[:, None, None, :].expand_as(weights)
        if isinstance(network, DecoderOnlyTransformerNetwork) and kind == "encoder":
            visible = visible if network.prefix else visible & torch.ones(S, S, dtype=torch.bool).tril()
            visible = visible | (source[OTHERS] == PAD)[:, None, :, None]  # what padding sees is all the same
            weights = weights.masked_fill((source[OTHERS] == PAD)[:, None, :, None], 1)
        assert (weights[~visible] == 0).all()
        assert (weights[visible] > 0).all()
    for whole, total in sums.items():
        read = (source[OTHERS] != PAD).unsqueeze(1).expand_as(total) if "encoder" in whole else torch.ones_like(total)
        torch.testing.assert_close(total[read.bool()], torch.ones_like(total)[read.bool()], rtol=0, atol=1e-6)
    assert {kind.split()[0] for kind in maps} == KINDS[type(network)]
    to_source = network.attention(network.encode(source), decoder_input)
    assert set(to_source) == {map_name for map_name in maps if map_name.split()[0] in ("cross", "additive")}
    for map_name, weights in to_source.items():
        close(maps[map_name], weights)


@every_network
def test_every_parameter_gets_a_gradient(name: str) -> None:
    network, decoder_input = build(name).train(), decoder_inputs((3, 6, 5, 2))
    smoothed_cross_entropy(*scored_logits(network, sources(), decoder_input, decoder_input), 0.1).backward()
    without = {n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    assert without == set()


@pytest.mark.parametrize(
    ("variant", "output_is_target", "source_is_target"),
    [("tied", True, False), ("untied", False, False), ("shared", True, True)],
)
@pytest.mark.parametrize("kind", ["lstm", "bahdanau", "transformer"])
def test_tied_weights_are_one_tensor(kind: str, variant: str, output_is_target: bool, source_is_target: bool) -> None:
    tied = {
        "lstm": "lstm-rnn-1-layers",
        "bahdanau": "bahdanau-parallel-1-layers",
        "transformer": "transformer-none-pre",
    }
    network = build(tied[kind] if variant == "tied" else f"{kind}-{variant}")
    assert isinstance(network, LSTMNetwork | BahdanauNetwork | TransformerNetwork)
    if isinstance(network, TransformerNetwork):
        source, target = network.source_embedding.weight, network.target_embedding.weight
    else:
        source, target = network.encoder.embedding.weight, network.embedding.weight
    assert (network.output.weight is target) == output_is_target
    assert (source is target) == source_is_target


# B batch 4, S 7, T 5, E 6, H 8: what goes through dropout, in order, and the dropout between layers of torch's own RNNs
LETTERS = {4: "B", 7: "S", 5: "T", 6: "E", 8: "H"}
DROPPED = {
    "lstm-lstm-2-layers": ("BSE BSH BTE BTH BTE", [0.3, 0.3]),
    "bahdanau-input_feeding-2-layers": ("BSE BSH BTE BT16 BT22 BTE", [0.3, 0.0, 0.0]),
    "transformer-sinusoidal-pre": (" ".join(["BSH"] * 5 + ["BTH"] * 7), []),
    "decoder_only-lstm-2-layers": ("BSE BSH BTE BTH BTE", [0.3]),
    "decoder_only-attention-2-layers": ("BSE BSH BTE BT22 BTE", [0.3]),
    "decoder_only-causal-rotary": (" ".join(["BSH"] * 5 + ["BTH"] * 5), []),
    "encoder_only-lstm-2-layers": ("BSE BSH BSH BSE", [0.3]),
    "encoder_only-rotary": (" ".join(["BSH"] * 5), []),
}


@pytest.mark.parametrize("name", DROPPED)
def test_what_goes_through_dropout(name: str) -> None:
    """Embeddings, what is between layers, each sub-layer of a Transformer, and both ends of a readout."""
    network, seen = build(name).train(), []
    for module in network.modules():
        if isinstance(module, Dropout):
            assert module.p == 0.3
            module.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
    network(sources(), decoder_inputs((3, 5, 4, 1)))
    shapes, between = DROPPED[name]
    assert " ".join("".join(LETTERS.get(size, str(size)) for size in shape) for shape in seen) == shapes
    assert [module.dropout for module in network.modules() if isinstance(module, nn.RNNBase)] == between


STARTS = {  # standard deviation of initial weights with `out` rows and `n` columns; that of biases, which start at 0
    r"embedding\.weight|table\.weight|weight_hh_.*": lambda out, n: n**-0.5,
    r"W_q\.weight|W_kv\.weight": lambda out, n: (2 * n) ** -0.5,  # one matrix of 3 D rows to Xavier and Glorot
    r"W_o\.weight|W_[12]\.weight|weight_ih_.*": lambda out, n: (2 / (out + n)) ** 0.5,
    r"(W_a|U_a|readout|to_hidden|to_cell)\.weight": lambda out, n: (3 * n) ** -0.5,
    r"(W_a|to_hidden|to_cell|additive)\.(v|bias)": lambda out, n: (3 * out) ** -0.5,
    r"readout\.bias|.*norm\.weight|bias_ih_.*": lambda out, n: None,
    r".*bias(_.*)?": lambda out, n: 0.0,
}


@pytest.mark.parametrize(
    "make",
    [
        partial(transformer, width=256, heads=4, feed_forward=512, encoder_layers=1, decoder_layers=1),
        partial(transformer, width=256, heads=4, positions="learned", max_length=128, encoder_layers=1),
        partial(lstm, embedding=192, hidden=256),
        partial(bahdanau, embedding=192, hidden=256),
        partial(decoder_only_attention, embedding=192, hidden=256, attention=256),
    ],
)
def test_initial_weights(make: Callable[[], Network]) -> None:
    torch.manual_seed(0)
    for name, weights in make().named_parameters():
        expected = next(std for end, std in STARTS.items() if re.search(f"({end})$", name))(
            weights.shape[0], weights.shape[-1]
        )
        found = weights.detach()[1:] if "embedding" in name else weights.detach()  # the first row is that of padding
        if expected is not None:
            assert float(found.std()) == pytest.approx(expected, rel=0.15), name


@pytest.mark.gpu
@every_network
def test_a_network_on_a_gpu_gives_what_it_gives_on_a_cpu(name: str) -> None:
    """Kernels differ there."""
    network = without_dropout(name, training=True).float()
    source, decoder_input = sources(WITH_EMPTY), decoder_inputs()
    expected = network(source, decoder_input)
    moved = network.to("cuda")
    for precision in (torch.float, torch.bfloat16):
        with torch.autocast("cuda", precision, enabled=precision == torch.bfloat16):
            logits = moved(source.cuda(), decoder_input.cuda()).float()
        tolerance = 1e-3 if precision == torch.float else 0.3
        torch.testing.assert_close(logits.cpu(), expected, rtol=tolerance, atol=tolerance)
        assert all(gradient.isfinite().all() for gradient in gradients(moved, logits))
    assert len(search(moved.eval(), source.cuda(), Decoding(beam_size=3, length_margin=4))) == 4
