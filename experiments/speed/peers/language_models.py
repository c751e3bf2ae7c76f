"""Language models as others have them: GPT-2 of Hugging Face's transformers, and an LSTM as a tutorial writes it.

B batch, T length, V vocabulary.
"""

import torch
from torch import Tensor, nn


class GPT2(nn.Module):
    """`transformers.GPT2LMHeadModel` (Radford et al. 2019) at the size of ours, without dropout."""

    def __init__(self, vocabulary: int, width: int, heads: int, layers: int, context: int) -> None:
        super().__init__()
        from transformers import GPT2Config, GPT2LMHeadModel  # type: ignore[import-not-found]

        sizes = {"n_positions": context, "n_embd": width, "n_layer": layers, "n_head": heads}
        no_dropout = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
        ends = {"bos_token_id": None, "eos_token_id": None}
        self.model = GPT2LMHeadModel(GPT2Config(vocab_size=vocabulary, use_cache=False, **sizes, **no_dropout, **ends))

    def forward(self, source: Tensor, decoder_input: Tensor) -> Tensor:
        """(B, 0) and (B, T) token ids -> (B, T, V) logits."""
        logits: Tensor = self.model(input_ids=decoder_input).logits
        return logits


class PlainLSTM(nn.Module):
    """Embedding, `nn.LSTM` and a projection."""

    def __init__(self, vocabulary: int, embedding: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.lstm = nn.LSTM(embedding, hidden, layers, batch_first=True)
        self.output = nn.Linear(hidden, vocabulary)

    def forward(self, source: Tensor, decoder_input: Tensor) -> Tensor:
        """(B, 0) and (B, T) token ids -> (B, T, V) logits."""
        logits: Tensor = self.output(self.lstm(self.embedding(decoder_input))[0])
        return logits


class TextbookLSTM(nn.Module):
    """The same, one token after another through `nn.LSTMCell`."""

    def __init__(self, vocabulary: int, embedding: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.cells = nn.ModuleList(nn.LSTMCell(hidden if i else embedding, hidden) for i in range(layers))
        self.output = nn.Linear(hidden, vocabulary)

    def forward(self, source: Tensor, decoder_input: Tensor) -> Tensor:
        """(B, 0) and (B, T) token ids -> (B, T, V) logits."""
        states: list[tuple[Tensor, Tensor] | None] = [None for _ in self.cells]
        logits = []
        for token in decoder_input.unbind(1):
            x = self.embedding(token)
            for i, cell in enumerate(self.cells):
                states[i] = cell(x, states[i])
                x = states[i][0]  # type: ignore[index]
            logits.append(self.output(x))
        return torch.stack(logits, dim=1)
