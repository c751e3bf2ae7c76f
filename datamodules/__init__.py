"""Data for the models: one batch type for every task and every model."""

from datamodules.language.data import LanguageData
from datamodules.synthetic import SyntheticData
from datamodules.translation import TranslationData

__all__ = ["LanguageData", "SyntheticData", "TranslationData"]
