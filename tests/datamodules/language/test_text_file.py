from pathlib import Path

import numpy as np
import pytest

from datamodules.batch import UNK
from datamodules.language.text_file import TextFile

TEXT = "".join(f"{n} green bottles.\n" for n in range(400))


def text_file(folder: Path, content: bytes = TEXT.encode(), share: float = 1.0, context: int = 16) -> TextFile:
    (folder / "text.txt").write_bytes(content)
    text = TextFile("text.txt", share)
    text.read(folder, context)
    return text


def test_the_parts_are_the_text_and_nothing_of_it_is_lost(tmp_path: Path) -> None:
    text = text_file(tmp_path, (TEXT + "é").encode())
    parts = [text.parts[name] for name in ("train", "val", "test")]
    assert [round(len(part) / sum(map(len, parts)), 2) for part in parts] == [0.9, 0.05, 0.05]
    assert "".join(text.decode(part.tolist()) for part in parts) == TEXT + "<unk>"  # what training never saw
    assert text.parts["test"][-1] == UNK


def test_pieces_are_of_the_text(tmp_path: Path) -> None:
    text = text_file(tmp_path)
    train = text.decode(text.parts["train"].tolist())
    drawn = text.draw(np.random.default_rng(0), 50, 16)
    assert drawn.shape == (50, 17)
    assert all(text.decode(row.tolist()) in train for row in drawn)
    assert len({text.decode(row.tolist()) for row in drawn}) > 40
    windows, held_out = text.windows("val", 9, 16), text.decode(text.parts["val"].tolist())
    assert windows.tokens.shape == (9, 17)
    pieces = [text.decode(row.tolist()) for row in windows.tokens]
    assert held_out.startswith(pieces[0])
    assert held_out.endswith(pieces[-1])
    assert not windows.distances.any()
    everything = text.windows("val", 10**6, 16)
    assert len(everything.tokens) == (len(held_out) - 17) // 16 + 1  # which do not overlap
    assert everything.tokens[:, 1:].size <= len(held_out) - 1
    assert len(text.windows("val", 10**6, 16, apart=False).tokens) == len(held_out) - 16


def test_a_share_of_the_training_part(tmp_path: Path) -> None:
    whole, half = text_file(tmp_path), text_file(tmp_path, share=0.5)
    assert abs(len(half.parts["train"]) / len(whole.parts["train"]) - 0.5) < 0.001
    assert np.array_equal(half.decode(half.parts["test"].tolist()), whole.decode(whole.parts["test"].tolist()))
    assert half.training_tokens == len(half.parts["train"]) < whole.training_tokens
    late = (TEXT[: len(TEXT) // 2] + "#" + TEXT[len(TEXT) // 2 :]).encode()
    assert "#" in text_file(tmp_path, late, share=0.25).symbols
    with pytest.raises(ValueError, match=r"share is 0; it must be above 0"):
        TextFile(share=0)


def test_lines_of_windows_and_accents_of_their_own_are_the_usual_ones(tmp_path: Path) -> None:
    text = text_file(tmp_path, ("cafe\u0301\r\n" + TEXT).encode())
    assert text.decode(text.parts["train"].tolist()).startswith("caf\u00e9\n")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"short", "too short to be validated with data.context 16"),
        (TEXT.encode() + b"\0", "holds NUL bytes"),
        (TEXT.encode("utf-16"), "is not UTF-8"),
    ],
)
def test_what_is_no_text_is_refused_in_one_sentence(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says) as refused:
        text_file(tmp_path, content)
    assert "\n" not in str(refused.value)


def test_a_missing_text_can_be_fetched(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="make data"):
        TextFile().read(tmp_path, 16)
    with pytest.raises(FileNotFoundError, match=r"nothing\.txt is missing: correct data\.text\.path"):
        TextFile("nothing.txt").read(tmp_path, 16)
