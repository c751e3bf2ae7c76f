import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules import subword_tokenizer as module
from datamodules.batch import BOS, EOS, PAD, SPECIAL_TOKENS, UNK
from datamodules.subword_tokenizer import SentencePieceTokenizer, cached_sentencepiece, train_sentencepiece
from datamodules.tokenizer import Tokenizer, TokenizerSettings, until_eos
from datamodules.translation import build_tokenizers

SENTENCE = "the a man woman dog reads sees buys book red old in house garden when who sleeps and sings loudly"
WORDS = SENTENCE.split()
ENGLISH = [" ".join(WORDS[(i * k) % len(WORDS)] for k in range(1, 9)) + "." for i in range(300)]
GERMAN = [line.translate(str.maketrans("aeo", "äöü")) for line in ENGLISH]
LANGUAGES = ("en", "de")
SIZES = {"bpe": 80, "unigram": 38, "word": 80}


@pytest.fixture(scope="module")
def subwords() -> SentencePieceTokenizer:
    return SentencePieceTokenizer(train_sentencepiece(ENGLISH + GERMAN, "bpe", 120))


def every_kind(tmp_path: Path) -> list[Tokenizer]:
    every = [TokenizerSettings(kind, size) for kind, size in SIZES.items()]
    return [build_tokenizers((ENGLISH, GERMAN), LANGUAGES, settings, tmp_path)[0] for settings in every]


def test_every_kind_has_the_same_interface_and_its_size(tmp_path: Path) -> None:
    words = len(SPECIAL_TOKENS) + len({word for line in ENGLISH + GERMAN for word in line[:-1].split()} | {"."})
    assert [len(tokenizer) for tokenizer in every_kind(tmp_path)] == [80, 38, words]
    for tokenizer in every_kind(tmp_path):
        assert tokenizer.pieces(range(4)) == list(SPECIAL_TOKENS)
        text = "the old man sees a red book."
        ids = tokenizer.encode(text)
        assert not {PAD, BOS, EOS, UNK} & set(ids)
        assert max(ids) < len(tokenizer)
        assert tokenizer.decode(ids) == text
        assert len(tokenizer.pieces(ids)) == len(ids)
        assert tokenizer.decode([BOS, *ids, EOS, ids[0], PAD]) == text
        assert tokenizer.decode([]) == tokenizer.decode([EOS, *ids]) == ""
        assert tokenizer.decode([*tokenizer.encode("old"), UNK]) in ("old ⁇", "old⁇")


@given(st.lists(st.sampled_from(sorted(set("".join(ENGLISH + GERMAN)))), max_size=60).map("".join))
def test_subwords_give_back_any_text_in_known_characters(subwords: SentencePieceTokenizer, text: str) -> None:
    assert subwords.decode(subwords.encode(text)) == " ".join(text.split())


def test_small_vocabularies_have_no_bytes_and_show_the_unknown(subwords: SentencePieceTokenizer) -> None:
    assert not [piece for piece in subwords.pieces(range(len(subwords))) if piece.startswith("<0x")]
    ids = subwords.encode("the 漢 man")
    assert UNK in ids
    assert subwords.decode(ids) == "the ⁇ man"


def test_text_is_not_normalised_and_long_sentences_are_not_skipped() -> None:
    tokenizer = SentencePieceTokenizer(train_sentencepiece(["½ … ﬁ 3㎏"] * 9, "bpe", 13))
    assert tokenizer.decode(tokenizer.encode("3㎏ ﬁ ½ …")) == "3㎏ ﬁ ½ …"
    long = SentencePieceTokenizer(train_sentencepiece(["abcdefghij" * 1000, "xyz"], "bpe", 40))
    assert UNK not in long.encode("abcdefghij")


@pytest.mark.parametrize(("joint", "same"), [(True, True), (False, False)])
@pytest.mark.parametrize("kind", ["bpe", "unigram", "word"])
def test_joint_means_one_vocabulary(tmp_path: Path, kind: str, joint: bool, same: bool) -> None:
    settings = TokenizerSettings(kind, SIZES[kind], joint)
    english, german = build_tokenizers((ENGLISH, GERMAN), LANGUAGES, settings, tmp_path)
    vocabularies = [t.pieces(range(len(t))) for t in (english, german)]
    assert (vocabularies[0] == vocabularies[1]) is same
    assert (UNK in english.encode(GERMAN[1])) is not same


@pytest.mark.parametrize(("size", "words"), [(3000, r"too high .*<= "), (6, r"smaller than required_chars.* vs ")])
@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_a_size_that_does_not_fit_names_one_that_does(kind: str, size: int, words: str) -> None:
    begin = rf"^data\.tokenizer\.vocab_size is {size}: Vocabulary size "
    with pytest.raises(ValueError, match=rf"{begin}.*{words}\d+$") as error:
        train_sentencepiece(ENGLISH, kind, size)
    named = int(re.findall(r"\d+", str(error.value))[-1])
    model = train_sentencepiece(ENGLISH, kind, named)
    assert len(SentencePieceTokenizer(model)) == named
    assert train_sentencepiece(ENGLISH, kind, named) == model


def test_the_cache_has_one_model_for_each_text_and_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []

    def count(sentences: Sequence[str], kind: str, vocab_size: int) -> bytes:
        trained.append(kind)
        return train_sentencepiece(sentences, kind, vocab_size)

    monkeypatch.setattr(module, "train_sentencepiece", count)
    first = cached_sentencepiece(ENGLISH, TokenizerSettings(vocab_size=80), tmp_path)
    assert cached_sentencepiece(ENGLISH, TokenizerSettings(vocab_size=80, joint=False), tmp_path) == first
    assert len(trained) == 1
    cached_sentencepiece(ENGLISH, TokenizerSettings(vocab_size=81), tmp_path)
    cached_sentencepiece(ENGLISH[:-1], TokenizerSettings(vocab_size=80), tmp_path)
    cached_sentencepiece(ENGLISH, TokenizerSettings("unigram", vocab_size=38), tmp_path)
    assert len(trained) == 4
    assert len(list(tmp_path.rglob("*.model"))) == 4
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize("content", [b"", b"no model", train_sentencepiece(ENGLISH, "bpe", 79)])
def test_a_cached_file_that_is_not_the_model_is_refused(tmp_path: Path, content: bytes) -> None:
    settings = TokenizerSettings(vocab_size=80)
    cached_sentencepiece(ENGLISH, settings, tmp_path)
    (path,) = tmp_path.rglob("*.model")
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not the SentencePiece model that was cached there: delete it"):
        cached_sentencepiece(ENGLISH, settings, tmp_path)


def test_two_that_start_together_train_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file lock excludes threads as it does processes."""
    trained: list[float] = []

    def slowly(*arguments: Any) -> bytes:
        trained.append(time.monotonic())
        time.sleep(0.3)
        return train_sentencepiece(*arguments)

    monkeypatch.setattr(module, "train_sentencepiece", slowly)
    settings = TokenizerSettings(vocab_size=80)
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: cached_sentencepiece(ENGLISH, settings, tmp_path), range(2))
    assert one == other
    assert len(trained) == 1


@given(st.lists(st.integers(0, 9)))
def test_until_eos(ids: list[int]) -> None:
    kept = until_eos([*ids, EOS, 5])
    assert kept == [i for i in ids[: ids.index(EOS) if EOS in ids else None] if i not in (BOS, PAD)]
