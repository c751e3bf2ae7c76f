"""Position encodings of the Transformer: sinusoidal, learned, rotary, ALiBi and none.

Each kind does one of three things: it adds to the embeddings, rotates queries and keys, or biases attention scores.
B batch, h heads, T queries, S keys, D model width, d width of a head.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

PositionKind = Literal["sinusoidal", "learned", "rotary", "alibi", "none"]


class Positions(nn.Module):
    """No positions: self-attention then treats its input as a set. Each other kind overrides one method."""

    def forward(self, x: Tensor, start: int) -> Tensor:
        """Embeddings (B, T, D) of positions from `start` on, with what is added to them."""
        place = self.added(start, x.shape[1], x.device)
        return x if place is None else x + place

    def added(self, start: int, length: int, device: torch.device) -> Tensor | None:
        """(T, D), added to the embeddings of positions start .. start + length - 1."""
        return None

    def rotated(self, x: Tensor, start: int) -> Tensor:
        """Queries or keys (B, h, T, d) of positions start .. start + T - 1, rotated by their position."""
        return x

    def bias(self, queries: int, keys: int, device: torch.device) -> Tensor | None:
        """(1, h, T, S), added to self-attention scores; the last query is at the position of the last key."""
        return None


class Sinusoidal(Positions):
    """PE(t, 2i) = sin(t / 10000^(2i / D)), PE(t, 2i + 1) = cos(t / 10000^(2i / D)) (Vaswani et al. 2017, 3.5)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        if width % 2:
            raise ValueError(f"network.width is {width}; sinusoidal positions need an even number.")
        self.width = width

    def added(self, start: int, length: int, device: torch.device) -> Tensor:
        t = torch.arange(start, start + length, device=device).unsqueeze(1)  # (T, 1)
        frequency = 10000.0 ** (-torch.arange(0, self.width, 2, device=device) / self.width)  # (D/2,)
        angle = t * frequency  # (T, D/2)
        return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)  # (T, D)


class Learned(Positions):
    """One trained vector per position below `max_length` (Gehring et al. 2017, section 3.1).

    Source and target share them. They start with a norm of 1, where that of a token's embedding is sqrt(D). Negative
    positions, of a source before its target, have the last vectors of the table.
    """

    def __init__(self, width: int, max_length: int) -> None:
        super().__init__()
        self.table = nn.Embedding(max_length, width)
        nn.init.normal_(self.table.weight, std=width**-0.5)

    def added(self, start: int, length: int, device: torch.device) -> Tensor:
        self.check(max(-start, start + length), "a sequence")
        return self.table.weight[torch.arange(start, start + length, device=device)]

    def check(self, length: int, what: str) -> None:
        """Refuse what is longer than the table.

        Raises:
            ValueError: It is.
        """
        if length > self.table.num_embeddings:
            raise ValueError(
                f"{what} has up to {length} tokens, but model.init_args.network.max_length gives learned positions "
                f"only up to {self.table.num_embeddings}: set it to {length} or more, or choose other positions."
            )


class Rotary(Positions):
    """Rotate feature pair i by the angle t / 10000^(2i / d) (Su et al. 2021, section 3.2.2).

    The product of a query and a key then depends on their distance only.
    """

    def __init__(self, head_width: int) -> None:
        super().__init__()
        if head_width % 2:
            raise ValueError(
                f"A head is {head_width} wide (network.width / network.heads); rotary needs an even number."
            )
        self.head_width = head_width

    def rotated(self, x: Tensor, start: int) -> Tensor:
        t = torch.arange(start, start + x.shape[2], device=x.device).unsqueeze(1)  # (T, 1)
        frequency = 10000.0 ** (-torch.arange(0, self.head_width, 2, device=x.device) / self.head_width)  # (d/2,)
        cos, sin = (t * frequency).cos().to(x.dtype), (t * frequency).sin().to(x.dtype)  # (T, d/2)
        swapped = x.roll(self.head_width // 2, -1)  # a pair is feature i and feature i + d/2
        return x * torch.cat([cos, cos], dim=-1) + swapped * torch.cat([-sin, sin], dim=-1)


class ALiBi(Positions):
    """Subtract slope x distance from the scores, with one slope per head: 2^(-8/h), 2^(-16/h) .. (Press et al. 2022).

    The paper's model attends to the left only. Our encoder attends to both sides; with equal slopes it could not
    distinguish a source from its reverse. Slopes to the right are 1 / sqrt(2) of those to the left, so that no head
    mirrors another.
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def bias(self, queries: int, keys: int, device: torch.device) -> Tensor:
        i = torch.arange(keys - queries, keys, device=device).unsqueeze(1)  # (T, 1)
        back = i - torch.arange(keys, device=device)  # (T, S), negative where the key is to the right
        distance = torch.where(back < 0, -back * 0.5**0.5, back)
        # On the device: numbers that come from the host would be waited for.
        slopes = torch.exp2(torch.arange(1, self.heads + 1, dtype=torch.double, device=device) * (-8 / self.heads))
        return -slopes.float().view(1, -1, 1, 1) * distance  # (1, h, T, S): with three axes no fused kernel takes it


def positions(kind: PositionKind, *, width: int, heads: int, max_length: int) -> Positions:
    """The position encoding of that name."""
    match kind:
        case "sinusoidal":
            return Sinusoidal(width)
        case "learned":
            return Learned(width, max_length)
        case "rotary":
            return Rotary(width // heads)
        case "alibi":
            return ALiBi(heads)
        case "none":
            return Positions()
    raise ValueError(f"network.positions is {kind!r}; choose one of {', '.join(get_args(PositionKind))}.")
