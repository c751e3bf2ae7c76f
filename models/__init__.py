"""The models compared: networks in plain torch, and the LightningModules around them."""

from models.lightning_modules import (
    BahdanauSeq2Seq,
    DecoderOnlyAttention,
    DecoderOnlyRecurrent,
    DecoderOnlyTransformer,
    EncoderOnlyRecurrent,
    EncoderOnlyTransformer,
    LSTMSeq2Seq,
    Seq2SeqModule,
    TransformerSeq2Seq,
)

__all__ = [
    "BahdanauSeq2Seq",
    "DecoderOnlyAttention",
    "DecoderOnlyRecurrent",
    "DecoderOnlyTransformer",
    "EncoderOnlyRecurrent",
    "EncoderOnlyTransformer",
    "LSTMSeq2Seq",
    "Seq2SeqModule",
    "TransformerSeq2Seq",
]
