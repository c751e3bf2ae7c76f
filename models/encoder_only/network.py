"""What encoder-only networks share: the state at a place of the source is the answer (Devlin et al. 2019, BERT).

    features of a decoder's input token = state of the source where it has this token; elsewhere the mean of all states

So one head serves for a masked word, asked for by the token that stands in its place, and for a whole sentence, asked
for by a token that is not in it; BERT reads a sentence from the state of a token of its own. Nothing is generated: an
answer depends on no other.
B batch, S source length, T target length, D width.
"""

from abc import abstractmethod
from typing import NamedTuple

from torch import Tensor

from models.network import Network


class States(NamedTuple):
    """The source's tokens (B, S) and a state for each (B, S, D)."""

    source: Tensor
    states: Tensor


class EncoderOnlyNetwork(Network):
    """States of the source, read at a place; subclasses say how they are made."""

    @abstractmethod
    def encode(self, source: Tensor, padded: bool = True) -> States:
        """(B, S) token ids -> a state for each."""

    def start(self, memory: States) -> tuple[()]:
        return ()

    def advance(self, tokens: Tensor, memory: States, state: tuple[()]) -> tuple[Tensor, tuple[()]]:
        """(B, T) token ids -> (B, T, D) features, each independent of the others."""
        return self.place(memory.source, tokens).to(memory.states.dtype) @ memory.states, state

    def place(self, source: Tensor, decoder_input: Tensor) -> Tensor:
        """Weights (B, T, S) of the states that each (B, T) token asks for; they sum to 1, or to 0 without a source.

        A place is asked for by its token, so only where source and target share their ids.
        """
        word = (source != self.pad_id).unsqueeze(1)  # (B, 1, S)
        here = (source.unsqueeze(1) == decoder_input.unsqueeze(2)) & word
        asked = here.where(here.any(2, keepdim=True), word)
        return asked / asked.sum(2, keepdim=True).clamp(min=1)
