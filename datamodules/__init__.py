"""Data for the models: one batch type for every task and every model."""

from datamodules.synthetic import SyntheticData
from datamodules.translation import TranslationData

__all__ = ["SyntheticData", "TranslationData"]
