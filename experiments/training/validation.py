"""BLEU on the validation set, measured while a model trains."""

from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from datamodules import TranslationData
from datamodules.batch import Batch
from experiments.training.decode import Translation, bleu, gather, translate_batch
from models import Seq2SeqModule
from models.search import Decoding


class ValidationBLEU(Callback):
    """Greedy BLEU on the validation set, each example once however many devices there are.

    Args:
        data: Where the text is.
        decoding: Search settings; greedy whatever its beam size, because validation is frequent.
        limit: Validation sentences to decode, the first of the corpus.
    """

    def __init__(self, data: TranslationData, decoding: Decoding, limit: int) -> None:
        self.data, self.limit = data, limit
        self.decoding = Decoding(1, decoding.length_penalty, decoding.length_factor, decoding.length_margin)
        self._translations: list[Translation] = []

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        module: L.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        assert isinstance(module, Seq2SeqModule)
        wanted = batch.ids < self.limit
        if wanted.any():
            with torch.autocast(module.device.type, enabled=False):
                source, ids = batch.source[wanted], batch.ids[wanted]
                self._translations += translate_batch(module.network, source, ids, self.data, self.decoding)

    def on_validation_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        translations = gather(self._translations)
        self._translations = []
        references = self.data.text("val").target
        hypotheses = [t.hypothesis for t in translations]
        score = bleu(hypotheses, [references[t.id] for t in translations], self.data.corpus.target_language)
        module.log("val/bleu", score, reduce_fx="max", sync_dist=True)  # all have the same
