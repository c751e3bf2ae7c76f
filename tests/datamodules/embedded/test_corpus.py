"""The embedded corpus: splits, lengths, and one German sentence for each English one."""

import os
import subprocess
import sys
import zlib
from collections import Counter

import pytest

from datamodules.embedded.corpus import SIZES, embedded_corpus
from datamodules.embedded.grammar import SentencePair


@pytest.fixture(scope="module")
def splits() -> dict[str, list[SentencePair]]:
    return {split: embedded_corpus(split) for split in SIZES}


def test_splits_have_their_sizes(splits: dict[str, list[SentencePair]]) -> None:
    assert {split: len(pairs) for split, pairs in splits.items()} == {"train": 20_000, "val": 300, "test": 500}


def test_no_english_sentence_has_two_germans(splits: dict[str, list[SentencePair]]) -> None:
    pairs = [pair for split in splits.values() for pair in split] + embedded_corpus("train", seed=1, longest=9)
    german: dict[str, str] = {}
    for pair in pairs:
        assert german.setdefault(pair.english, pair.german) == pair.german


def test_splits_are_disjoint_whatever_the_seed(splits: dict[str, list[SentencePair]]) -> None:
    train = {pair.english for pair in splits["train"]} | {pair.english for pair in embedded_corpus("train", 7, 3000)}
    val, test = ({pair.english for pair in splits[split]} for split in ("val", "test"))
    assert not train & val
    assert not train & test
    assert not val & test
    assert len(train) > 22_000


def test_lengths_are_even_and_within_bounds(splits: dict[str, list[SentencePair]]) -> None:
    lengths = Counter(pair.words for pair in splits["train"])
    assert set(lengths) == set(range(4, 29))
    assert min(lengths.values()) > 0.5 * 20_000 / 25
    assert max(lengths.values()) < 1.5 * 20_000 / 25


def test_bounds_can_be_set() -> None:
    assert {pair.words for pair in embedded_corpus("test", size=60, shortest=40, longest=42)} <= {40, 41, 42}


def test_every_test_word_is_known_from_training_but_for_a_few(splits: dict[str, list[SentencePair]]) -> None:
    def vocabulary(split: str) -> set[str]:
        return {word.strip(".,") for pair in splits[split] for word in pair.german.split()}

    assert len(vocabulary("test") - vocabulary("train")) <= 3


def test_the_seed_decides_the_corpus() -> None:
    assert embedded_corpus("val", 3, 50) == embedded_corpus("val", 3, 50)
    assert embedded_corpus("val", 3, 50) != embedded_corpus("val", 4, 50)


def test_another_process_makes_the_same_corpus() -> None:
    code = "import zlib; from datamodules.embedded.corpus import embedded_corpus as c; "
    code += "print(zlib.crc32(repr(c('test', 0, 80)).encode()))"
    environment = os.environ | {"PYTHONHASHSEED": "12345"}
    other = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert int(other.stdout) == zlib.crc32(repr(embedded_corpus("test", 0, 80)).encode())


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="split is 'valid', but the embedded corpus has the splits train, val, test"):
        embedded_corpus("valid")


@pytest.mark.parametrize(("shortest", "longest"), [(3, 10), (12, 11)])
def test_impossible_lengths_are_refused(shortest: int, longest: int) -> None:
    with pytest.raises(ValueError, match=f"shortest is {shortest} and longest {longest}"):
        embedded_corpus("val", shortest=shortest, longest=longest)
