import gzip
import zipfile
from pathlib import Path

import pytest

from datamodules.text_files import read_aligned, read_lines, read_tsv


def write(path: Path, content: str | bytes) -> Path:
    raw = content.encode() if isinstance(content, str) else content
    if path.suffix == ".gz":
        raw = gzip.compress(raw)
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("name", ["text.en", "text.en.gz"])
def test_only_line_feeds_end_lines(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, "a\u2028b\x0cc\x85d\r\n  e \nf")
    assert read_lines(path) == ["a\u2028b\x0cc\x85d", "  e ", "f"]


def test_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    assert read_lines(write(tmp_path / "t", b"\xef\xbb\xbfHallo\n")) == ["Hallo"]


def test_aligned_files_may_differ_in_format(tmp_path: Path) -> None:
    pairs = read_aligned(write(tmp_path / "a.en", "one\ntwo\n"), write(tmp_path / "a.de.gz", "eins\nzwei"))
    assert pairs == (["one", "two"], ["eins", "zwei"])


def test_tsv_takes_two_columns_and_ignores_more(tmp_path: Path) -> None:
    path = write(tmp_path / "t.tsv", "one\teins\tCC-BY\ntwo\tzwei\n")
    assert read_tsv(path) == (["one", "two"], ["eins", "zwei"])


def test_tsv_in_a_zip_beside_its_licence(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("_about.txt", "who wrote this")
        archive.writestr("deu.txt", "Hi.\tHallo!\n")
    assert read_tsv(tmp_path / "t.zip") == (["Hi."], ["Hallo!"])


def test_missing_file_says_where_data_comes_from(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"train\.en is missing.*make data.*DATA_DIR"):
        read_lines(tmp_path / "train.en")


def test_unaligned_files_name_both_counts(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.en has 2 lines but .*a\.de has 1"):
        read_aligned(write(tmp_path / "a.en", "one\ntwo\n"), write(tmp_path / "a.de", "eins\n"))


@pytest.mark.parametrize(("english", "german", "found"), [("a\n \nc", "a\nb\nc", "en"), ("a\nb\nc", "a\n\nc", "de")])
def test_blank_line_is_found_on_either_side(tmp_path: Path, english: str, german: str, found: str) -> None:
    with pytest.raises(ValueError, match=rf"a\.{found}, line 2 is blank"):
        read_aligned(write(tmp_path / "a.en", english), write(tmp_path / "a.de", german))


def test_wrong_encoding_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"latin1\.txt, line 3 is not UTF-8"):
        read_lines(write(tmp_path / "latin1.txt", "ä\nb\n".encode() + "Straße".encode("latin-1")))


@pytest.mark.parametrize(
    ("content", "complaint"), [("a\tb\nno tab\n", "line 2 has no tab"), ("a\tb\nc\t \n", "line 2 has an empty source")]
)
def test_incomplete_tsv_names_the_line(tmp_path: Path, content: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        read_tsv(write(tmp_path / "t.tsv", content))


def test_empty_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"t\.txt is empty"):
        read_lines(write(tmp_path / "t.txt", ""))


@pytest.mark.parametrize("damage", ["cut", "flipped", "plain"])
def test_broken_gzip(tmp_path: Path, damage: str) -> None:
    path = write(tmp_path / "t.en.gz", "words " * 1000)
    whole = path.read_bytes()
    broken = {"cut": whole[:-12], "flipped": whole[:12] + b"\xff\xff" + whole[14:], "plain": b"words"}
    path.write_bytes(broken[damage])
    with pytest.raises(ValueError, match=r"t\.en\.gz is not a whole \.gz file.*fetch it again"):
        read_lines(path)


def test_broken_zip(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"t\.zip is not a whole \.zip file"):
        read_lines(write(tmp_path / "t.zip", b"PK\x03\x04 and nothing more"))


@pytest.mark.parametrize("names", [["_about.txt"], ["a.txt", "b.txt"]])
def test_zip_must_hold_one_text(tmp_path: Path, names: list[str]) -> None:
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        for name in names:
            archive.writestr(name, "a\tb\n")
    with pytest.raises(ValueError, match="must hold exactly one"):
        read_lines(tmp_path / "t.zip")
