"""What a GPU computes with, the same for every network."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def use_equal_kernels() -> None:
    """Exact single-precision products in recurrent kernels too, and no attention kernel that plans for each new shape.

    torch multiplies in TF32 inside cuDNN's recurrent kernels unless told otherwise, and exactly in matrix products.
    cuDNN's attention kernel builds a plan for every new shape, which made the first epoch of the Transformer four times
    as slow as the others on an H100, and its backward pass can be NaN with a mask (pytorch#196678).
    """
    torch.backends.cudnn.rnn.fp32_precision = "ieee"  # type: ignore[attr-defined]
    torch.backends.cuda.enable_cudnn_sdp(False)
    # The weights of one layer (`models.kernels.padded_rnn`) are put together at every step, in any precision.
    warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous chunk")


@contextmanager
def without_cudnn() -> Iterator[None]:
    """torch's own recurrent kernels; `cudnn.flags` cannot be used once a precision is set by kernel (torch 2.13)."""
    before = torch.backends.cudnn.enabled
    torch.backends.cudnn.enabled = False
    try:
        yield
    finally:
        torch.backends.cudnn.enabled = before
