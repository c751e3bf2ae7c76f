import gzip
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules.corpora import Corpus, ParallelText, find_data_dir, load_corpus, split_by_source, tidied_corpus

sentences = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), max_size=200)


@given(sentences)
def test_no_held_out_sentence_was_trained_on(pairs: list[tuple[int, int]]) -> None:
    source, target = [f"s{s}" for s, _ in pairs], [f"t{t}" for _, t in pairs]
    splits = split_by_source(source, target)
    train = splits["train"]
    for name in ("val", "test"):
        assert not set(splits[name].source) & set(train.source)
        assert not set(splits[name].target) & set(train.target)
        assert len(set(splits[name].source)) == len(splits[name])
    assert not set(splits["val"].source) & set(splits["test"].source)
    for text in splits.values():
        assert set(zip(text.source, text.target, strict=True)) <= set(zip(source, target, strict=True))


def test_a_sentence_keeps_its_split_when_the_corpus_grows() -> None:
    lines = [f"sentence {i}" for i in range(4000)]
    small, large = split_by_source(lines[:2000], lines[:2000]), split_by_source(lines, lines)
    for name, text in small.items():
        assert set(text.source) <= set(large[name].source)
    assert 0.01 < len(large["test"]) / 4000 < 0.03
    assert sum(map(len, large.values())) == 4000


def write_multi30k(folder: Path) -> None:
    (folder / "multi30k").mkdir()
    for stem in ("train", "val", "test_2016_flickr", "test_2017_flickr", "test_2017_mscoco"):
        for language in ("en", "de"):
            text = "".join(f"{stem} {language} {i}\n" for i in range(5))
            (folder / f"multi30k/{stem}.{language}.gz").write_bytes(gzip.compress(text.encode()))


def test_multi30k_both_ways(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"multi30k/train\.en\.gz is missing.*make data"):
        load_corpus(Corpus("multi30k"), tmp_path)
    write_multi30k(tmp_path)
    forward = load_corpus(Corpus("multi30k"), tmp_path)
    assert list(forward) == ["train", "val", "test2016", "test2017", "mscoco"]
    assert forward["mscoco"].source[2] == "test_2017_mscoco en 2"
    assert forward["mscoco"].target[2] == "test_2017_mscoco de 2"
    back = load_corpus(Corpus("multi30k", "de", "en"), tmp_path)
    assert back == {name: ParallelText(text.target, text.source) for name, text in forward.items()}


def test_limit_shortens_training_alone(tmp_path: Path) -> None:
    write_multi30k(tmp_path)
    sizes = {name: len(text) for name, text in load_corpus(Corpus("multi30k", limit=2), tmp_path).items()}
    assert sizes == {"train": 2, "val": 5, "test2016": 5, "test2017": 5, "mscoco": 5}
    with pytest.raises(ValueError, match=r"data\.corpus\.limit is 0"):
        load_corpus(Corpus("multi30k", limit=0), tmp_path)


def test_tatoeba_from_its_zip(tmp_path: Path) -> None:
    (tmp_path / "tatoeba").mkdir()
    with zipfile.ZipFile(tmp_path / "tatoeba/deu-eng.zip", "w") as archive:
        archive.writestr("_about.txt", "licence")
        archive.writestr("deu.txt", "".join(f"Hi {i}.\tHallo {i}!\n" for i in range(300)))
    splits = load_corpus(Corpus("tatoeba"), tmp_path)
    assert list(splits) == ["train", "val", "test"]
    assert sum(map(len, splits.values())) == 300
    assert splits["train"].target[0].startswith("Hallo")


def test_embedded_needs_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datamodules.embedded.corpus.SIZES", {"train": 40, "val": 10, "test": 20})
    splits = load_corpus(Corpus(), tmp_path, tmp_path)
    assert {name: len(text) for name, text in splits.items()} == {"train": 40, "val": 10, "test": 20}
    assert " der " in " ".join(splits["test"].target).lower()


@pytest.mark.parametrize("names", [["t.tsv"], ["t.en", "t.de"], ["t.tsv.gz"], ["."]])
def test_files_of_ones_own_are_not_to_be_fetched(tmp_path: Path, names: list[str]) -> None:
    paths = [str(tmp_path / name) for name in names]
    with pytest.raises(FileNotFoundError, match=r"(missing|a folder): correct data\.corpus\.files") as refused:
        load_corpus(Corpus("files", files={"train": paths, "val": paths, "test": paths}), tmp_path)
    assert "make data" not in str(refused.value)


def test_text_is_tidied_on_both_sides_of_every_split_and_what_changed_is_counted() -> None:
    train = ParallelText(["u\u0308ber", "\ufeffer", "es"], ["over", "he", "it\rself"], "every line has 3 columns")
    test = ParallelText(["über"], ["over"])
    splits, notes = tidied_corpus({"train": train, "test": test})
    assert splits == {"train": ParallelText(["über", "er", "es"], ["over", "he", "it self"]), "test": test}
    assert [note.partition(" lines had")[0] for note in notes] == [
        "train: every line has 3 columns", "train, source: 1 of 3", "train, source: 1 of 3", "train, target: 1 of 3"
    ]  # fmt: skip


def test_own_files_of_both_formats(tmp_path: Path) -> None:
    (tmp_path / "t.fi").write_text("yksi\nkaksi\n")
    (tmp_path / "t.sv").write_text("ett\ntvå\n")
    (tmp_path / "v.tsv").write_text("kolme\ttre\n")
    pair, table = [str(tmp_path / "t.fi"), str(tmp_path / "t.sv")], [str(tmp_path / "v.tsv")]
    splits = load_corpus(Corpus("files", "fi", "sv", {"news": table, "val": table, "train": pair}), tmp_path)
    assert list(splits) == ["train", "val", "news"]
    assert splits["train"] == ParallelText(["yksi", "kaksi"], ["ett", "två"])
    assert splits["news"] == ParallelText(["kolme"], ["tre"])


@pytest.mark.parametrize(
    ("corpus", "complaint"),
    [
        (Corpus("multi30k", "en", "fr"), "'en' and 'fr': the corpus 'multi30k' goes from en to de or from de to en"),
        (Corpus("embedded", "en", "en"), "'en' and 'en': the corpus 'embedded'"),
        (Corpus("multi30k", files={"train": ["a.tsv"]}), r"files is set, but data\.corpus\.name is 'multi30k'"),
        (Corpus("files"), r"data\.corpus\.files has no train and no val"),
        (Corpus("files", files={"train": ["a.tsv"]}), "has no val"),
        (Corpus("files", files={"train": ["a.tsv"], "val": ["a.tsv"]}), "has no test set"),
        (Corpus("files", files={"train": ["a", "b", "c"], "val": ["a"], "test": ["a"]}), r"files\.train lists 3 files"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, corpus: Corpus, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        load_corpus(corpus, tmp_path)


def test_the_data_dir_is_the_setting_else_the_environments_else_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", "/corpora")
    assert find_data_dir("here") == Path("here")
    assert find_data_dir(None) == Path("/corpora")
    monkeypatch.delenv("DATA_DIR")
    assert find_data_dir(None) == Path("data")


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("multi30k", {"train": 29000, "val": 1014, "test2016": 1000, "test2017": 1000, "mscoco": 461}),
        ("tatoeba", {"train": 164149, "val": 2036, "test": 2017}),
    ],
)
def test_real_corpora_have_their_known_sizes(name: str, sizes: dict[str, int]) -> None:
    data_dir = find_data_dir(None)
    if not (data_dir / name).is_dir():
        pytest.skip(f"needs {name}: `make data`, or DATA_DIR")
    assert {split: len(text) for split, text in load_corpus(Corpus(name), data_dir).items()} == sizes


@pytest.mark.parametrize("name", ["../../evil", "/evil", "", ".hidden", "a\x00", "a b", "\x1b[31m"])
def test_a_test_set_name_is_no_path(tmp_path: Path, name: str) -> None:
    (tmp_path / "t.tsv").write_text("one\teins\n")
    files = {split: [str(tmp_path / "t.tsv")] for split in ("train", "val", name)}
    with pytest.raises(ValueError, match=r"data\.corpus\.files names a test set .*: write letters, digits") as refused:
        load_corpus(Corpus("files", files=files), tmp_path)
    assert str(refused.value).isprintable()
