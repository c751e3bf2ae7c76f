"""What the models are fed: every task, one batch type, shared by all models."""

from datamodules.synthetic import SyntheticData
from datamodules.translation import TranslationData

__all__ = ["SyntheticData", "TranslationData"]
