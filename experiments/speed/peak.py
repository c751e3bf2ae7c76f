"""What the machine multiplies at best: the measure of how much of it a model uses."""

from functools import partial

import torch

from experiments.speed.timing import alternate
from models.kernels.matmul_backend import onednn_matmul

SIZES = {"cpu": (1024, 2048), "cuda": (4096, 8192)}
DTYPES = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16}
ROUNDS, SECONDS = 5, 0.1


def matmul_peak(precision: str, device: torch.device) -> float:
    """FLOP/s of the fastest block of a square matrix product in this precision."""
    dtype = DTYPES[precision]
    best = 0.0
    for size in SIZES[device.type]:
        a, b = (torch.randn(size, size, dtype=dtype, device=device) for _ in range(2))
        with onednn_matmul(precision == "32-true"):
            seconds = alternate({"product": partial(torch.matmul, a, b)}, ROUNDS, SECONDS, device)["product"]
        best = max(best, 2 * size**3 / min(seconds))
    return best
