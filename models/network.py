"""The interface of every network: encode a source, decode a whole target, or decode one step from an explicit state.

B batch, S source length, T target length, D width of the decoder's features, V target vocabulary.
"""

from abc import ABC, abstractmethod
from typing import Any, TypeVar

from torch import Tensor, nn

from models.embedding import PAD

Tree = TypeVar("Tree")


class Network(nn.Module, ABC):
    """An encoder and a decoder, or one stack that is both; takes and returns its state, stores none on the module.

    `advance` runs any number of target tokens; `decode` is a whole teacher-forced target at once (training), `start`
    and `step` are one token at a time (search). Memory is the encoded source, constant during decoding; State changes
    at each step. Both are tensors or None, or nested tuples of them, with B first, so that `select_rows` works for all.
    """

    pad_id = PAD
    output: nn.Linear

    @abstractmethod
    def encode(self, source: Tensor, padded: bool = True) -> Any:
        """(B, S) token ids padded on the right -> Memory; not `padded`: every row is known to have S tokens."""

    def start(self, memory: Any) -> Any:
        """The State before the first token: the Memory, unless a network says otherwise."""
        return memory

    @abstractmethod
    def advance(self, tokens: Tensor, memory: Any, state: Any) -> tuple[Tensor, Any]:
        """(B, T) token ids from a State -> (B, T, D) features and the next State.

        Position t depends on tokens 0 .. t alone.
        """

    def decode(self, memory: Any, decoder_input: Tensor) -> Tensor:
        """Memory and (B, T) token ids -> (B, T, D) features of a whole target."""
        return self.advance(decoder_input, memory, self.start(memory))[0]

    def step(self, token: Tensor, memory: Any, state: Any) -> tuple[Tensor, Any]:
        """One token per row (B,) -> (B, D) features and the next State."""
        features, state = self.advance(token.unsqueeze(1), memory, state)
        return features.squeeze(1), state

    def project(self, features: Tensor) -> Tensor:
        """(..., D) features -> (..., V) logits; separate from `decode`, so that only scored positions are projected."""
        return self.output(features)

    def attention(self, memory: Any, decoder_input: Tensor) -> dict[str, Tensor]:
        """Attention weights from target to source by layer, each (B, heads, T, S); empty without attention."""
        return {}

    def every_attention(self, source: Tensor, decoder_input: Tensor) -> dict[str, Tensor]:
        """All attention weights for (B, S) and (B, T) token ids, by name: (B, heads, queries, keys), rows sum to 1.

        Names begin with `encoder` for source to source and with `decoder` for target to target; all others are target
        to source. Networks with self-attention override this. Where one stack reads both, a target token's weights on
        source and target sum to 1 together.
        """
        return self.attention(self.encode(source), decoder_input)

    def forward(self, source: Tensor, decoder_input: Tensor) -> Tensor:
        """(B, S) source and (B, T) decoder input -> (B, T, V) teacher-forced logits."""
        return self.project(self.decode(self.encode(source), decoder_input))


def select_rows(tree: Tree, rows: Tensor) -> Tree:
    """Index the first axis of every tensor in a Memory or State; rows (R,) may repeat and reorder."""
    if tree is None:
        return tree
    if isinstance(tree, Tensor):
        return tree.index_select(0, rows)  # type: ignore[return-value]
    assert isinstance(tree, tuple)
    picked = (select_rows(branch, rows) for branch in tree)
    return type(tree)(*picked) if hasattr(tree, "_fields") else tuple(picked)  # type: ignore[return-value]
