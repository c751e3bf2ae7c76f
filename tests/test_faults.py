"""Faults: each found where it is, and not where it is not; shares with intervals; examples with their text."""

import json
from pathlib import Path

import pandas as pd
import pytest
from fake_runs import folder_of, write_lines, write_run, write_suite
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from analysis.bleu_section import measure
from analysis.blocks import Block, Figures, Table
from analysis.differences_section import translations
from analysis.faults import FAULTS, build, check, faults_of, repeats, share
from analysis.labels import Look
from analysis.records import System, read_store

SOURCE, REFERENCE = "a man with a red hat", "ein Mann mit einem roten Hut"


def found(hypothesis: str, *, source: str = SOURCE, reference: str = REFERENCE, truncated: bool = False) -> set[str]:
    return set(faults_of(source, reference, hypothesis, truncated))


@pytest.mark.parametrize(
    ("hypothesis", "faults"),
    [
        (REFERENCE, set()),
        ("ein Mann Mann mit einem roten Hut", {"repeats"}),
        ("Ein ein Mann mit einem Hut", {"repeats"}),
        ("ein Mann mit Hut mit Hut", {"repeats"}),
        ("ein Mann mit einem ein Mann mit einem Hut", {"repeats"}),
        ("ein Mann mit roten Hut ein Mann mit roten Hut", set()),  # five words: longer than what is looked for
        ("ein Mann mit mit mit Hut", {"repeats", "loops"}),
        ("mit Hut mit Hut mit Hut", {"repeats", "loops"}),
        ("ein Mann , , , mit Hut", set()),
        ("ein Mann mit Mann mit Hut", {"repeats"}),
        ("ein Mann", {"too short"}),
        ("ein Mann mit NAGAEGAEGAEGAEGAE Hut", {"stutters"}),
        ("ein Mann mit rotem Huuuuut", {"stutters"}),
        ("ein Mann mit rotem Huuuut", set()),
        ("ein Mann mit 100000 Hut", set()),
        ("ein Mann mit", set()),
        ("", {"empty", "too short"}),
        (" \t", {"empty", "too short"}),
        (" ".join("abcdefghijklm"), {"too long"}),
        (" ".join("abcdefghijkl"), set()),
        (SOURCE, {"copied"}),
        ("A Man with a red Hat", {"copied"}),
    ],
)
def test_faults_are_found(hypothesis: str, faults: set[str]) -> None:
    assert found(hypothesis) == faults


def test_truncation_is_that_recorded() -> None:
    assert found(REFERENCE, truncated=True) == {"truncated"}


def test_what_reference_or_source_repeat_is_no_fault() -> None:
    assert found("die die gehen", reference="Frauen, die die Straße queren") == set()
    assert found("die die die gehen", reference="die die Straße queren") == {"repeats", "loops"}
    assert found("sehr sehr roter Hut dort", source="a very very red hat") == set()
    assert found("sehr rot sehr rot dort", source="a very very red hat") == {"repeats"}
    assert found("Goooool rief der Mann", source="goooool, called the man") == set()


def test_a_copy_that_the_reference_is_too_is_no_fault() -> None:
    assert found("Hard Rock Cafe", source="Hard Rock Cafe", reference="Hard Rock Cafe") == set()
    assert found("", source="", reference=REFERENCE) == {"empty", "too short"}


def test_what_shows_the_fault_is_told() -> None:
    loop = faults_of(SOURCE, REFERENCE, "ein Mann ein Mann ein Mann", False)["loops"]
    assert loop.what == "“ein mann” 3 times"
    assert faults_of(SOURCE, REFERENCE, "ein Mann", True)["too short"].what == "2 words for 6"
    assert faults_of(SOURCE, REFERENCE, "Hut", True)["truncated"].what == "after 1 word"
    assert faults_of(SOURCE, REFERENCE, "ein Hahahahahahut", False)["stutters"].what == "“ah”, 10 letters in all"


@given(st.lists(st.sampled_from("abc"), max_size=14))
def test_repeats_are_those_that_the_text_contains(words: list[str]) -> None:
    repeated = repeats(words)
    for n in range(1, 5):
        for phrase in {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}:
            times = max(k for k in range(1, 15) if k == 1 or f" {' '.join(phrase * k)} " in f" {' '.join(words)} ")
            assert repeated.get(phrase, 1) == times


def test_shares_are_wilsons_in_percent() -> None:
    expected = binomtest(3, 40).proportion_ci(method="wilson")
    assert share(3, 40) == pytest.approx((7.5, 100 * expected.low, 100 * expected.high))
    assert share(0, 1000).low == pytest.approx(0)
    assert share(0, 1000).high == pytest.approx(0.38, abs=0.01)


def spoilt(
    root: Path, model: str, hypotheses: dict[int, str], *, seed: int = 0, truncated: tuple[int, ...] = ()
) -> None:
    path = folder_of(root, model, seed=seed) / "hypotheses" / "test.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for i, hypothesis in hypotheses.items():
        rows[i]["hypothesis"] = hypothesis
    for i in truncated:
        rows[i]["truncated"] = True
    write_lines(path, rows)


def blocks(root: Path) -> list[Block]:
    store = read_store(root, "quick")
    kept = {result.name: translations(store, result) for result in measure(store)}
    return build(Look(run.system for run in store.runs), "multi30k", kept)


def tables(root: Path) -> list[Table]:
    return [block for block in blocks(root) if isinstance(block, Table)]


def test_shares_and_examples_are_of_the_same_sentences(tmp_path: Path) -> None:
    write_suite(tmp_path, sentences=20, test_sets=("test",), error=0)
    loops = {i: " ".join(["<i>"] * (3 + i)) for i in range(7)}
    spoilt(tmp_path, "lstm", {**loops, 8: ""}, truncated=(9,))
    shares, lengths, *examples = tables(tmp_path)
    row = dict(zip(shares.header, shares.rows[0], strict=True))
    assert row["model"] == "LSTM"
    assert row["loops"].startswith("35.0 (")
    assert row["empty"].startswith("5.0 (")
    assert row["truncated"].startswith("5.0 (")
    clean = dict(zip(shares.header, shares.rows[2], strict=True))
    assert all(clean[fault].startswith("0.0 (0.0 to") for fault in FAULTS if fault not in ("repeats", "loops"))
    by_fault = {table.caption.split(":")[0]: table for table in examples}
    assert set(by_fault) >= {"Repeats", "Too short", "Empty", "Truncated"}
    worst = [row for row in by_fault["Repeats"].rows if row[0].startswith("LSTM, test")]
    assert [row[0] for row in worst] == [f"LSTM, test {i}" for i in (6, 5, 4, 3, 2)]
    assert worst[0][-1] == loops[6]
    assert "LSTM 1," in by_fault["Empty"].caption
    assert len(lengths.rows) == 3


def test_several_seeds_are_shown_each_and_examples_are_of_the_first(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_run(tmp_path, "lstm", seed=seed, sentences=12, test_sets=("test",), error=0)
    spoilt(tmp_path, "lstm", {3: "", 4: ""}, seed=1)
    spoilt(tmp_path, "lstm", {5: ""}, seed=2)
    shares, lengths, *examples = tables(tmp_path)
    assert [row[2] for row in shares.rows] == [row[2] for row in lengths.rows] == ["1", "2"]
    empty = next(table for table in examples if table.caption.startswith("Empty"))
    assert [row[0] for row in empty.rows] == ["LSTM, test 3", "LSTM, test 4"]
    assert "LSTM seed 1 2." in empty.caption


def test_a_model_without_faults_has_no_examples(tmp_path: Path) -> None:
    write_run(tmp_path, "lstm", sentences=8, test_sets=("test",), error=0)
    path = folder_of(tmp_path, "lstm") / "hypotheses" / "test.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    write_lines(path, [row | {"reference": "der Hund läuft .", "hypothesis": "der Hund läuft ."} for row in rows])
    found = blocks(tmp_path)
    assert len([block for block in found if isinstance(block, Table)]) == 2
    assert len([block for block in found if isinstance(block, Figures)]) == 1


def test_length_ratios_are_in_words() -> None:
    sentences = pd.DataFrame(
        [("s", "ein Hund .", "ein Hund.", False), ("s", "", "ein", False)],
        columns=["source", "reference", "hypothesis", "truncated"],
    )
    assert check("test", System("lstm", "base"), 0, sentences).ratios.tolist() == [1, 1]
