"""Word-level tokens: Moses words in a torchtext vocabulary, as in most Multi30k tutorials."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sacremoses import MosesDetokenizer, MosesTokenizer
from torchtext.vocab import Vocab

from datamodules.batch import SPECIAL_TOKENS, UNK
from datamodules.tokenizer import UNKNOWN, TokenizerSettings, until_eos


class WordTokenizer:
    """Moses words of one language; decoding also undoes the spacing of punctuation.

    Args:
        vocabulary: Words by id, special tokens first.
        language: Language code of Moses's rules.
    """

    def __init__(self, vocabulary: Sequence[str], language: str) -> None:
        self.vocabulary = vocabulary
        self.ids = {word: i for i, word in enumerate(vocabulary)}
        self.moses = MosesTokenizer(language)
        self.joiner = MosesDetokenizer(language)

    def __len__(self) -> int:
        return len(self.vocabulary)

    def serialised(self) -> bytes:
        return json.dumps(self.vocabulary, ensure_ascii=False).encode()

    def encode(self, text: str) -> list[int]:
        return [self.ids.get(word, UNK) for word in self.moses.tokenize(text, escape=False)]

    def decode(self, ids: Sequence[int]) -> str:
        words = [UNKNOWN if i == UNK else self.vocabulary[i] for i in until_eos(ids)]
        return self.joiner.detokenize(words, unescape=False)

    def pieces(self, ids: Sequence[int]) -> list[str]:
        return [self.vocabulary[int(i)] for i in ids]


def read_word_tokenizer(path: Path, language: str) -> WordTokenizer:
    """A tokeniser as it was `serialised`.

    Raises:
        ValueError: the file holds something else.
    """
    try:
        words = json.loads(path.read_bytes())
    except ValueError:
        words = None
    specials = [*SPECIAL_TOKENS]
    if not (isinstance(words, list) and {*map(type, words)} == {str} and words[: len(specials)] == specials):
        raise ValueError(f"{path} is not the tokeniser that was kept there: train its run again.")
    return WordTokenizer(words, language)


def build_word_tokenizers(
    texts: Sequence[Sequence[str]], languages: Sequence[str], settings: TokenizerSettings
) -> list[WordTokenizer]:
    """One tokeniser for each language; `settings.joint` gives all one vocabulary.

    Raises:
        ValueError: the vocabulary would have no word.
    """
    counters = []
    for text, language in zip(texts, languages, strict=True):
        moses = MosesTokenizer(language)
        counters.append(Counter(word for line in text for word in moses.tokenize(line, escape=False)))
    if settings.joint:
        counters = [sum(counters, Counter())] * len(languages)
    most = min(max(counter.values(), default=0) for counter in counters)
    tokenizers = []
    for counter, language in zip(counters, languages, strict=True):
        room = settings.vocab_size - len(SPECIAL_TOKENS)
        if room < 1:
            raise ValueError(
                f"data.tokenizer.vocab_size is {settings.vocab_size}: the {len(SPECIAL_TOKENS)} special tokens leave "
                "no room for words, ask for more."
            )
        if not most:
            raise ValueError("The training text holds no word, only characters that Moses drops.")
        if most < settings.min_frequency:
            raise ValueError(
                f"data.tokenizer.min_frequency is {settings.min_frequency} but the most frequent word occurs "
                f"{most} times: set it to {most} or less."
            )
        vocabulary = Vocab(counter, max_size=room, min_freq=settings.min_frequency, specials=list(SPECIAL_TOKENS))
        tokenizers.append(WordTokenizer(vocabulary.itos, language))
    return tokenizers
