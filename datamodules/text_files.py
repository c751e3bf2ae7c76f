"""Sentence pairs from text files: two aligned files or one tab-separated file, plain, packed, or inside a zip.

Reading does not change text; `tidied` does. Only a line feed, with or without a carriage return, ends a line: form
feeds and Unicode line separators are text; as line ends they would shift one side against the other.
"""

import bz2
import gzip
import hashlib
import lzma
import os
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from filelock import FileLock

OPEN: dict[str, Callable[[Path], Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
UNREAD = (".7z", ".lz4", ".rar", ".tar", ".tbz2", ".tgz", ".txz", ".z", ".zst")

FETCH = "fetch the data with `make data`, or set DATA_DIR to the folder that holds it"

# What is changed in every sentence, source and target, training and test alike, as a note says it.
CHANGES: dict[str, Callable[[str], bool]] = {
    "a byte order mark inside, now removed": lambda line: "\ufeff" in line,
    "a carriage return inside, now a blank": lambda line: "\r" in line,
    "letters and their accents as separate characters, now composed (NFC)": lambda line: (
        not unicodedata.is_normalized("NFC", line)
    ),
}

# Text compresses to a third or a tenth of its size, a decompression bomb to a thousandth.
UNPACKED, TIMES = 1 << 28, 50  # largest unpacked size: so many bytes or so many times the archive, whichever is more


def read_aligned(source: Path, target: Path) -> tuple[list[str], list[str]]:
    """Read two files whose n-th lines translate each other.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: different numbers of lines, a blank line, text that is not UTF-8, or a broken archive.
    """
    source_lines, target_lines = read_lines(source), read_lines(target)
    if len(source_lines) != len(target_lines):
        raise ValueError(
            f"{source} has {len(source_lines)} lines but {target} has {len(target_lines)}: "
            "aligned files need one line for each sentence pair in both."
        )
    for path, lines in ((source, source_lines), (target, target_lines)):
        for number, line in enumerate(lines, start=1):
            if not tidied(line).strip():
                raise ValueError(f"{path}, line {number} is blank: remove this line from both files.")
    return source_lines, target_lines


def read_tsv(path: Path) -> tuple[list[str], list[str], str]:
    """Read the first two columns of a tab-separated file, source and target, and note what others there are.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: fewer than two columns or not as many as in the first line, a blank column, text that is not UTF-8,
            or a broken archive.
    """
    source, target, width, note = [], [], 0, ""
    for number, line in enumerate(read_lines(path), start=1):
        columns = line.split("\t")
        if len(columns) < 2:
            raise ValueError(f"{path}, line {number} has no tab: every line needs source, tab, target.")
        width = width or len(columns)
        if width > 2 and not note:
            note = f"every line has {width} columns, of which two are read; not read is {columns[2]!r}, for example"
        if len(columns) != width:
            raise ValueError(
                f"{path}, line {number} has {len(columns)} columns, but line 1 has {width}: if a sentence has a tab "
                "inside, make it a blank."
            )
        if not (tidied(columns[0]).strip() and tidied(columns[1]).strip()):
            raise ValueError(f"{path}, line {number} has an empty source or target: remove this line.")
        source.append(columns[0])
        target.append(columns[1])
    return source, target, note


def read_lines(path: Path) -> list[str]:
    """The lines of `read_text` without their line ends."""
    return [line.removesuffix("\r") for line in read_text(path).removesuffix("\n").split("\n")]


def tidied(line: str) -> str:
    """A sentence without what looks the same on paper but is other text to a model and to a score: see `CHANGES`."""
    return unicodedata.normalize("NFC", line.replace("\ufeff", "").replace("\r", " "))


def read_text(path: Path) -> str:
    """Read a UTF-8 text file, plain, packed, or the one text inside a `.zip`.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: it is empty, not UTF-8, has carriage returns alone for line ends, or is an archive that is broken,
            encrypted or too large.
    """
    try:
        text = _read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}, line {line} is not UTF-8: convert the file with iconv.") from error
    if not text:
        raise ValueError(f"{path} is empty: at least one sentence is needed.")
    if "\r" in text.removesuffix("\n").removesuffix("\r") and "\n" not in text.removesuffix("\n"):
        raise ValueError(
            f"{path} ends its lines with carriage returns alone, so that it is one line: convert it with "
            "tr '\\r' '\\n'."
        )
    return text


@contextmanager
def where_missing(remedy: str) -> Iterator[None]:
    """Add to the message of a missing file what to do."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}: {remedy}.") from error


def _read_bytes(path: Path) -> bytes:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is {'a folder' if path.is_dir() else 'missing'}")
    suffix = path.suffix.lower()
    if suffix in UNREAD or ".tar" in (s.lower() for s in path.suffixes):
        packed = ", ".join(OPEN)
        raise ValueError(f"{path} is packed in a way that is not read here: unpack it, or pack it as {packed} or .zip.")
    try:
        if suffix == ".zip":
            return _read_zip(path)
        if suffix not in OPEN:
            return path.read_bytes()
        with OPEN[suffix](path) as file:
            return _unpacked(file, path)
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        if getattr(error, "errno", None):  # of the file system
            raise
        raise ValueError(f"{path} is not a whole {path.suffix} file ({str(error)!r}): fetch it again.") from error


def _read_zip(path: Path) -> bytes:
    """The one text in an archive, read in memory: nothing is extracted, whatever the names of its members."""
    with zipfile.ZipFile(path) as archive:
        # Tatoeba's exports have a licence text too, _about.txt, archives of a Mac a folder __MACOSX
        names = (n for n in archive.namelist() if not n.startswith("__") and not n.endswith("/"))
        files = [n for n in names if not Path(n).name.startswith(("_", "._", ".DS_"))]
        texts = [n for n in files if n.lower().endswith((".txt", ".tsv"))] or files
        if len(texts) != 1:
            raise ValueError(f"{path} holds {len(texts)} text files {texts}: it must hold exactly one.")
        try:
            with archive.open(texts[0]) as file:
                return _unpacked(file, path)
        except (RuntimeError, NotImplementedError, OSError) as error:  # encrypted, or of an unknown method
            raise ValueError(f"{path} cannot be read ({str(error)!r}): unpack it and name the text.") from error


def _unpacked(file: IO[bytes], path: Path) -> bytes:
    packed = path.stat().st_size
    limit = max(UNPACKED, TIMES * packed)
    content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(
            f"{path} has {packed:,} bytes but unpacks to more than {limit:,}, as no text does: if you trust it, unpack "
            "it and name the unpacked file."
        )
    return content


def content_hash(path: Path, cache_dir: Path) -> str:
    """SHA-256 of a file, computed once for each size and time of change; the inode's time cannot be set back."""
    status = path.stat()
    state = f"{path.resolve()} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
    name = hashlib.sha256(state.encode(errors="surrogateescape")).hexdigest()

    def compute() -> bytes:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest().encode()

    return made_once(cache_dir / "hashes" / name, compute).decode()


def made_once(path: Path, make: Callable[[], bytes]) -> bytes:
    """The content of `path`; where there is no such file it is made, and never seen half written.

    Where it cannot be kept, in a folder to be read alone for example, it is made each time.
    """
    if path.exists():
        return path.read_bytes()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                partial = path.with_suffix(".partial")
                partial.write_bytes(make())
                os.replace(partial, path)
            return path.read_bytes()
    except OSError:
        return make()
