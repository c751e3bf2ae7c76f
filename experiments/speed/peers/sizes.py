"""The compared systems and what is equal for all: sizes, data, optimisation, search."""

from typing import Any

from datamodules import TranslationData
from datamodules.corpora import Corpus
from datamodules.tokenizer import TokenizerSettings
from models import BahdanauSeq2Seq, Seq2SeqModule, TransformerSeq2Seq
from models.bahdanau import BahdanauSettings
from models.lightning_modules import Optimisation
from models.search import Decoding
from models.transformer import TransformerSettings

TASK = "peers-multi30k-en-de"
TEST_SET = "test2016"
SOURCE, TARGET = "en", "de"
DROPOUT = 0.3

# By model, ours first. A ratio is ours over JoeyNMT's 32-bit variant with the same dropout. JoeyNMT runs as its users
# start it; `joeynmt-settings` is JoeyNMT in the environment of this suite's own runs: freed memory is kept, and 32-bit
# products go to oneDNN.
SYSTEMS = {
    "transformer": ("fp32", "bf16", "joeynmt", "joeynmt-settings", "torch", "fp32-dropout0", "joeynmt-dropout0"),
    "bahdanau": ("fp32", "bf16", "joeynmt", "joeynmt-settings", "textbook"),
}
# Differences of JoeyNMT's models that cannot be switched off there. Without dropout both are timed as well.
DIFFERS = {
    "transformer": "no bias in the output layer; drops attention weights and inner feed-forward units too",
    "bahdanau": "attends with the new state; readout without the word, one bridge layer, no bias in the output layer",
}
OPTIMISATION = Optimisation(learning_rate=2e-3, schedule="inverse_square_root", warmup_steps=200, label_smoothing=0.1)
GRADIENT_CLIP = 1.0
# JoeyNMT's rule for the longest hypothesis; it takes the longest source of a batch, we take each source's own.
DECODING = Decoding(beam_size=5, length_penalty=1.0, length_factor=1.5, length_margin=0)
SEED = 0


def transformer(dropout: float) -> TransformerSettings:
    """Transformer-Tiny of Wu et al. 2021 (arXiv 2105.14462), 4 + 4 layers."""
    return TransformerSettings(
        width=128, heads=4, feed_forward=256, encoder_layers=4, decoder_layers=4, dropout=dropout, norm="pre", tied=True
    )


def bahdanau(dropout: float) -> BahdanauSettings:
    """One layer, the encoder bidirectional with half the width each way; the context enters the cell."""
    return BahdanauSettings(
        embedding=256, hidden=256, layers=1, bidirectional=True, dropout=dropout, routing="input_feeding", tied=True
    )


def dropout_of(variant: str) -> float:
    return 0.0 if variant.endswith("-dropout0") else DROPOUT


def network(model: str, dropout: float) -> TransformerSettings | BahdanauSettings:
    return transformer(dropout) if model == "transformer" else bahdanau(dropout)


def common(data: TranslationData) -> dict[str, Any]:
    """The arguments of our modules but for their sizes."""
    return {
        "source_vocabulary": data.source_vocab_size,
        "target_vocabulary": data.target_vocab_size,
        "shared_vocabulary": data.shared_vocabulary,
        "optimisation": OPTIMISATION,
    }


def build(model: str, dropout: float, data: TranslationData) -> Seq2SeqModule:
    """Our module."""
    if model == "transformer":
        return TransformerSeq2Seq(transformer(dropout), **common(data))
    return BahdanauSeq2Seq(bahdanau(dropout), **common(data))


def multi30k() -> TranslationData:
    """29,000 captions, one SentencePiece vocabulary of 6,000 for both languages, 2,500 tokens a batch."""
    return TranslationData(
        Corpus(name="multi30k", source_language=SOURCE, target_language=TARGET),
        TokenizerSettings(kind="bpe", vocab_size=6000, joint=True),
        max_tokens=2500,
        max_length=128,
    )
