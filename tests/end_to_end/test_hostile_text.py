"""Hostile sentences go all the way: files, tokenisers, training, search, W&B, report, terminal. None is obeyed."""

import io
import json
import re
import xml.etree.ElementTree as ElementTree
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from analysis import report
from analysis.compare import __main__ as compare
from analysis.translation import examples
from analysis.watch import view
from datamodules import subword_tokenizer as subwords
from datamodules import text_files
from datamodules.batch import BOS, EOS, PAD, UNK
from datamodules.subword_tokenizer import SentencePieceTokenizer, train_sentencepiece
from datamodules.tokenizer import Tokenizer, TokenizerSettings
from datamodules.word_tokenizer import build_word_tokenizers
from experiments.record.text import LONGEST, visible
from experiments.tracking.logger import decide_mode
from experiments.translation import attention_heads as inspection
from experiments.translation import translate
from tests.support import tiny_runs
from tests.support.fakes.watched import NOW, begin, fail, finish, folder_of, metric, plan, write
from tests.support.fuzz.hostile_text import PROBES, write_hostile_corpus
from tests.support.html_page import Page
from tests.support.tiny_runs import read_json, read_lines, tiny_key, tiny_run
from tests.support.wandb_server import connected

MODELS = ("lstm", "bahdanau", "transformer")
LINES = [*PROBES.values()]
TIDIED = [*map(text_files.tidied, LINES)]
VOCABULARY = "--data.init_args.tokenizer.vocab_size=420"
# What a terminal obeys, or what turns the lines of a page around
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


# --- files and tokenisers


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r"), min_size=1), min_size=1))
def test_any_text_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    lines[0] = lines[0].lstrip("\ufeff") or "a"  # one at the very beginning is the mark of a file, no text
    path.write_bytes("\n".join(lines).encode())
    assert text_files.read_lines(path) == lines


@pytest.fixture(scope="module")
def every_tokenizer() -> dict[str, Tokenizer]:
    """Trained on nothing but hostile sentences."""
    with pytest.MonkeyPatch.context() as patch:
        made: dict[str, Tokenizer] = {"bpe": SentencePieceTokenizer(train_sentencepiece(3 * LINES, "bpe", 420))}
        made["unigram"] = SentencePieceTokenizer(train_sentencepiece(3 * LINES, "unigram", 200))
        patch.setattr(subwords, "BYTE_FALLBACK_FROM", 0)
        made["bpe with bytes"] = SentencePieceTokenizer(train_sentencepiece(3 * LINES, "bpe", 600))
    (made["word"],) = build_word_tokenizers([LINES], ["en"], TokenizerSettings("word", 500, min_frequency=1))
    return made


@given(st.one_of(st.sampled_from(LINES), st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from("<>/s▁")))
def test_no_text_becomes_the_end_of_a_sentence(every_tokenizer: dict[str, Tokenizer], text: str) -> None:
    for tokenizer in every_tokenizer.values():
        ids = tokenizer.encode(text)
        assert not {PAD, BOS, EOS} & set(ids)
        assert all(0 <= i < len(tokenizer) for i in ids)
        assert isinstance(tokenizer.decode(ids), str)
        assert len(tokenizer.pieces(ids)) == len(ids)


@given(st.one_of(st.sampled_from(LINES), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁"))))
def test_with_bytes_every_text_comes_back(every_tokenizer: dict[str, Tokenizer], text: str) -> None:
    tokenizer = every_tokenizer["bpe with bytes"]
    ids = tokenizer.encode(text)
    assert UNK not in ids
    assert tokenizer.decode(ids) == back(text)


def back(text: str) -> str:
    """What subwords promise: the text, but for blanks at its ends and runs of blanks; theirs is written ▁."""
    return re.sub(" +", " ", text).strip(" ").replace("▁", " ")


def test_without_bytes_all_but_nul_comes_back(every_tokenizer: dict[str, Tokenizer]) -> None:
    for text in LINES:
        found = every_tokenizer["bpe"].decode(every_tokenizer["bpe"].encode(text))
        assert found == back(text).replace("\x00", "⁇").replace("▅", "⁇")  # SentencePiece keeps these two for itself


# --- training, search, record


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """Three models trained on hostile sentences, each of them reported; and the files that W&B got of one."""
    folder, said = tmp_path_factory.mktemp("hostile"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(said):
        patch.setattr(tiny_runs, "write_corpus", write_hostile_corpus)
        patch.setattr(examples, "TRANSLATIONS", len(PROBES) + 1)
        for model in ("lstm", "transformer"):
            tiny_run(folder, VOCABULARY, model=model)
        with pytest.MonkeyPatch.context() as login, connected(tmp_path_factory.mktemp("login"), login) as server:
            tiny_run(folder, VOCABULARY, model="bahdanau")
        decide_mode.cache_clear()
        inspection.main("tiny", str(folder / "runs"))
        report.main(["--suite", "tiny", "--runs", str(folder / "runs"), "--results", str(folder / "results")])
    (folder / "said.txt").write_text(said.getvalue(), encoding="utf-8")
    return folder, server.files


@pytest.fixture(scope="module")
def root(hostile: tuple[Path, dict[str, bytes]]) -> Path:
    return hostile[0]


def page_of(root: Path, name: str) -> str:
    return (root / "results" / "tiny" / name).read_text(encoding="utf-8")


def test_every_sentence_has_one_line_of_the_record_and_is_in_it_only_tidied(root: Path) -> None:
    for model in MODELS:
        folder = tiny_key(root, model).folder
        sources = [row["source"] for row in read_lines(folder / "hypotheses" / "seen.jsonl")]
        assert sources[:-1] == TIDIED
        assert len(sources[-1].split()) == 300
        metrics = {m["metric"] for m in read_json(folder / "result.json")["measurements"]}
        assert metrics > {"bleu", "chrf", "bleu_torchtext"}


# --- report


def assert_harmless(html: str) -> str:
    """The text of a page whose scripts and attributes are those of our templates alone."""
    tags = Page(html).tags
    scripts = [attributes.get("type") for tag, attributes in tags if tag == "script"]
    assert set(scripts) <= {"application/json", "module"}
    assert not {tag for tag, _ in tags} & {"img", "iframe", "object", "embed", "link", "base", "form", "b"}
    for _, attributes in tags:
        assert not [name for name in attributes if name.startswith("on")]
        assert not [value for name, value in attributes.items() if "javascript:" in str(value).lower()]
        assert not {"src", "srcdoc", "action", "formaction"} & set(attributes)
    assert not OBEYED.search(html)
    return Page(re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.DOTALL)).text


def test_the_page_shows_hostile_sentences_and_obeys_none(root: Path) -> None:
    shown = re.sub(r"\s+", " ", assert_harmless(page_of(root, "report.html")))
    found = [name for name, text in PROBES.items() if " ".join(visible(text).split())[:LONGEST] in shown]
    assert set(found) >= {"escape sequences", "script", "template", "plain"} & set(PROBES)
    assert len(found) > 20, set(PROBES) - set(found)
    assert "more characters)" in shown


def test_the_explorers_data_are_the_tokens_with_controls_spelt(root: Path) -> None:
    (data,) = re.findall(r'<script type="application/json">(.*?)</script>', page_of(root, "report.html"), re.DOTALL)
    shown = [model for sentence in json.loads(data)["sentences"] for model in sentence["models"]]
    tokens = {token for model in shown for token in (*model["source"], *model["target"])}
    assert not [token for token in tokens if OBEYED.search(token)]
    kept = read_json(root / "runs/tiny/inspection/files-en-de/transformer/base/seed0/attention.json")
    words = " ".join(tokens)  # pieces of a word are joined
    raw = {visible(token).removeprefix("▁") for sentence in kept for token in sentence["source_tokens"]}
    assert not [token for token in raw if token not in words]


def test_markdown_has_no_tags_links_or_controls_of_sentences(root: Path) -> None:
    text = page_of(root, "report.md") + page_of(root, "appendix.md")
    assert not OBEYED.search(text)
    without_code = re.sub(r"`[^`\n]*`", "", re.sub(r"\\.", "", text))
    assert "<" not in without_code
    assert not re.findall(r"\]\((?!figures/)", without_code)
    assert "{{ 7\\*7 }}" in text
    assert r"one\\u2028two\\u2029three" in text


def test_tex_has_no_commands_or_controls_of_sentences(root: Path) -> None:
    text = page_of(root, "tables.tex")
    assert not OBEYED.search(text)
    assert not re.findall(r"\\(?:input|write|include|immediate|catcode)\b", text)
    assert r"\textbackslash" in text
    body = text.split(r"\maketitle")[1].replace(r"\end{landscape}\end{document}", "")
    assert set(re.findall(r"(?<!\\)\\([a-zA-Z]+)", body)) <= TEX_COMMANDS


TEX_COMMANDS = {
    "section", "begin", "end", "caption", "label", "tabularnewline", "toprule", "midrule", "bottomrule", "endfirsthead",
    "endhead", "endfoot", "endlastfoot", "multicolumn", "textbf", "textbackslash", "textasciitilde", "textasciicircum",
    "le", "ge", "times", "cdot", "surd", "dagger", "to", "alpha",
}  # fmt: skip


def test_figures_are_well_formed_and_without_scripts(root: Path) -> None:
    figures = [*(root / "results/tiny/figures").glob("attention-*.svg")]
    assert figures
    for path in (root / "results/tiny/figures").glob("*.svg"):
        elements = [*ElementTree.parse(path).iter()]
        assert not {element.tag.rpartition("}")[2] for element in elements} & {"script", "foreignObject", "a"}
        assert not [name for element in elements for name in element.attrib if name.startswith("on")]
        links = {element.get("{http://www.w3.org/1999/xlink}href") or "#" for element in elements}
        assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)
        assert not OBEYED.search(path.read_text(encoding="utf-8"))


def test_a_comparison_with_a_hostile_table_obeys_nothing(root: Path, tmp_path: Path) -> None:
    names = [re.sub(r'["\n\r]', "'", text) for text in LINES if "\x00" not in text]
    rows = [f'"{name}",bleu,{number},files-en-de,seen,"{name}"' for number, name in enumerate(names)]
    (tmp_path / "theirs.csv").write_text("\n".join(["model,metric,value,task,x,source", *rows]), encoding="utf-8")
    sides = ["--a", str(root / "results" / "tiny"), "--b", str(tmp_path / "theirs.csv")]
    compare.main([*sides, "--to", str(tmp_path / "compare")])
    text = assert_harmless((tmp_path / "compare/compare.html").read_text(encoding="utf-8"))
    assert visible("\x1b[31mred") in text
    assert not OBEYED.search((tmp_path / "compare/compare.md").read_text(encoding="utf-8"))


# --- terminal


def test_a_translation_on_the_terminal_is_lines_of_text(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    names = ("escape sequences", "eight-bit controls", "line separators", "carriage return", "right to left", "script")
    text = " ".join(PROBES[name] for name in names)
    translate.main(text, suite="tiny", root=str(root / "runs"))
    said = capfd.readouterr()
    assert not OBEYED.search(said.out)
    assert said.out.split("\n")[0] == f"source  {visible(text)}"
    assert len(said.out.splitlines()) == 1 + len(MODELS)
    assert said.err == ""


def test_what_was_not_text_is_refused_in_a_sentence(root: Path) -> None:
    with pytest.raises(SystemExit, match=r"error: TEXT is not UTF-8: convert it with iconv\."):
        translate.main(b"caf\xe9".decode("utf-8", "surrogateescape"), suite="tiny", root=str(root / "runs"))


def test_training_inspection_and_report_say_nothing_that_a_terminal_obeys(root: Path) -> None:
    said = (root / "said.txt").read_text(encoding="utf-8")
    assert said
    assert not OBEYED.search(said)


def test_what_watches_a_suite_obeys_no_folder_record_or_plan(tmp_path: Path) -> None:
    suite = tmp_path / "quick\x1b]0;owned\x07"
    folders = [folder_of(suite, "lstm"), folder_of(suite, "bahdanau\x1b[31m"), folder_of(suite, "gru\x9b2J")]
    plan(suite, folders, NOW - 1000)
    finish(folders[0], NOW - 500)
    begin(folders[1], NOW - 10, metric("val/\x1b[2J", 20, 1.0))
    begin(folders[2], NOW - 300)
    fail(folders[2], NOW - 290)
    record = read_json(folders[2] / "failure.json")
    hostile = json.dumps(record | {"log": "\x1b]0;owned\x07", "error": "\x1b[8m"})
    write(folders[2] / "failure.json", hostile, NOW - 290)
    (suite / "planned-\x1b[31m.json").write_text("{")
    console = Console(width=400, file=io.StringIO(), color_system=None)
    console.print(view(suite, NOW))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "1 failed" in shown
    assert not OBEYED.search(shown)


# --- Weights & Biases


def test_tables_and_pictures_on_the_server_are_those_of_the_record(hostile: tuple[Path, dict[str, bytes]]) -> None:
    root, files = hostile
    table = next(content for path, content in files.items() if "test/translations" in path)
    kept = read_lines(tiny_key(root, "bahdanau").folder / "hypotheses" / "seen.jsonl")
    expected = [[row[name] for name in ("source", "reference", "hypothesis")] for row in kept]
    assert [row[2:5] for row in json.loads(table)["data"]] == expected
    pictures = [content for path, content in files.items() if "test/attention" in path]
    assert pictures
    assert all(content.startswith(b"\x89PNG") for content in pictures)
