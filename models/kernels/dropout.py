"""Dropout that draws few random bits on a CPU."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Dropout(nn.Module):
    """Zero elements with probability p and scale the others by 1 / (1 - p) (Srivastava et al. 2014).

    One random number per element would take a large part of a small Transformer's step on a CPU. Here eight elements
    share a 64-bit draw (1 % of a step): p is rounded to a multiple of 1/256, and the scale uses the rounded value, so
    that the expectation is that of the input. The scale is in 32 bits whatever the input, and only the product is
    rounded: in bfloat16 the scale itself would be .3 % too small at p = .1. On other devices torch's own kernel runs.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"dropout is {p}; it must be at least 0 and below 1.")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        if not self.training or self.p == 0:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.p)
        dropped_of_256 = min(255, round(self.p * 256))
        draws = torch.empty((x.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
        keep = draws.view(torch.uint8)[: x.numel()].view(x.shape) >= dropped_of_256
        scale = 256 / (256 - dropped_of_256)
        return (x * (keep * scale)).to(x.dtype)
