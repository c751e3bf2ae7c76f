"""Translation as a LightningDataModule: tokenised sentence pairs in batches of a token budget."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch.utils.data import DataLoader

from datamodules.batch import BOS, EOS, IGNORE, PAD, Batch, Rows, unscored
from datamodules.corpora import Corpus, ParallelText, find_data_dir, load_corpus, test_sets, tidied_corpus
from datamodules.sampler import TokenBucketBatchSampler, rank_and_world
from datamodules.subword_tokenizer import SentencePieceTokenizer, cached_sentencepiece, fits
from datamodules.tokenizer import Tokenizer, TokenizerSettings

SHAPES = 24  # of a training batch on an accelerator


class TranslationExamples:
    """Pairs of id sequences: source + EOS, decoder input BOS + target, labels target + EOS.

    Args:
        sources: Source ids of each pair, without BOS and EOS.
        targets: Target ids of each pair, without BOS and EOS.
    """

    def __init__(self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> None:
        self._sources = Rows([[*ids, EOS] for ids in sources])
        self._targets = Rows([[BOS, *ids, EOS] for ids in targets])
        self.lengths = np.stack([self._sources.lengths, self._targets.lengths - 1], axis=1)  # (N, 2), EOS included

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, rows: Sequence[int], shape: tuple[int, int] | None = None) -> Batch:
        """Pairs, padded to their longest source and target or to a shape (S, T)."""
        lengths = self.lengths[rows]
        S, T = shape or lengths.max(0).tolist()
        return Batch(
            source=self._sources.padded(rows, PAD, S),
            decoder_input=self._targets.padded(rows, PAD, T, drop=1),
            labels=self._targets.padded(rows, IGNORE, T, skip=1),
            ids=torch.tensor(rows),
            padded=bool(lengths[:, 0].min() < S),
        )


class ResumableLoader(DataLoader):
    """Resumes after the last batch taken when a checkpoint was made within an epoch.

    Lightning's checkpoints hold this state; without it a resumed run would train on the epoch's first batches again and
    never on its last.
    """

    taken = 0
    skipped = 0

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        self.taken, self.skipped = self.skipped, 0
        for batch in islice(super().__iter__(), self.taken, None):
            self.taken += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        return {"taken": self.taken % len(self)}  # 0 after a whole epoch

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.skipped = state_dict["taken"]


def build_tokenizers(
    texts: Sequence[Sequence[str]], languages: Sequence[str], settings: TokenizerSettings, cache_dir: Path
) -> list[Tokenizer]:
    """One tokeniser for each language, trained on its sentences; `settings.joint` gives all one vocabulary.

    Raises:
        ValueError: `settings.vocab_size` does not fit the texts.
    """
    if settings.kind == "word":
        from datamodules.word_tokenizer import build_word_tokenizers  # torchtext only if needed

        return [*build_word_tokenizers(texts, languages, settings)]
    if settings.joint:
        joint = SentencePieceTokenizer(cached_sentencepiece([s for text in texts for s in text], settings, cache_dir))
        return [joint for _ in languages]
    return [SentencePieceTokenizer(cached_sentencepiece(text, settings, cache_dir)) for text in texts]


def load_tokenizers(folder: Path, languages: Sequence[str], settings: TokenizerSettings) -> list[Tokenizer]:
    """The tokenisers that were kept in a folder, one for each language.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file holds something else.
    """
    found: list[Tokenizer] = []
    for path, language in zip((folder / name for name in tokenizer_files(settings)), languages, strict=True):
        if not path.is_file():
            raise FileNotFoundError(f"{path} is not there, without which the model knows no text: train its run again.")
        if settings.kind == "word":
            from datamodules.word_tokenizer import read_word_tokenizer

            found.append(read_word_tokenizer(path, language))
        elif fits(content := path.read_bytes(), settings.vocab_size):
            found.append(SentencePieceTokenizer(content))
        else:
            raise ValueError(f"{path} is not the tokeniser that was kept there: train its run again.")
    return found


def tokenizer_files(settings: TokenizerSettings) -> list[str]:
    """Names of the files of the source's and the target's tokeniser: one file if both are the same."""
    sides = ("joint", "joint") if settings.joint else ("source", "target")
    return [f"{side}.{'json' if settings.kind == 'word' else 'model'}" for side in sides]


class TranslationData(L.LightningDataModule):
    """Batches of the sentence pairs of a corpus; text and tokenisers are loaded on first use.

    Args:
        corpus: The sentence pairs.
        tokenizer: How text is split into tokens.
        max_tokens: Budget of a training batch on one device: rows x longest row, padding included.
        max_length: Training pairs with more tokens on either side are left out; validation and test sentences never.
        seed: Order of the training batches.
        data_dir: Folder of downloaded corpora; by default the environment's DATA_DIR, else `data`.
        cache_dir: Folder of what is made once: trained tokenisers, the embedded corpus.
        tokenizers: Folder of a trained model's tokenisers; by default they are trained on the corpus.
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
        tokenizers: str | None = None,
    ) -> None:
        super().__init__()
        self.corpus, self.tokenizer = corpus, tokenizer
        self.max_tokens, self.max_length, self.seed = max_tokens, max_length, seed
        self.data_dir, self.cache_dir = find_data_dir(data_dir), Path(cache_dir)
        self.kept = Path(tokenizers) if tokenizers else None
        self.notes: list[str] = []  # what was changed in the text, and what was left out
        self._texts: dict[str, ParallelText] = {}
        self._examples: dict[str, TranslationExamples] = {}

    def provide(self, split: str, text: ParallelText) -> None:
        """Take these as the sentences of a split, in place of the corpus's own."""
        self._texts[split] = text

    def text(self, split: str) -> ParallelText:
        """Raw sentences of a split; the n-th has example id n, except in `train`, where long pairs are left out.

        Raises:
            FileNotFoundError: the corpus is not in the data folder.
            ValueError: a file or a setting is wrong.
        """
        if split not in self._texts:
            texts, self.notes = tidied_corpus(load_corpus(self.corpus, self.data_dir, self.cache_dir))
            self._texts = texts | self._texts
        return self._texts[split]

    @property
    def test_sets(self) -> list[str]:
        """Names of the test sets, in the corpus's order."""
        return test_sets(self.corpus)

    @cached_property
    def tokenizers(self) -> list[Tokenizer]:
        """Of source and target; raises as `text` does."""
        languages = (self.corpus.source_language, self.corpus.target_language)
        if self.kept:
            return load_tokenizers(self.kept, languages, self.tokenizer)
        train = self.text("train")
        return build_tokenizers((train.source, train.target), languages, self.tokenizer, self.cache_dir)

    def serialised_tokenizers(self) -> dict[str, bytes]:
        """What `load_tokenizers` reads, by file name."""
        names = tokenizer_files(self.tokenizer)
        return {name: one.serialised() for name, one in zip(names, self.tokenizers, strict=True)}

    def also_trained_on(self, test_set: str) -> int:
        """Pairs of a test set that are training pairs too, word for word."""
        trained = set(self.text("train").pairs)
        return sum(pair in trained for pair in self.text(test_set).pairs)

    @property
    def source_tokenizer(self) -> Tokenizer:
        return self.tokenizers[0]

    @property
    def target_tokenizer(self) -> Tokenizer:
        return self.tokenizers[1]

    @property
    def source_vocab_size(self) -> int:
        return len(self.source_tokenizer)

    @property
    def target_vocab_size(self) -> int:
        return len(self.target_tokenizer)

    @property
    def shared_vocabulary(self) -> bool:
        """Whether source and target share their ids."""
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
            shortest = min(max(len(s), len(t)) for s, t in zip(sources, targets, strict=True))
            raise ValueError(
                f"data.max_length is {self.max_length} but every training pair is longer: set it to {shortest} or more."
            )
        if len(kept) < len(sources):
            self.notes.append(
                f"train: {len(sources) - len(kept):,} of {len(sources):,} pairs are left out, longer than "
                f"data.max_length = {self.max_length} tokens"
            )
        return [s for s, _ in kept], [t for _, t in kept]

    def loader(self, split: str, max_tokens: int | None = None) -> DataLoader:
        """This device's batches of a split: `train` shuffled each epoch, others in a fixed order, shortest first.

        Every device gets the same number of `train` batches. Of other splits a device without any batch gets the first
        one, with every label ignored.

        Args:
            split: `train`, `val` or one of `test_sets`.
            max_tokens: Budget of a batch, by default that of training; a longer sentence to evaluate has its own batch.

        Raises:
            ValueError: a training pair is longer than the budget.
        """
        examples = self.examples(split)
        budget = max_tokens or self.max_tokens
        accumulate = self.trainer.accumulate_grad_batches if self.trainer else 1
        # An accelerator captures a step for each shape: few shapes, at the price of some padding.
        shapes = SHAPES if self.trainer and self.trainer.strategy.root_device.type != "cpu" else None
        if split != "train":
            budget = max(budget, int(examples.lengths.max()))
        sampler = TokenBucketBatchSampler(examples.lengths, budget, self.seed, split == "train", accumulate, shapes)
        spare = split != "train" and rank_and_world()[0] >= len(sampler.plan(1))

        def together(rows: Sequence[int]) -> Batch:
            batch = examples.batch(rows, sampler.shape(rows))
            return unscored(batch) if spare else batch

        return ResumableLoader(
            range(len(examples)),  # type: ignore[arg-type]  # rows, of which `together` makes a batch
            batch_sampler=sampler,
            collate_fn=together,
            pin_memory=torch.cuda.is_available(),
        )

    def train_dataloader(self) -> DataLoader:
        return self.loader("train")

    def val_dataloader(self) -> DataLoader:
        return self.loader("val")
