"""The models compared: networks in plain torch, and the LightningModules around them."""

from models.decoder_only.lightning_modules import DecoderOnlyAttention, DecoderOnlyRecurrent, DecoderOnlyTransformer
from models.encoder_only.lightning_modules import EncoderOnlyRecurrent, EncoderOnlyTransformer
from models.lightning_modules import BahdanauSeq2Seq, LSTMSeq2Seq, Seq2SeqModule, TransformerSeq2Seq

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
