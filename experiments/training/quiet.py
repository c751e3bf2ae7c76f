"""Silence what Lightning says at every run and nobody can act on."""

import logging
import warnings


class _NoTips(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return "💡" not in record.getMessage() and "Tip:" not in record.getMessage()


def quiet() -> None:
    """Filter Lightning's tips and device banners, and warnings that its own code raises."""
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.rank_zero"):
        logger = logging.getLogger(name)
        logger.addFilter(_NoTips())
        logger.setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
    warnings.filterwarnings("ignore", message=".*returned a view tensor.*")  # FSDP, of what is never changed in place
