import bz2
import gzip
import lzma
import tracemalloc
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from datamodules import text_files
from datamodules.text_files import read_aligned, read_lines, read_tsv, tidied

PACK: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def write(path: Path, content: str | bytes) -> Path:
    raw = content.encode() if isinstance(content, str) else content
    path.write_bytes(PACK.get(path.suffix.lower(), bytes)(raw))
    return path


@pytest.mark.parametrize("name", ["text.en", "text.en.gz", "text.en.bz2", "text.en.xz", "TEXT.XZ"])
def test_only_line_feeds_end_lines(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, "a\u2028b\x0cc\x85d\r\n  e \nf")
    assert read_lines(path) == ["a\u2028b\x0cc\x85d", "  e ", "f"]


def test_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    assert read_lines(write(tmp_path / "t", b"\xef\xbb\xbfHallo\n")) == ["Hallo"]


def test_tsv_takes_two_columns_and_ignores_more(tmp_path: Path) -> None:
    path = write(tmp_path / "t.tsv", "one\teins\tCC-BY\ntwo\tzwei\tCC0\n")
    note = "every line has 3 columns, of which two are read; not read is 'CC-BY', for example"
    assert read_tsv(path) == (["one", "two"], ["eins", "zwei"], note)


@pytest.mark.parametrize("name", ["t.tar.gz", "t.tgz", "t.tsv.zst", "t.7z", "t.RAR"])
def test_other_ways_of_packing_are_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name} is packed in a way that is not read here: unpack it"):
        read_lines(write(tmp_path / name, "one\teins\n"))


@pytest.mark.parametrize("text", ["one\rtwo\rthree\r", "one\rtwo", "one\rtwo\r\n"])
def test_carriage_returns_for_line_ends_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"a\.en ends its lines with carriage returns alone.*tr '\\r' '\\n'"):
        read_lines(write(tmp_path / "a.en", text))


def test_one_line_with_the_line_end_of_windows_is_read(tmp_path: Path) -> None:
    assert read_lines(write(tmp_path / "a.en", "one\r\n")) == ["one"]


@pytest.mark.parametrize(
    ("untidy", "tidy"),
    [
        (unicodedata.normalize("NFD", "für Ångström"), "für Ångström"),
        (unicodedata.normalize("NFD", "한국어"), "한국어"),
        ("\ufeffzwei\ufeff", "zwei"),
        ("so\rweit", "so weit"),
        ("①½ ﬁ\u200d\u00a0", "①½ ﬁ\u200d\u00a0"),  # what looks different stays different
    ],
)
def test_tidied_text_is_the_same_where_it_looks_the_same(untidy: str, tidy: str) -> None:
    assert tidied(untidy) == tidied(tidy) == tidy


def test_unaligned_files_name_both_counts(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.en has 2 lines but .*a\.de has 1"):
        read_aligned(write(tmp_path / "a.en", "one\ntwo\n"), write(tmp_path / "a.de", "eins\n"))


@pytest.mark.parametrize(
    ("english", "german", "found"), [("a\n \nc", "a\nb\nc", "en"), ("a\nb\nc", "a\n\ufeff\nc", "de")]
)
def test_blank_line_is_found_on_either_side(tmp_path: Path, english: str, german: str, found: str) -> None:
    with pytest.raises(ValueError, match=rf"a\.{found}, line 2 is blank"):
        read_aligned(write(tmp_path / "a.en", english), write(tmp_path / "a.de", german))


def test_wrong_encoding_names_the_line_and_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"latin1\.txt, line 3 is not UTF-8"):
        read_lines(write(tmp_path / "latin1.txt", "ä\nb\n".encode() + "Straße".encode("latin-1")))
    with pytest.raises(ValueError, match=r"t\.txt is empty"):
        read_lines(write(tmp_path / "t.txt", ""))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("a\tb\nno tab\n", "line 2 has no tab"),
        ("a\tb\nc\t \n", "line 2 has an empty source"),
        ("a\tb\nc\td\te\n", "line 2 has 3 columns, but line 1 has 2: if a sentence has a tab inside"),
        ("a\tb\t1\nc\td\te\t2\n", "line 2 has 4 columns, but line 1 has 3"),
        ("a\tb\rc\td\ne\tf\n", "line 2 has 2 columns, but line 1 has 3"),  # of two files with other line ends
    ],
)
def test_incomplete_tsv_names_the_line(tmp_path: Path, content: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        read_tsv(write(tmp_path / "t.tsv", content))


@pytest.mark.parametrize("damage", ["cut", "flipped", "plain"])
@pytest.mark.parametrize("packed", PACK)
def test_broken_archives(tmp_path: Path, damage: str, packed: str) -> None:
    path = write(tmp_path / f"t.en{packed}", "words " * 1000)
    whole = path.read_bytes()
    broken = {"cut": whole[:-12], "flipped": whole[:12] + b"\xff\xff" + whole[14:], "plain": b"words"}
    path.write_bytes(broken[damage])
    with pytest.raises(ValueError, match=rf"t\.en{packed} is not a whole {packed} file.*fetch it again"):
        read_lines(path)


def zipped(path: Path, texts: dict[str | zipfile.ZipInfo, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
    return path


def test_broken_zip(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"t\.zip is not a whole \.zip file"):
        read_lines(write(tmp_path / "t.zip", b"PK\x03\x04 and nothing more"))


@pytest.mark.parametrize("name", ["t.txt", "T.TXT", "train.en"])
def test_the_text_in_a_zip_of_a_mac(tmp_path: Path, name: str) -> None:
    content = {name: "one\n", f"__MACOSX/._{name}": "\0", "_about.txt": "licence", ".DS_Store": "\0", "corpus/": ""}
    assert read_lines(zipped(tmp_path / "t.zip", content)) == ["one"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["_about.txt"], r"holds 0 text files \[\]: it must hold exactly one"),
        (["a.txt", "\x1b]0;owned\x07.txt"], r"holds 2 text files \['a\.txt', '\\x1b\]0;owned\\x07\.txt'\]"),
    ],
)
def test_a_zip_must_hold_one_text(tmp_path: Path, names: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_lines(zipped(tmp_path / "t.zip", dict.fromkeys(names, "a\tb\n")))


@pytest.mark.parametrize("name", ["deu.txt", "../../evil.txt", "/evil.txt", "..\\evil.txt", "a/../../evil.tsv"])
def test_the_name_of_a_text_in_a_zip_is_no_path_to_write_to(tmp_path: Path, name: str) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    zipped(inner / "t.zip", {"_about.txt": "the licence", name: "Hi.\tHallo!\n"})
    assert read_tsv(inner / "t.zip") == (["Hi."], ["Hallo!"], "")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [inner / "t.zip"]
    assert not Path("/evil.txt").exists()


def test_a_link_in_a_zip_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of\tothers\n")
    link = zipfile.ZipInfo("deu.txt")
    link.create_system, link.external_attr = 3, 0o120777 << 16  # as Unix writes a symbolic link
    archive = zipped(tmp_path / "t.zip", {link: str(tmp_path / "secret")})
    assert read_lines(archive) == [str(tmp_path / "secret")]


def bomb(path: Path, megabytes: int) -> Path:
    """A small file that unpacks to a large one."""
    block = bytes(1 << 20)
    if path.suffix == ".gz":
        with gzip.open(path, "wb") as file:
            for _ in range(megabytes):
                file.write(block)
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("t.txt", "w") as text:
            for _ in range(megabytes):
                text.write(block)
    return path


@pytest.mark.parametrize("name", ["t.gz", "t.zip"])
def test_a_decompression_bomb_is_not_unpacked(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "UNPACKED", 1 << 20)
    path = bomb(tmp_path / name, 8)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"bytes but unpacks to more than 1,048,576, as no text does: .*unpack it"):
        read_lines(path)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_text_that_packs_well_is_read_whatever_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "UNPACKED", 1)
    lines = [f"sentence {i * i}" for i in range(9999)]
    assert read_lines(write(tmp_path / "t.gz", "\n".join(lines))) == lines


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    raw = bytearray(zipped(tmp_path / "t.zip", {"t.txt": "a\tb\n"}).read_bytes())
    raw[6] |= 1  # the flag of encryption, in the entry
    raw[raw.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    (tmp_path / "t.zip").write_bytes(raw)
    with pytest.raises(ValueError, match=r"t\.zip cannot be read \(.*password.*\): unpack it and name the text"):
        read_lines(tmp_path / "t.zip")
