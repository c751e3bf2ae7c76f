"""Parallel corpora: the embedded one, two public ones, and the user's files."""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from datamodules.embedded.corpus import cached_corpus
from datamodules.text_files import CHANGES, FETCH, content_hash, read_aligned, read_tsv, tidied, where_missing

MULTI30K_FILES = {
    "train": "train",
    "val": "val",
    "test2016": "test_2016_flickr",
    "test2017": "test_2017_flickr",
    "mscoco": "test_2017_mscoco",
}
TATOEBA_HELD_OUT = 1.7  # per cent of the English sentences in the validation set, and as many in the test set


@dataclass(frozen=True)
class ParallelText:
    """Sentences and their translations, aligned by position; `note` says what else their file has."""

    source: list[str]
    target: list[str]
    note: str = ""

    def __len__(self) -> int:
        return len(self.source)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return list(zip(self.source, self.target, strict=True))


@dataclass
class Corpus:
    """A choice of sentence pairs.

    Attributes:
        name: `embedded` is generated and needs no files, `multi30k` and `tatoeba` are fetched by `make data`,
            `files` are your own.
        source_language: Language code of the source; the three named corpora have `en` and `de`.
        target_language: Language code of the target.
        files: For `files`: split to [source file, target file] or to [tab-separated file]; `train`, `val` and at least
            one other split, a test set, are required.
        limit: Use only the first `limit` training pairs.
    """

    name: Literal["embedded", "multi30k", "tatoeba", "files"] = "embedded"
    source_language: str = "en"
    target_language: str = "de"
    files: dict[str, list[str]] | None = None
    limit: int | None = None


def load_corpus(corpus: Corpus, data_dir: Path, cache_dir: Path = Path(".cache")) -> dict[str, ParallelText]:
    """Read every split as its files have it: `train`, `val`, then the test sets in order.

    Raises:
        FileNotFoundError: a file of the corpus is not in `data_dir`.
        ValueError: a file or a setting is wrong.
    """
    files = corpus_files(corpus, data_dir)
    if corpus.files and corpus.name != "files":
        raise ValueError(f"data.corpus.files is set, but data.corpus.name is {corpus.name!r}: set it to files.")
    if corpus.name == "files":
        with where_missing("correct data.corpus.files, whose paths are relative to the folder that you are in"):
            splits = _load_files(files)
    else:
        if {corpus.source_language, corpus.target_language} != {"en", "de"}:
            raise ValueError(
                f"data.corpus.source_language and target_language are {corpus.source_language!r} and "
                f"{corpus.target_language!r}: the corpus {corpus.name!r} goes from en to de or from de to en."
            )
        with where_missing(FETCH):
            match corpus.name:
                case "embedded":
                    splits = _load_embedded(cache_dir)
                case "multi30k":
                    splits = {split: ParallelText(*read_aligned(*pair)) for split, pair in files.items()}
                case "tatoeba":
                    splits = split_by_source(*read_tsv(*files["all"])[:2])
        if corpus.source_language == "de":
            splits = {name: ParallelText(text.target, text.source) for name, text in splits.items()}
    if corpus.limit is not None:
        if corpus.limit < 1:
            raise ValueError(f"data.corpus.limit is {corpus.limit}: it must be at least 1, or null for every pair.")
        train = splits["train"]
        splits["train"] = ParallelText(train.source[: corpus.limit], train.target[: corpus.limit])
    return splits


def test_sets(corpus: Corpus) -> list[str]:
    """Names of the test sets, in order."""
    names = corpus.files or {} if corpus.name == "files" else MULTI30K_FILES if corpus.name == "multi30k" else ["test"]
    return [name for name in names if name not in ("train", "val")]


def corpus_files(corpus: Corpus, data_dir: Path) -> dict[str, list[Path]]:
    """The files of each split; none where the corpus is generated."""
    match corpus.name:
        case "multi30k":
            return {
                split: [data_dir / "multi30k" / f"{stem}.{language}.gz" for language in ("en", "de")]
                for split, stem in MULTI30K_FILES.items()
            }
        case "tatoeba":
            return {"all": [data_dir / "tatoeba" / "deu-eng.zip"]}
        case "files":
            return {split: [Path(name) for name in names] for split, names in (corpus.files or {}).items()}
    return {}


def contents(corpus: Corpus, data_dir: Path, cache_dir: Path) -> dict[str, str | None]:
    """SHA-256 of each of `corpus_files` by its name, from `data_dir` for a fetched one; None where there is no file."""
    paths = (path for files in corpus_files(corpus, data_dir).values() for path in files)
    return {
        str(path if corpus.name == "files" else path.relative_to(data_dir)): (
            content_hash(path, cache_dir) if path.is_file() else None
        )
        for path in paths
    }


def tidied_corpus(splits: Mapping[str, ParallelText]) -> tuple[dict[str, ParallelText], list[str]]:
    """The splits with every sentence tidied alike, and a note for each side of a split that this has changed."""
    found, notes = {}, []
    for name, text in splits.items():
        notes += [f"{name}: {text.note}"] if text.note else []
        sides = {"source": text.source, "target": text.target}
        for side, lines in sides.items():
            for change, is_needed in CHANGES.items():
                if count := sum(map(is_needed, lines)):
                    notes.append(f"{name}, {side}: {count:,} of {len(lines):,} lines had {change}")
        found[name] = ParallelText(list(map(tidied, text.source)), list(map(tidied, text.target)))
    return found, notes


def find_data_dir(data_dir: str | None) -> Path:
    """Folder of the downloaded corpora: the setting, else the environment's DATA_DIR, else `data`."""
    return Path(data_dir or os.environ.get("DATA_DIR") or "data")


def split_by_source(source: list[str], target: list[str]) -> dict[str, ParallelText]:
    """Split pairs into `train`, `val` and `test` by a hash of the source sentence.

    All translations of a sentence are in one split, which does not change when the corpus grows. The held-out splits
    have each source once, with the first translation that no training pair has: neither side occurs in training.
    """
    pairs = list(zip(source, target, strict=True))
    train = [(s, t) for s, t in pairs if _hashed_split(s) == "train"]
    trained = {t for _, t in train}
    splits = {"train": ParallelText([s for s, _ in train], [t for _, t in train])}
    for name in ("val", "test"):
        held_out: dict[str, str] = {}
        for s, t in pairs:
            if _hashed_split(s) == name and t not in trained:
                held_out.setdefault(s, t)
        splits[name] = ParallelText(list(held_out), list(held_out.values()))
    return splits


def _hashed_split(sentence: str) -> str:
    place = int.from_bytes(hashlib.sha256(sentence.encode()).digest()[:8]) / 2**64 * 100
    if place < TATOEBA_HELD_OUT:
        return "val"
    return "test" if place < 2 * TATOEBA_HELD_OUT else "train"


def _load_embedded(cache_dir: Path) -> dict[str, ParallelText]:
    splits = {}
    for name in ("train", "val", "test"):
        pairs = cached_corpus(name, cache_dir)
        splits[name] = ParallelText([p.english for p in pairs], [p.german for p in pairs])
    return splits


def _load_files(files: dict[str, list[Path]]) -> dict[str, ParallelText]:
    missing = [split for split in ("train", "val") if split not in files]
    if not files.keys() - {"train", "val"}:
        missing.append("test set")
    if missing:
        raise ValueError(
            f"data.corpus.files has no {' and no '.join(missing)}: the corpus 'files' needs train, val and a test set, "
            "each as [source file, target file] or [tab-separated file]."
        )
    splits = {}
    for split in ("train", "val", *(name for name in files if name not in ("train", "val"))):
        if not re.fullmatch(r"\w[\w.-]*", split):  # it names a file of hypotheses
            raise ValueError(
                f"data.corpus.files names a test set {split!r}: write letters, digits, dots, dashes and underscores."
            )
        match files[split]:
            case [source, target]:
                splits[split] = ParallelText(*read_aligned(source, target))
            case [table]:
                splits[split] = ParallelText(*read_tsv(table))
            case names:
                raise ValueError(
                    f"data.corpus.files.{split} lists {len(names)} files: it takes [source file, target file] or "
                    "[tab-separated file]."
                )
    return splits
