"""The serial part of Bahdanau's decoder with a hand-written backward pass.

    e_tj = v . tanh(W_a s_{t-1} + U_a h_j),  alpha_t = softmax_j(e_tj),  c_t = sum_j alpha_tj h_j
    s_t = LSTM([E y_{t-1}; c_t], s_{t-1})

c_t depends on s_{t-1}, so target tokens are processed one after another (Bahdanau et al. 2015, section 3.1, equations 5
and 6; A.1.2). Autograd records some thirty small operations per step and accumulates every weight's gradient step by
step; here a backward step is a dozen operations, and each weight's gradient is one matrix product over all steps.
B batch, S source length, T target length, H hidden, A attention width.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class Weights(NamedTuple):
    """Weights used at every step.

    `attend` (A, H), `attend_bias` (A,) and `score` (A,) are W_a, its bias and v, doubled (see `AdditiveAttention`);
    `recurrent` (4H, 2H) multiplies [c_t; s_{t-1}], rows in the order input, forget, output, cell.
    """

    attend: Tensor
    attend_bias: Tensor
    score: Tensor
    recurrent: Tensor


class Step(NamedTuple):
    """Results of one step, for the next step and for the backward pass; (B, H) unless noted."""

    energy: Tensor | None  # (B, S, A), None where it is computed again
    alpha: Tensor  # (B, S) attention weights
    joined: Tensor  # (B, 2H) [c_t; s_{t-1}]
    gates: Tensor  # (B, 4H) input, forget, output, cell after their nonlinearities
    cell: Tensor
    tanh_cell: Tensor
    state: Tensor


def energies(keys: Tensor, state: Tensor, weights: Weights) -> Tensor:
    """sigmoid(2 (W_a s_{t-1} + U_a h_j)): (B, S, A)."""
    query = torch.addmm(weights.attend_bias, state, weights.attend.t())  # (B, A)
    return torch.add(keys, query.unsqueeze(1)).sigmoid_()


def advance(
    word_gates: Tensor, annotations: Tensor, keys: Tensor, mask: Tensor, state: Tensor, cell: Tensor, weights: Weights
) -> Step:
    """One target token: attend to the source from s_{t-1}, then update the LSTM with the context.

    Args:
        word_gates: (B, 4H), the word's contribution to the gates, biases included.
        annotations: (B, S, H).
        keys: (B, S, A), 2 U_a h_j.
        mask: (B, S), 0 at source tokens and -inf at padding, in single precision.
        state: (B, H), s_{t-1}.
        cell: (B, H), in single precision whatever the precision of the products.
        weights: In the precision of the products.
    """
    H = state.shape[-1]
    energy = energies(keys, state, weights)
    alpha = torch.softmax(energy @ weights.score + mask, dim=-1)  # (B, S)
    context = torch.bmm(alpha.to(annotations.dtype).unsqueeze(1), annotations).squeeze(1)
    joined = torch.cat([context, state], dim=-1)
    gates = torch.addmm(word_gates, joined, weights.recurrent.t()).to(cell.dtype)
    gates[:, : 3 * H].sigmoid_()
    gates[:, 3 * H :].tanh_()
    i, f, o, g = gates.split(H, dim=-1)
    cell = torch.addcmul(f * cell, i, g)
    tanh_cell = torch.tanh(cell)
    return Step(energy, alpha, joined, gates, cell, tanh_cell, (o * tanh_cell).to(state.dtype))


class AttentionLoop(torch.autograd.Function):
    """All target tokens: states and contexts (B, T, H), attention (B, T, S), last state and cell (B, H).

    The energies are B x T x S x A numbers: at 1,024 tokens, 16 rows and width 512 the 17 GB are what fills a GPU. They
    are kept where that is faster, on a CPU, and computed again in the backward pass where arithmetic is cheap.
    """

    @staticmethod
    def forward(
        ctx: Any,
        word_gates: Tensor,
        annotations: Tensor,
        keys: Tensor,
        mask: Tensor,
        state: Tensor,
        cell: Tensor,
        keep: bool,
        *weights: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """word_gates (B, T, 4H); whether to keep the energies; others as in `advance`, `weights` those of `Weights`."""
        steps = []
        before, H = (state, cell), state.shape[-1]
        for gates in word_gates.unbind(1):
            step = advance(gates, annotations, keys, mask, *before, Weights(*weights))
            before = step.state, step.cell
            steps.append(step if keep else step._replace(energy=None))
        energy, alpha, joined, activated, cells, tanh_cells, states = zip(*steps, strict=True)
        joined_all, alpha_all = torch.stack(joined), torch.stack(alpha, 1)
        ctx.save_for_backward(annotations, keys, cell, *weights, joined_all, alpha_all)
        ctx.kept = energy, alpha, activated, cells, tanh_cells
        ctx.mark_non_differentiable(alpha_all)
        last = before[1].clone()  # an output kept on ctx would make a reference cycle
        return torch.stack(states, 1), joined_all[..., :H].transpose(0, 1), alpha_all, before[0], last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        d_states, d_contexts, _, d_state, d_cell = gradients
        annotations, keys, first_cell, *weights, joined, alpha_all = ctx.saved_tensors
        kept, alpha, gates, cells, tanh_cells = ctx.kept
        w = Weights(*weights)
        T, B, H, dtype = len(joined), len(first_cell), first_cell.shape[-1], joined.dtype
        d_gates, d_queries = first_cell.new_empty(T, B, 4 * H), joined.new_empty(T, B, len(w.score))
        d_context = joined.new_empty(T, B, H)
        # Sums over all T steps: never in bf16.
        d_keys, d_score = (torch.zeros_like(x, dtype=first_cell.dtype) for x in (keys, w.score))
        d_states, d_contexts = d_states.transpose(0, 1).contiguous(), d_contexts.transpose(0, 1).contiguous()
        d_state, d_cell = d_state + d_states[-1], d_cell.clone()
        for t in reversed(range(T)):
            cell_before = cells[t - 1] if t else first_cell
            d_gate, d_cell = _cell_backward(d_state, d_cell, gates[t], cell_before, tanh_cells[t], d_gates[t])
            d_joined = d_gate.to(dtype) @ w.recurrent  # (B, 2H)
            torch.add(d_joined[:, :H], d_contexts[t], out=d_context[t])
            d_alpha = torch.bmm(annotations, d_context[t].unsqueeze(-1)).squeeze(-1)
            d_scores = torch._softmax_backward_data(d_alpha.to(alpha[t].dtype), alpha[t], -1, alpha[t].dtype).to(dtype)
            energy = energies(keys, joined[t][:, H:], w) if kept[t] is None else kept[t]  # (B, S, A)
            d_score += d_scores.flatten() @ energy.flatten(0, 1)
            d_energy = torch.ops.aten.sigmoid_backward(d_scores.unsqueeze(-1) * w.score, energy)
            d_keys += d_energy
            torch.sum(d_energy, 1, out=d_queries[t])
            d_state = torch.addmm(d_joined[:, H:], d_queries[t], w.attend)
            if t:
                d_state += d_states[t - 1]
        flat_gates, flat_joined = d_gates.flatten(0, 1).to(dtype), joined.flatten(0, 1)
        flat_queries = d_queries.flatten(0, 1)
        d_weights = Weights(
            attend=flat_queries.t() @ flat_joined[:, H:],
            attend_bias=flat_queries.sum(0),
            score=d_score.to(dtype),
            recurrent=flat_gates.t() @ flat_joined,
        )
        d_annotations = torch.bmm(alpha_all.to(dtype).transpose(1, 2), d_context.transpose(0, 1))
        d_word_gates, d_keys = d_gates.transpose(0, 1).to(dtype), d_keys.to(dtype)
        return d_word_gates, d_annotations, d_keys, None, d_state, d_cell, None, *d_weights


def _cell_backward(
    d_state: Tensor, d_cell: Tensor, gates: Tensor, cell_before: Tensor, tanh_cell: Tensor, out: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of the gates before their nonlinearities (B, 4H), written to `out`, and of the previous cell (B, H)."""
    H = tanh_cell.shape[-1]
    i, f, o, g = gates.split(H, dim=-1)
    d_state = d_state.to(tanh_cell.dtype)
    d_cell = d_cell + torch.ops.aten.tanh_backward(d_state * o, tanh_cell)
    activated = torch.cat([d_cell * g, d_cell * cell_before, d_state * tanh_cell, d_cell * i], dim=-1)
    out[:, : 3 * H] = torch.ops.aten.sigmoid_backward(activated[:, : 3 * H], gates[:, : 3 * H])
    out[:, 3 * H :] = torch.ops.aten.tanh_backward(activated[:, 3 * H :], g)
    return out, d_cell * f
