from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.bahdanau import AdditiveAttention, BahdanauMemory, BahdanauNetwork
from tests.support.toy_networks import PAD, bahdanau, decoder_inputs, randomised, sources

ROUTINGS = ["input_feeding", "parallel"]


def network(**settings: Any) -> BahdanauNetwork:
    torch.manual_seed(0)
    return randomised(bahdanau(**settings).double().eval())


def cell_by_hand(rnn: nn.RNNBase, layer: int = 0) -> nn.LSTMCell:
    weights = {n.removesuffix(f"_l{layer}"): p for n, p in rnn.named_parameters() if n.endswith(f"_l{layer}")}
    cell = nn.LSTMCell(weights["weight_ih"].shape[1], rnn.hidden_size, dtype=torch.float64)
    cell.load_state_dict(weights)
    return cell


def context_by_hand(ours: BahdanauNetwork, s: Tensor, annotations: Tensor) -> tuple[Tensor, Tensor]:
    """c_t and alpha_t of one decoder state (H,) and the annotations (S, H) of one source, nothing hoisted."""
    a = ours.additive
    energies = torch.stack([a.v @ torch.tanh(a.W_a(s) + a.U_a(h)) for h in annotations])
    alpha = torch.softmax(energies, 0)
    return sum(weight * h for weight, h in zip(alpha, annotations, strict=True)), alpha


def by_hand(ours: BahdanauNetwork, memory: BahdanauMemory, row: int, tokens: list[int]) -> tuple[Tensor, Tensor]:
    """The textbook loop over one sentence: (T, V) logits and (T, S) attention."""
    annotations = memory.annotations[row][memory.mask[row] == 0]
    first = cell_by_hand(ours.first)
    upper = [cell_by_hand(ours.upper, n) for n in range(ours.settings.layers - 1)] if ours.upper is not None else []
    states = [(memory.hidden[row, n], memory.cell[row, n]) for n in range(ours.settings.layers)]
    logits, weights = [], []
    for token in tokens:
        word = ours.embedding.weight[token] * ours.settings.embedding**0.5
        if ours.settings.routing == "input_feeding":
            context, alpha = context_by_hand(ours, states[0][0], annotations)
            states[0] = first(torch.cat([word, context]), states[0])
        else:
            states[0] = first(word, states[0])
            context, alpha = context_by_hand(ours, states[0][0], annotations)
        output = states[0][0]
        for n, cell in enumerate(upper, start=1):
            states[n] = cell(torch.cat([output, context]) if n == 1 else output, states[n])
            output = states[n][0]
        readout = torch.tanh(ours.readout(torch.cat([output, context, word])))
        logits.append(ours.output.weight @ readout + ours.output.bias)
        weights.append(alpha)
    return torch.stack(logits), torch.stack(weights)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("routing", ROUTINGS)
def test_the_network_equals_the_textbook_loop_from_any_state(routing: str, layers: int) -> None:
    ours, decoder_input = network(routing=routing, layers=layers), decoder_inputs()
    memory = ours.encode(sources())
    started = memory._replace(hidden=torch.randn(4, layers, 8).double(), cell=torch.randn(4, layers, 8).double())
    for begin in (memory, started):
        logits = ours.project(ours.decode(begin, decoder_input))
        weights = ours.attention(begin, decoder_input)["additive"]
        for row in range(4):
            tokens = decoder_input[row][decoder_input[row] != PAD].tolist()
            expected, alpha = by_hand(ours, begin, row, tokens)
            torch.testing.assert_close(logits[row, : len(tokens)], expected, rtol=0, atol=1e-6)
            torch.testing.assert_close(
                weights[row, 0, : len(tokens), : alpha.shape[1]].double(), alpha, rtol=0, atol=1e-6
            )
            assert alpha.std() > 1e-3 or alpha.shape[1] == 1


def test_the_context_enters_the_recurrence_with_input_feeding_only() -> None:
    token, changed = decoder_inputs()[:, 0], {}
    for routing in ROUTINGS:
        ours = network(routing=routing)
        memory = ours.encode(sources())
        others = memory._replace(annotations=-memory.annotations)
        _, state = ours.step(token, memory, ours.start(memory))
        _, other = ours.step(token, others, ours.start(others))
        changed[routing] = not torch.equal(state.hidden, other.hidden)
    assert changed == {"input_feeding": True, "parallel": False}


def test_the_softmax_and_the_cell_stay_in_single_precision() -> None:
    ours = network().float()
    with torch.autocast("cpu", torch.bfloat16):
        memory = ours.encode(sources())
        _, state = ours.step(decoder_inputs()[:, 0], memory, ours.start(memory))
        _, state = ours.step(decoder_inputs()[:, 1], memory, state)
        _, trained = ours.advance(decoder_inputs(), memory, ours.start(memory))
    assert state.cell.dtype == trained.cell.dtype == torch.float32
    attention = AdditiveAttention(4, 4, 4).bfloat16()
    keys = attention.keys(torch.randn(2, 5, 4).bfloat16())
    assert attention.weights(torch.randn(2, 4).bfloat16(), keys, torch.zeros(2, 5)).dtype == torch.float32
