"""Translation as a LightningDataModule: sentence pairs, cut into tokens, in batches of a token budget."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datamodules.batch import BOS, EOS, Batch, Example, collate, unscored
from datamodules.corpora import Corpus, ParallelText, find_data_dir, load_corpus
from datamodules.sampler import TokenBucketBatchSampler, rank_and_world
from datamodules.subword_tokenizer import SentencePieceTokenizer, cached_sentencepiece
from datamodules.tokenizer import Tokenizer, TokenizerSettings


class TranslationExamples(Dataset[Example]):
    """Pairs of id sequences: the source ends with EOS, the decoder is fed BOS + target and asked for target + EOS.

    Args:
        sources: Source ids of each pair, without BOS and EOS.
        targets: Target ids of each pair, without BOS and EOS.
    """

    def __init__(self, sources: Sequence[list[int]], targets: Sequence[list[int]]) -> None:
        self.sources = rows([[*ids, EOS] for ids in sources])
        self.targets = rows([[BOS, *ids, EOS] for ids in targets])
        # (N, 2), as the network sees them: S counts EOS, T either BOS or EOS
        self.lengths = np.array([(len(s), len(t) - 1) for s, t in zip(self.sources, self.targets, strict=True)])

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, index: int) -> Example:
        target = self.targets[index]
        return Example(self.sources[index], target[:-1], target[1:], index)


class ResumableLoader(DataLoader):
    """Goes on with the next batch where a checkpoint was taken within an epoch.

    Lightning keeps this state in its checkpoints; without it a resumed run would train on the epoch's first batches
    again and never on its last.
    """

    taken = 0
    skipped = 0

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        self.taken, self.skipped = self.skipped, 0
        for batch in islice(super().__iter__(), self.taken, None):
            self.taken += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        return {"taken": self.taken % len(self)}  # after a whole epoch the next begins at its start

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.skipped = state_dict["taken"]


def collate_unscored(examples: Sequence[Example]) -> Batch:
    return unscored(collate(examples))


def rows(sequences: Sequence[list[int]]) -> Sequence[Tensor]:
    """Views into one tensor: one allocation for all sequences, and cheap to hand to another process."""
    flat = torch.tensor([i for ids in sequences for i in ids])
    return flat.split([len(ids) for ids in sequences])


def build_tokenizers(
    texts: Sequence[Sequence[str]], languages: Sequence[str], settings: TokenizerSettings, cache_dir: Path
) -> list[Tokenizer]:
    """Learn one tokeniser for each language from its training sentences.

    With `settings.joint` they share one vocabulary, learnt from all texts together.

    Raises:
        ValueError: `settings.vocab_size` does not suit the texts.
    """
    if settings.kind == "word":
        from datamodules.word_tokenizer import build_word_tokenizers  # torchtext is needed nowhere else

        return [*build_word_tokenizers(texts, languages, settings)]
    if settings.joint:
        joint = SentencePieceTokenizer(cached_sentencepiece([s for text in texts for s in text], settings, cache_dir))
        return [joint for _ in languages]
    return [SentencePieceTokenizer(cached_sentencepiece(text, settings, cache_dir)) for text in texts]


class TranslationData(L.LightningDataModule):
    """Sentence pairs of a corpus as batches; text and tokeniser are read when first needed.

    Args:
        corpus: Which sentence pairs.
        tokenizer: How text is cut into tokens.
        max_tokens: Budget of one training batch on one device: rows x longest row, padding included.
        max_length: Training pairs with more tokens than this on either side are left out and counted; sentences to
            be evaluated are always kept whole.
        seed: Order of the training batches.
        data_dir: Folder of downloaded corpora; by default the environment's DATA_DIR, else `data`.
        cache_dir: Folder of trained tokenisers.
    """

    def __init__(
        self,
        corpus: Corpus = Corpus(),  # noqa: B008, the command line shows its fields as defaults
        tokenizer: TokenizerSettings = TokenizerSettings(),  # noqa: B008
        max_tokens: int = 2500,
        max_length: int = 128,
        seed: int = 0,
        data_dir: str | None = None,
        cache_dir: str = ".cache",
    ) -> None:
        super().__init__()
        self.corpus, self.tokenizer = corpus, tokenizer
        self.max_tokens, self.max_length, self.seed = max_tokens, max_length, seed
        self.data_dir, self.cache_dir = find_data_dir(data_dir), Path(cache_dir)
        self._texts: dict[str, ParallelText] = {}
        self._tokenizers: list[Tokenizer] = []
        self._examples: dict[str, TranslationExamples] = {}

    def prepare(self) -> None:
        """Read the corpus and train, or find in the cache, its tokenisers; further calls do nothing.

        Raises:
            FileNotFoundError: the corpus is not in the data folder.
            ValueError: a file or a setting is wrong.
        """
        if self._tokenizers:
            return
        texts = load_corpus(self.corpus, self.data_dir)
        languages = (self.corpus.source_language, self.corpus.target_language)
        train = texts["train"]
        self._tokenizers = build_tokenizers((train.source, train.target), languages, self.tokenizer, self.cache_dir)
        self._texts = texts

    def setup(self, stage: str) -> None:
        self.prepare()

    def text(self, split: str) -> ParallelText:
        """Raw sentences of a split; the n-th is the example with id n, except for `train`, which leaves some out."""
        self.prepare()
        return self._texts[split]

    @property
    def test_sets(self) -> list[str]:
        """Names of the test sets, in the corpus's order."""
        self.prepare()
        return [split for split in self._texts if split not in ("train", "val")]

    @property
    def source_tokenizer(self) -> Tokenizer:
        self.prepare()
        return self._tokenizers[0]

    @property
    def target_tokenizer(self) -> Tokenizer:
        self.prepare()
        return self._tokenizers[1]

    @property
    def source_vocab_size(self) -> int:
        return len(self.source_tokenizer)

    @property
    def target_vocab_size(self) -> int:
        return len(self.target_tokenizer)

    @property
    def shared_vocabulary(self) -> bool:
        """Whether an id means the same token in source and target."""
        return self.tokenizer.joint

    def examples(self, split: str) -> TranslationExamples:
        """The encoded pairs of a split; of `train` without the pairs longer than `max_length`.

        Raises:
            ValueError: no training pair is short enough.
        """
        if split not in self._examples:
            text = self.text(split)
            sources = [self.source_tokenizer.encode(line) for line in text.source]
            targets = [self.target_tokenizer.encode(line) for line in text.target]
            if split == "train":
                sources, targets = self._leave_out_long(sources, targets)
            self._examples[split] = TranslationExamples(sources, targets)
        return self._examples[split]

    def _leave_out_long(
        self, sources: list[list[int]], targets: list[list[int]]
    ) -> tuple[list[list[int]], list[list[int]]]:
        kept = [(s, t) for s, t in zip(sources, targets, strict=True) if max(len(s), len(t)) <= self.max_length]
        if not kept:
            raise ValueError(f"data.max_length is {self.max_length} but every training pair is longer: raise it.")
        if len(kept) < len(sources):
            rank_zero_info(
                f"Left out {len(sources) - len(kept):,} of {len(sources):,} training pairs: longer than "
                f"data.max_length = {self.max_length} tokens."
            )
        return [s for s, _ in kept], [t for _, t in kept]

    def loader(self, split: str, max_tokens: int | None = None) -> DataLoader:
        """Batches of a split: `train` shuffled anew each epoch, others always in one order, shortest first.

        Each of several devices gets its share: of `train` the same number of batches as the others, of the other
        splits as many of those of one device as there are for it, or the first without anything to score.

        Args:
            split: `train`, `val` or one of `test_sets`.
            max_tokens: Budget of a batch if not that of training. A longer sentence to be evaluated gets its own batch.

        Raises:
            ValueError: a training pair is longer than the budget.
        """
        examples = self.examples(split)
        budget = max_tokens or self.max_tokens
        accumulate = self.trainer.accumulate_grad_batches if self.trainer else 1
        if split != "train":
            budget = max(budget, int(examples.lengths.max()))
        sampler = TokenBucketBatchSampler(examples.lengths, budget, self.seed, split == "train", accumulate)
        spare = split != "train" and rank_and_world()[0] >= len(sampler.plan(1))
        return ResumableLoader(
            examples,
            batch_sampler=sampler,
            collate_fn=collate_unscored if spare else collate,
            pin_memory=torch.cuda.is_available(),
        )

    def train_dataloader(self) -> DataLoader:
        return self.loader("train")

    def val_dataloader(self) -> DataLoader:
        return self.loader("val")
