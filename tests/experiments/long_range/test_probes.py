import copy
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.batch import IGNORE, Batch
from experiments.long_range.probes import (
    KEY_SETS,
    KEYS,
    QUERIES,
    RIDGE,
    attention_on_answer,
    encoder_states,
    gradient_reach,
    permutation_difference,
    probe,
    ridge_predictions,
    score_statistics,
    word_states,
)
from models.decoder_only.transformer import DecoderOnlyTransformerNetwork
from models.encoder_only.network import EncoderOnlyNetwork
from models.encoder_only.transformer import EncoderOnlyTransformerNetwork
from models.lstm import LSTMNetwork
from models.multi_head_attention import attention_weights
from models.network import Network
from models.transformer import TransformerNetwork
from tests.support.toy_networks import (
    ONE_OF_EACH,
    PAD,
    SOURCE_VOCABULARY,
    TARGET_VOCABULARY,
    bahdanau,
    build,
    decoder_inputs,
    lstm,
    randomised,
    sources,
    transformer,
)

LENGTHS = (7, 4, 1, 6)
KINDS = [*ONE_OF_EACH, "lstm-gru-2-layers", "decoder_only-rnn-2-layers", "encoder_only-gru-2-layers"]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(source: Tensor | None = None) -> Batch:
    """Four examples of different lengths, some positions of each scored and some not."""
    decoder_input = decoder_inputs()
    labels = torch.randint(3, TARGET_VOCABULARY, decoder_input.shape, generator=seeded(3))
    labels = labels.masked_fill(decoder_input == PAD, IGNORE)
    labels[1, 2:4] = IGNORE
    return Batch(sources() if source is None else source, decoder_input, labels, torch.arange(4))


def distinct_sources() -> Tensor:
    """No token twice in a source, so that a token's row of the table gets the gradient of one position alone."""
    rows = [torch.randperm(SOURCE_VOCABULARY - 3, generator=seeded(n))[:length] + 3 for n, length in enumerate(LENGTHS)]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)


OTHER_READERS = [  # of one direction, or with a table that source and target share
    "lstm-one-way",
    "bahdanau-one-way",
    "lstm-shared",
    "transformer-shared",
    "decoder_only-causal-shared",
    "encoder_only-rotary-shared",
]


@pytest.mark.parametrize("name", [*ONE_OF_EACH, *OTHER_READERS])
def test_gradient_reach_is_the_gradient_of_each_example_alone(name: str) -> None:
    network, whole = build(name), batch(distinct_sources())
    twin, norms = copy.deepcopy(network), dict[int, list[float]]()
    owner = twin.get_submodule("encoder") if hasattr(twin, "encoder") and "transformer" not in name else twin
    name_of_table = "source_embedding" if hasattr(owner, "source_embedding") else "embedding"
    setattr(owner, name_of_table, copy.deepcopy(owner.get_submodule(name_of_table)))  # shared with nothing
    table = owner.get_parameter(f"{name_of_table}.weight")
    for source, decoder_input, labels in zip(*whole[:3], strict=True):
        source = source[source != PAD]
        logits = twin(source.unsqueeze(0), decoder_input.unsqueeze(0))[0]
        scored = labels != IGNORE
        loss = -torch.log_softmax(logits[scored], -1)[range(int(scored.sum())), labels[scored]].mean()
        (gradient,) = torch.autograd.grad(loss, table)
        for distance, token in enumerate(source.flip(0).tolist(), start=1):
            # What is read is sqrt(E) times the table.
            norms.setdefault(distance, []).append(gradient[token].norm().item() / math.sqrt(table.shape[1]))
    expected = {distance: sum(several) / len(several) for distance, several in norms.items()}
    # Additive attention takes its softmax in single precision.
    assert gradient_reach(network, whole) == pytest.approx(
        expected, rel=1e-4 if "bahdanau" in name or "attention" in name else 1e-9
    )
    assert list(expected) == list(range(1, 8))


def test_measuring_leaves_the_network_as_it_was() -> None:
    network = build("lstm-lstm-2-layers").train()
    before = {name: weights.clone() for name, weights in network.state_dict().items()}
    with torch.no_grad():
        first = gradient_reach(network, batch())
    assert gradient_reach(network, batch()) == first, "no dropout"
    encoder_states(network, sources())
    permutation_difference(network, batch(), seeded())
    assert all(module.training for module in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(before[name], weights) for name, weights in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize("name", ["bahdanau-input_feeding-2-layers", "transformer-sinusoidal-pre"])
def test_attention_on_the_answer_by_loops(name: str) -> None:
    network, whole = build(name), batch()
    counts = [
        (row, t, source.count(label), source.index(label) if label in source else -1)
        for row, (source, labels) in enumerate(zip(whole.source.tolist(), whole.labels.tolist(), strict=True))
        for t, label in enumerate(labels)
    ]
    assert {0, 1, 2} <= {count for _, _, count, _ in counts}
    once = [(row, t, place) for row, t, count, place in counts if count == 1]
    means = [
        sum(head[at].item() for at in once) / len(once)
        for weights in network.attention(network.encode(whole.source), whole.decoder_input).values()
        for head in weights.unbind(1)
    ]
    assert attention_on_answer(network, whole) == pytest.approx(max(means))


def test_no_attention_and_no_answer() -> None:
    whole = batch()
    assert attention_on_answer(build("lstm-one-way"), whole) is None
    nowhere = whole._replace(labels=torch.full_like(whole.labels, SOURCE_VOCABULARY))
    assert attention_on_answer(build("bahdanau-one-way"), nowhere) is None


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_without_positions_shuffling_a_source_changes_nothing(norm: str) -> None:
    network = build(f"transformer-none-{norm}", dtype=torch.float32)
    assert permutation_difference(network, batch(), seeded()) < 1e-12


@pytest.mark.parametrize(
    "name",
    [f"transformer-{kind}-{norm}" for kind in ("sinusoidal", "learned", "rotary", "alibi") for norm in ("pre", "post")]
    + ["lstm-rnn-1-layers", "bahdanau-one-way"],
)
def test_otherwise_it_changes_something(name: str) -> None:
    network = build(name, dtype=torch.float32)
    assert permutation_difference(network, batch(), seeded()) > 1e-4
    same_tokens = batch(sources().clamp_max(3))
    assert permutation_difference(network, same_tokens, seeded()) == 0


def test_the_difference_is_the_largest_of_a_probability_where_something_is_scored() -> None:
    network, whole = build("transformer-learned-pre"), batch()
    keys = torch.rand(whole.source.shape, generator=seeded())
    differences = []
    for row, length in enumerate(LENGTHS):
        one = whole.source[row : row + 1, :length]
        shuffled = one[:, keys[row, :length].argsort()]
        before, after = (network(s, whole.decoder_input[row : row + 1]).softmax(-1)[0] for s in (one, shuffled))
        differences.append((after - before).abs().amax(-1))
    largest = torch.stack(differences)  # (B, T)
    for scored in (whole.labels != IGNORE, largest == largest[0].min(), largest == largest.max()):
        labels = torch.full_like(whole.labels, IGNORE).masked_fill(scored, 3)
        found = permutation_difference(network, whole._replace(labels=labels), seeded())
        assert found == pytest.approx(largest[scored].max().item())
    assert 0 < largest[0].min() < largest.max() / 2 < 0.5


def test_shuffling_keeps_each_sources_tokens_and_leaves_padding_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Tensor] = []
    encode = LSTMNetwork.encode
    monkeypatch.setattr(LSTMNetwork, "encode", lambda self, source: read.append(source) or encode(self, source))
    network, long = build("lstm-one-way"), sources((30, 20, 1, 25))
    permutation_difference(network, batch(long), seeded())
    before, after = read
    assert torch.equal(before, long)
    assert torch.equal(after == PAD, long == PAD)
    assert torch.equal(after.sort(1).values, long.sort(1).values)
    assert (after != long).any(1).tolist() == [True, True, False, True]
    permutation_difference(network, batch(long), seeded(1))
    assert not torch.equal(read[3], after)


@pytest.mark.parametrize("name", KINDS)
def test_encoder_states_are_those_at_the_last_word_read(name: str) -> None:
    network, source = build(name), sources()
    states = encoder_states(network, source)
    for row, length in enumerate(LENGTHS):
        alone = encoder_states(network, source[row : row + 1, :length])
        torch.testing.assert_close(states[row : row + 1], alone, rtol=0, atol=1e-12)
    if isinstance(network, TransformerNetwork):
        cross = network.get_submodule("decoder.0.cross_attention")
        keys = network.encode(source).keys_values[0].key  # (B, h, S, d)
        rows, last = torch.arange(4), torch.tensor(LENGTHS) - 1
        torch.testing.assert_close(cross.keys_values(states.unsqueeze(1)).key[:, :, 0], keys[rows, :, last])  # type: ignore[operator]
        return
    if isinstance(network, EncoderOnlyTransformerNetwork):
        torch.testing.assert_close(states, network.encode(source).states[torch.arange(4), torch.tensor(LENGTHS) - 1])
        return
    if isinstance(network, DecoderOnlyTransformerNetwork):
        assert states.shape == (4, 2 * 8)  # key and value of the last word
        return
    encoded = network.encode(source) if name.startswith("decoder_only") else network.get_submodule("encoder")(source)
    top = [encoded.hidden[:, -1]] if "gru" in name or "rnn" in name else [encoded.hidden[:, -1], encoded.cell[:, -1]]
    torch.testing.assert_close(states, torch.cat(top, -1))


@pytest.mark.parametrize("name", KINDS)
def test_the_state_at_a_word_depends_on_all_words_that_the_network_sees_from_there(name: str) -> None:
    network, source, at = build(name), sources(), torch.tensor([3, 0, 0, 5])
    states = word_states(network, source, at)
    both_sides = isinstance(network, EncoderOnlyNetwork | TransformerNetwork) or getattr(network, "prefix", False)
    for row, (place, length) in enumerate(zip(at.tolist(), LENGTHS, strict=True)):
        seen = length if both_sides else place + 1
        alone = word_states(network, source[row : row + 1, :length], at[row : row + 1])
        torch.testing.assert_close(states[row : row + 1], alone, rtol=0, atol=1e-12)
        for changed in range(length):
            other = source.clone()
            other[row, changed] = 3 if source[row, changed] != 3 else 4
            same = torch.equal(word_states(network, other, at)[row], states[row])
            assert same == (changed >= seen)


def test_the_probe_finds_a_class_planted_in_the_state_and_none_in_noise() -> None:
    states, classes = torch.randn(800, 30, generator=seeded()), torch.randint(0, 4, (800,), generator=seeded(1))
    half = slice(0, 400), slice(400, 800)

    def accuracy(given: Tensor) -> float:
        predicted = ridge_predictions(given[half[0]], classes[half[0]], given[half[1]])
        return (predicted == classes[half[1]]).double().mean().item()

    assert accuracy(states) == pytest.approx(0.25, abs=0.08)
    # Tiny compared with the noise of other features, and far from zero: standardising finds it all the same.
    planted = torch.cat([100 * states, 7 + 1e-3 * torch.eye(4)[classes]], 1)
    assert accuracy(planted) == 1.0
    constant = torch.cat([planted, torch.ones(800, 2)], 1)
    assert accuracy(constant) == 1.0


def test_the_probe_is_ridge_regression() -> None:
    """The same by least squares over rows that penalise, with the intercept as a column of its own."""
    X, held_out = torch.randn(60, 5, generator=seeded()), torch.randn(500, 5, generator=seeded(1))
    classes = (X @ torch.randn(5, 3, generator=seeded(2)) + torch.randn(60, 3, generator=seeded(3))).argmax(-1)
    mean, deviation = X.double().mean(0).numpy(), X.double().std(0, correction=0).numpy()
    standard, standard_held_out = (X.numpy() - mean) / deviation, (held_out.numpy() - mean) / deviation
    penalties = np.hstack([math.sqrt(RIDGE * 60) * np.eye(5), np.zeros((5, 1))])
    rows = np.vstack([np.hstack([standard, np.ones((60, 1))]), penalties])
    W, *_ = np.linalg.lstsq(rows, np.vstack([np.eye(3)[classes.numpy()], np.zeros((5, 3))]), rcond=None)
    expected = (np.hstack([standard_held_out, np.ones((500, 1))]) @ W).argmax(-1)
    assert len(set(expected.tolist())) == 3
    assert ridge_predictions(X, classes, held_out).tolist() == expected.tolist()


def sentences(length: int = 6, *, rows: int = 400) -> tuple[Tensor, Tensor]:
    """Sources without padding, and the class of the word at position 1: which of three words it is."""
    source = torch.randint(3, SOURCE_VOCABULARY, (rows, length), generator=seeded(5))
    source[:, 1] = torch.randint(3, 6, (rows,), generator=seeded(6))
    return source, source[:, 1] - 3


def test_without_recurrent_weights_nothing_is_left_after_another_word() -> None:
    torch.manual_seed(0)
    source, classes = sentences()
    network = lstm(cell="rnn", bidirectional=False, hidden=16, embedding=16)
    with torch.no_grad():
        network.get_parameter("encoder.rnn.weight_hh_l0").zero_()
    first, *later = probe(network, source, classes)
    assert (first.words_read, first.n, first.accuracy) == (0, 200, 1.0)
    assert first.chance == classes[200:].bincount().max().item() / 200
    assert [p.words_read for p in later] == [1, 2, 3, 4]
    for p in later:
        assert p.accuracy == pytest.approx(1 / 3, abs=0.1)


@pytest.mark.parametrize("kind", ["bahdanau", "transformer"])
def test_a_probe_sees_no_later_word(kind: str) -> None:
    """Both encoders look ahead where they can; what comes next is in the state only once it is read."""
    torch.manual_seed(0)
    source, _ = sentences(5)
    classes = source[:, 4] % 2
    network: Network = randomised(bahdanau(hidden=16, embedding=16) if kind == "bahdanau" else transformer(width=16))
    *before, after = probe(network, source, classes)
    assert after.accuracy > 0.8
    for p in before:
        assert p.accuracy == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("head_width", [1, 8])
def test_score_statistics_are_those_of_the_networks_own_softmax(head_width: int, scaled: bool) -> None:
    found = score_statistics(head_width, scaled, seeded())
    generator = seeded()
    query = torch.randn(KEY_SETS, QUERIES, head_width, generator=generator).double()
    key = torch.randn(KEY_SETS, KEYS, head_width, generator=generator).double()

    def weights(offset: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return attention_weights(q, k, offset, scale=None if scaled else 1.0)

    pairs = query.flatten(0, 1), key.repeat_interleave(QUERIES, 0)
    zeros = torch.zeros(len(pairs[0]), KEYS, dtype=torch.float64)
    p = torch.vmap(weights)(zeros, *pairs)  # (queries, KEYS)
    jacobians = torch.vmap(torch.func.jacrev(weights))(zeros, *pairs)  # (queries, KEYS, KEYS)
    assert found.entropy == pytest.approx(-(p * p.log()).sum(-1).mean().item(), rel=1e-5)
    assert found.gradient_norm == pytest.approx(jacobians.flatten(1).norm(dim=1).mean().item(), rel=1e-5)


@pytest.mark.gpu
def test_the_reach_on_a_gpu_is_that_on_a_cpu() -> None:
    for name in ("lstm-lstm-2-layers", "bahdanau-parallel-2-layers", "transformer-sinusoidal-pre"):
        network, whole = build(name), batch()
        expected = gradient_reach(network, whole)
        found = gradient_reach(network.cuda(), whole.of(lambda part: part.cuda()))
        assert found == pytest.approx(expected, rel=1e-4)
