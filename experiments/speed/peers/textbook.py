"""Both models as they are commonly written, not optimised, on our batches.

B batch, S source length, T target length, E embedding, H hidden, D model width, V vocabulary.
"""

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.batch import IGNORE, PAD, Batch
from models.bahdanau import BahdanauSettings
from models.transformer import TransformerSettings


class TorchTransformer(nn.Module):
    """`torch.nn.Transformer` between a shared embedding and its transpose, with sinusoidal positions."""

    def __init__(self, vocabulary: int, settings: TransformerSettings) -> None:
        super().__init__()
        D = settings.width
        self.width = D
        self.embedding = nn.Embedding(vocabulary, D, padding_idx=PAD)
        nn.init.normal_(self.embedding.weight, std=D**-0.5)
        self.dropout = nn.Dropout(settings.dropout)
        self.transformer = nn.Transformer(
            D,
            settings.heads,
            settings.encoder_layers,
            settings.decoder_layers,
            settings.feed_forward,
            settings.dropout,
            batch_first=True,
        )
        self.output = nn.Linear(D, vocabulary)
        self.output.weight = self.embedding.weight

    def forward(self, source: Tensor, decoder_input: Tensor) -> Tensor:
        """(B, S) and (B, T) token ids -> (B, T, V) logits."""
        source_padding, target_padding = source == PAD, decoder_input == PAD
        T = decoder_input.shape[1]
        future = torch.ones(T, T, dtype=torch.bool, device=source.device).triu(1)
        decoded = self.transformer(
            self.embed(source),
            self.embed(decoder_input),
            tgt_mask=future,
            src_key_padding_mask=source_padding,
            tgt_key_padding_mask=target_padding,
            memory_key_padding_mask=source_padding,
        )
        logits: Tensor = self.output(decoded)
        return logits

    def embed(self, tokens: Tensor) -> Tensor:
        embedded = self.embedding(tokens) * math.sqrt(self.width)
        dropped: Tensor = self.dropout(embedded + sinusoids(tokens.shape[1], self.width).to(embedded))
        return dropped


def sinusoids(length: int, width: int) -> Tensor:
    """(length, width): Vaswani et al. 2017, section 3.5."""
    angles = torch.arange(length).unsqueeze(1) * torch.exp(torch.arange(0, width, 2) * (-math.log(10000) / width))
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


class TextbookBahdanau(nn.Module):
    """Bahdanau et al. 2015 as a tutorial has it: one target word after another, everything inside the loop."""

    def __init__(self, vocabulary: int, settings: BahdanauSettings) -> None:
        super().__init__()
        E, H = settings.embedding, settings.hidden
        self.embedding = nn.Embedding(vocabulary, E, padding_idx=PAD)
        nn.init.normal_(self.embedding.weight, std=E**-0.5)
        self.encoder = nn.LSTM(E, H // 2, batch_first=True, bidirectional=True)
        self.bridge_hidden, self.bridge_cell = nn.Linear(H, H), nn.Linear(H, H)
        self.query, self.key, self.energy = nn.Linear(H, H), nn.Linear(H, H), nn.Linear(H, 1)
        self.cell = nn.LSTMCell(E + H, H)
        self.readout = nn.Linear(H + H + E, E)
        self.output = nn.Linear(E, vocabulary)
        self.output.weight = self.embedding.weight
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, source: Tensor, decoder_input: Tensor) -> Tensor:
        """(B, S) and (B, T) token ids -> (B, T, V) logits."""
        padding = source == PAD
        annotations, (hidden, cell) = self.encoder(self.dropout(self.embedding(source)))  # (B, S, H)
        hidden = torch.tanh(self.bridge_hidden(torch.cat([hidden[0], hidden[1]], dim=-1)))  # (B, H)
        cell = torch.tanh(self.bridge_cell(torch.cat([cell[0], cell[1]], dim=-1)))
        logits = []
        for t in range(decoder_input.shape[1]):
            embedded = self.dropout(self.embedding(decoder_input[:, t]))  # (B, E)
            energy = self.energy(torch.tanh(self.query(hidden).unsqueeze(1) + self.key(annotations))).squeeze(-1)
            weights = F.softmax(energy.masked_fill(padding, -torch.inf), dim=-1)  # (B, S)
            context = torch.bmm(weights.unsqueeze(1), annotations).squeeze(1)  # (B, H)
            hidden, cell = self.cell(torch.cat([embedded, context], dim=-1), (hidden, cell))
            together = self.dropout(torch.cat([hidden, context, embedded], dim=-1))
            logits.append(self.output(torch.tanh(self.readout(together))))  # (B, V)
        return torch.stack(logits, dim=1)


def training_loop(
    network: nn.Module, batches: Iterable[Batch], learning_rate: float, gradient_clip: float, smoothing: float = 0.1
) -> Iterator[Batch]:
    """A plain loop: cross-entropy over all positions, padding ignored; yields each batch when it is learnt."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=0.0)
    network.train()
    for batch in batches:
        logits = network(batch.source, batch.decoder_input)
        loss = F.cross_entropy(
            logits.flatten(0, 1), batch.labels.flatten(), ignore_index=IGNORE, label_smoothing=smoothing
        )
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), gradient_clip)
        optimiser.step()
        yield batch
