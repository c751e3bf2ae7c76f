"""The embedded corpus: splits, lengths, and one German sentence for each English one."""

import shutil
import zlib
from collections import Counter
from pathlib import Path

import pytest

from datamodules.embedded import corpus
from datamodules.embedded.corpus import SIZES, cached_corpus, embedded_corpus, split_of
from datamodules.embedded.grammar import SentencePair

CHECKSUM = 0x24BB651B  # of all pairs of `splits`
FEWER = {"train": 4000, "val": 100, "test": 200}
Splits = dict[str, list[SentencePair]]


@pytest.fixture(scope="module")
def splits() -> Splits:
    """A fifth of the training pairs: enough for nearly every word."""
    return {split: embedded_corpus(split, size=size) for split, size in FEWER.items()}


def test_splits_have_their_sizes_and_are_disjoint_whatever_the_seed(splits: Splits) -> None:
    assert SIZES == {"train": 20_000, "val": 300, "test": 500}
    sets = {split: {pair.english for pair in pairs} for split, pairs in splits.items()}
    assert {split: len(english) for split, english in sets.items()} == FEWER
    other = {pair.english for pair in embedded_corpus("train", 7, 1000)}
    for split, english in {**sets, "train": sets["train"] | other}.items():
        assert {split_of(sentence) for sentence in english} == {split}
    assert len(other - sets["train"]) > 900


def test_no_english_sentence_has_two_german_ones(splits: Splits) -> None:
    pairs = [pair for split in splits.values() for pair in split] + embedded_corpus("train", 1, 4000, longest=9)
    german: dict[str, str] = {}
    for pair in pairs:
        assert german.setdefault(pair.english, pair.german) == pair.german


def test_lengths_lean_to_the_short_and_are_within_bounds(splits: Splits) -> None:
    """The smaller of two even draws from 25 lengths is the n-th with a probability of (51 - 2 n) / 625."""
    lengths = Counter(pair.words for pair in splits["train"])
    assert set(lengths) == set(range(4, 29))
    for words, number in lengths.items():
        assert abs(number - 4000 * (51 - 2 * (words - 3)) / 625) < 60


def test_every_test_word_occurs_in_training_but_for_a_few(splits: Splits) -> None:
    test, train = (
        {word.strip(".,") for pair in splits[split] for word in pair.german.split()} for split in ("test", "train")
    )
    assert len(test - train) <= 6


def test_the_seed_fixes_the_corpus_in_every_process(splits: Splits) -> None:
    """Hashes of strings differ from process to process; results of earlier versions are compared with later ones."""
    pairs = [tuple(pair) for each in splits.values() for pair in each]
    assert zlib.crc32(repr(pairs).encode()) == CHECKSUM
    assert embedded_corpus("train", 3, 50) != embedded_corpus("train", 4, 50)


def test_a_corpus_is_generated_once_and_a_damaged_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generated = cached_corpus("val", tmp_path, 20)
    assert generated == embedded_corpus("val", size=20)
    monkeypatch.setattr(corpus, "embedded_corpus", lambda *_, **__: pytest.fail("generated again"))
    assert cached_corpus("val", tmp_path, 20) == generated
    (path,) = (tmp_path / "embedded").glob("*.json")
    written = (tmp_path / "grammar", tmp_path / "changed")
    for folder in written:
        shutil.copytree(Path(corpus.__file__).parent, folder)
    with (written[1] / "lexicon.yaml").open("a") as file:
        file.write("# more\n")
    for folder, made in zip(written, ([], [True]), strict=True):
        again: list[bool] = []
        with monkeypatch.context() as other:
            other.setattr(corpus, "__file__", str(folder / "corpus.py"))
            other.setattr(corpus, "embedded_corpus", lambda *_, again=again, **__: again.append(True) or [])
            cached_corpus("val", tmp_path, 20)
        assert again == made
    path = min((tmp_path / "embedded").glob("*.json"), key=lambda found: found.stat().st_mtime)
    for content in ("[[1, 2]]", "{"):
        path.write_text(content)
        with pytest.raises(ValueError, match=f"{path.name} is not the corpus that was cached there: delete it"):
            cached_corpus("val", tmp_path, 20)
