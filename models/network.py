"""What every network can do: encode a source, decode a whole target, or decode one step from an explicit state.

B batch, S source length, T target length, D width of the decoder's features, V target vocabulary.
"""

from abc import ABC, abstractmethod
from typing import Any, TypeVar

from torch import Tensor, nn

Tree = TypeVar("Tree")


class Network(nn.Module, ABC):
    """An encoder-decoder whose state goes in and comes out and is never kept on the module.

    Two ways of decoding give the same features: `decode` runs a whole teacher-forced target at once (training),
    `start` and `step` run one token at a time (search). `Memory` is what the encoder leaves behind, fixed for a
    source; `State` is what changes from step to step. Both are tensors, or tuples of them, with B first, so that
    search can pick and drop rows of any network with `select_rows`.
    """

    pad_id: int

    @abstractmethod
    def encode(self, source: Tensor) -> Any:
        """(B, S) token ids padded on the right -> Memory."""

    @abstractmethod
    def decode(self, memory: Any, decoder_input: Tensor) -> Tensor:
        """Memory and (B, T) token ids -> (B, T, D) features. Position t sees the decoder input up to t."""

    @abstractmethod
    def start(self, memory: Any) -> Any:
        """The State before the first token."""

    @abstractmethod
    def step(self, token: Tensor, memory: Any, state: Any) -> tuple[Tensor, Any]:
        """One token a row (B,) -> (B, D) features and the next State."""

    @abstractmethod
    def project(self, features: Tensor) -> Tensor:
        """(..., D) features -> (..., V) logits. Apart from `decode`, so that only scored positions are projected."""

    @abstractmethod
    def attention(self, memory: Any, decoder_input: Tensor) -> dict[str, Tensor]:
        """Attention weights from target to source by layer, each (B, heads, T, S); empty where there is none."""

    def every_attention(self, source: Tensor, decoder_input: Tensor) -> dict[str, Tensor]:
        """All attention weights for (B, S) and (B, T) token ids: (B, heads, queries, keys) by name, a row adds up to 1.

        A name begins with what attends to what: `encoder` source to source, `decoder` target to target, anything else
        target to source. Networks with self-attention override this.
        """
        return self.attention(self.encode(source), decoder_input)

    def forward(self, source: Tensor, decoder_input: Tensor) -> Tensor:
        """(B, S) source and (B, T) decoder input -> (B, T, V) logits, teacher forced."""
        return self.project(self.decode(self.encode(source), decoder_input))


def select_rows(tree: Tree, rows: Tensor) -> Tree:
    """Pick rows of the first axis of every tensor in a Memory or State; rows (R,) may repeat and reorder."""
    if isinstance(tree, Tensor):
        return tree.index_select(0, rows)  # type: ignore[return-value]
    assert isinstance(tree, tuple)
    picked = (select_rows(branch, rows) for branch in tree)
    return type(tree)(*picked) if hasattr(tree, "_fields") else tuple(picked)  # type: ignore[return-value]
