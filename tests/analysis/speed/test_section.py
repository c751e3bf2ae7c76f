"""The section on speed: right numbers and ratios, nothing compared that does not compare, nothing hidden."""

import math
import re
from pathlib import Path
from typing import Any

import pytest

from analysis.page.blocks import Block, Figures, Heading, Notice, Paragraph, Table
from analysis.speed.quality import qualities
from analysis.speed.runs import measured
from analysis.speed.section import build as section_of
from analysis.speed.units import memory, operations, percent, rounded, times
from analysis.statistics.intervals import Interval
from analysis.store import read_store
from tests.support.fakes import speed as fake
from tests.support.fakes.runs import PROVENANCE, row

TOPICS = (
    "By length",
    "Precision, compilation and variants",
    "By width",
    "By batch",
    "Real sentences",
    "Decoding",
    "Several devices",
    "Time and operations to quality: multi30k",
    "Compared with other toolkits",
)


def blocks(path: Path) -> list[Block]:
    store = read_store(path, "quick")
    return section_of(store, measured(store), qualities(store)).blocks


def table(found: list[Block], words: str) -> dict[str, list[str]]:
    """Rows by their first cell of the table whose caption has these words; of several rows of a name the last."""
    chosen = next(block for block in found if isinstance(block, Table) and words in block.caption)
    return {cells[0]: list(cells[1:]) for cells in chosen.rows}


def texts(found: list[Block], kind: type = Paragraph) -> str:
    return " ".join(block.text for block in found if isinstance(block, Paragraph | Notice) and isinstance(block, kind))


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> list[Block]:
    path = tmp_path_factory.mktemp("everything")
    fake.write_everything(path)
    return blocks(path)


def test_it_has_its_topics_in_order(everything: list[Block]) -> None:
    assert [block.text for block in everything if isinstance(block, Heading)] == list(TOPICS)
    figures = [figure for block in everything if isinstance(block, Figures) for figure in block.figures]
    names = [figure.name for figure in figures]
    assert len(names) == len(set(names)) == 3 + 4 + 4 + 4 + 2 + 1
    claims = {"speed-step-seconds-length", "speed-peak-memory-length-transformer", "speed-flops-per-step-length"}
    claims |= {"speed-decoding-length-greedy", "speed-devices-weak", "speed-devices-strong", "speed-quality-multi30k"}
    assert claims <= set(names)
    assert all(block.caption for block in everything if isinstance(block, Figures))


def test_machine_and_kernels_are_named(everything: list[Block]) -> None:
    machine = table(everything, "Measured on")
    assert machine["processor"] == ["made-up CPU, 2 cores"]
    assert machine["GPUs"] == ["none"]
    assert (machine["matmul peak, 32-bit"], machine["matmul peak, bf16"]) == (["200 GFLOP/s"], ["800 GFLOP/s"])
    ran = table(everything, "Kernels and precision")
    assert "flash (CPU)" in ran["Transformer"]
    assert "oneDNN LSTM" in ran["LSTM"]
    assert "bf16" in ran["LSTM, bf16"]
    assert "compiled" in ran["Transformer, compiled"]


def test_tables_by_length_hold_the_medians(everything: list[Block]) -> None:
    clock, work = table(everything, "Time at a fixed"), table(everything, "Work of the same")
    assert clock["LSTM"] == ["1024", "196 [193–199]", "589 [580–598]", "654 [645–664]", "6,259 [6,165–6,353]"]
    assert work["LSTM"] == ["1024", "12,518", "9.17 GFLOP/s", "4.6 %", "67 MiB"]
    depth = table(everything, "Sequential steps")
    assert depth["LSTM"] == ["O(n·d²)", "O(n)", "O(n)", "32", "2,048"]
    assert depth["Transformer"] == ["O(n²·d)", "O(1)", "O(1)", "6", "6"]


def test_crossings_are_in_words(everything: list[Block]) -> None:
    # 40 + 0.6 n = 90 + 0.25 n at n = 142.9, here on straight lines between logarithms
    found = re.search(r"length (\d+) the LSTM is faster", texts(everything))
    assert found is not None
    assert 138 < float(found[1]) < 147
    assert "the LSTM is faster than the Transformer, beyond it slower" in texts(everything)


def test_variants_are_compared_with_their_base(everything: list[Block]) -> None:
    variants = next(block for block in everything if isinstance(block, Table) and "Speed of a variant" in block.caption)
    rows = {(row[0], row[1]): row[2:] for row in variants.rows}
    assert rows["LSTM", "bf16"][0] == "1.67 (1.67 to 1.67)"
    assert rows["Transformer", "compiled"][-1] == "21.5"
    assert rows["Transformer", "narrow-math-attention"][3:5] == ["out of memory", "14.07"]
    assert "Out of memory: Transformer, narrow-math-attention at length 1024." in texts(everything)


def test_real_sentences_decoding_and_devices_hold_their_numbers(everything: list[Block]) -> None:
    real = table(everything, "Real sentences")
    assert real["LSTM"][:3] == ["5,000 [4,925–5,075]", "4,800 [4,728–4,872]", "0.96 (0.96 to 0.96)"]
    assert real["LSTM"][-1] == "7.0 %"
    said = texts(everything)
    assert "its cost per token stays constant" in said
    assert "×1.00 (0.97 to 1.03) for the LSTM" in said
    assert "×3.07 (2.98 to 3.16) for the Transformer" in said
    assert "processes of one CPU with 2 cores, no GPU" in said
    devices = table(everything, "all processes together")
    assert devices["Transformer"][2:4] == ["5,400 [5,319–5,481]", "90 %"]


def test_peers_are_compared_with_the_same_dropout(everything: list[Block]) -> None:
    training = table(everything, "Training the Transformer")
    assert training["ours, bf16"][1] == "5.28 (5.28 to 5.28)"
    assert training["ours, 32-bit, no dropout"][1] == "3.33 (3.33 to 3.33)"
    assert training["JoeyNMT, 32-bit"][1] == training["JoeyNMT, 32-bit, no dropout"][1] == "–"
    assert "torch.nn.Transformer in a textbook loop" in training
    translating = table(everything, "Translating the test set with the Transformer")
    assert translating["ours, 32-bit"] == ["30 [29.6–30.4]", "3.33 (3.33 to 3.33)", "14.2"]
    assert "torch.nn.Transformer in a textbook loop" not in translating


def test_levels_that_were_not_reached_and_costs_that_were_not_measured_are_marked(tmp_path: Path) -> None:
    fake.write_text(tmp_path, "lstm", 1.0, 20.0, task="multi30k")
    fake.write_cost(tmp_path, "lstm", 1e6)
    for model, points in {"lstm": [(1000.0, 10.0)], "transformer": [(2000.0, 30.0)]}.items():
        fake.write_curve(tmp_path, model, points)
    quality = next(b for b in blocks(tmp_path) if isinstance(b, Table) and "Until validation BLEU" in b.caption)
    rows = {(row[0], row[1]): row[2:] for row in quality.rows}
    assert rows["LSTM", "10.0"] == ["50.0 s", "1.00", "1,000", "1 GFLOP"]
    assert rows["Transformer", "10.0"] == ["–", "–", "667", "–"]
    assert rows["LSTM", "30.0"] == ["not reached", "–", "–", "–"]


def test_other_machines_are_named_and_in_no_number(tmp_path: Path) -> None:
    fake.write_length(tmp_path, "lstm", lambda n: 1.0)
    fake.write_length(tmp_path, "bahdanau", lambda n: 2.0)
    fake.write_length(
        tmp_path,
        "transformer",
        lambda n: 7.0,
        changes={"machine": PROVENANCE["machine"] | {"gpus": ["NVIDIA made-up"]}},
    )
    found = blocks(tmp_path)
    said = texts(found, Notice)
    assert "Left out: length, Transformer (made-up CPU, 2 cores, 2 threads, NVIDIA made-up)" in said
    assert "Transformer" not in table(found, "Time at a fixed")
    assert "7,000" not in str(found)


def test_noisy_timing_has_a_caution(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []
    for n in (16, 32, 64):
        rows += [row(f"step_seconds{q}", v, "s", 5, "length", n) for q, v in (("", 1.0), ("_q25", 0.8), ("_q75", 1.3))]
    fake.write_speed(tmp_path, "length", "lstm", rows)
    assert "for half of the step times by length the quartiles are 50 % of the median apart" in texts(
        blocks(tmp_path), Notice
    )
    fake.write_length(tmp_path, "lstm", lambda n: 1.0)
    assert texts(blocks(tmp_path), Notice) == ""


def test_a_length_without_memory_is_a_row(tmp_path: Path) -> None:
    fake.write_length(tmp_path, "transformer", lambda n: 1.0, memory_ends=512)
    found = blocks(tmp_path)
    assert table(found, "Time at a fixed")["Transformer"] == ["1024", "–", "–", "out of memory", "–"]
    assert table(found, "Work of the same")["Transformer"][-1] == "out of memory"


@pytest.mark.parametrize(
    "write",
    [
        lambda path: fake.write_length(path, "transformer", lambda n: 1.0, lengths=(16,)),
        lambda path: fake.write_length(path, "transformer", lambda n: 1.0, memory_ends=1),
        lambda path: fake.write_length(path, "mamba", lambda n: n, blocks=False),
        lambda path: fake.write_length(path, "lstm", lambda n: n, variant="bf16"),
        lambda path: fake.write_sweep(path, "width", (64,)),
        lambda path: fake.write_text(path, "transformer", 10.0, 0.0),
        lambda path: fake.write_decoding(path, "lstm", lambda n: 1.0, lengths=(), batches=(1,)),
        lambda path: fake.write_devices(path, "lstm", 0.9, 0.8),
        lambda path: fake.write_cost(path, "lstm", 1e6),
        lambda path: fake.write_peers(path, "bahdanau", "fp32", 100.0),
        lambda path: fake.write_speed(
            path, "peers-x-en-de", "lstm", fake.spread("sentences_per_second", 1.0, "sentences/s")
        ),
        lambda path: fake.write_speed(path, "a-new-task", "lstm", [row("step_seconds", 1.0, "s", 1)]),
        lambda path: fake.write_speed(path, "length", "lstm", [], blocks=fake.block_rows("step_seconds", 1.0)),
    ],
)
def test_any_part_alone_is_shown(tmp_path: Path, write: Any) -> None:
    write(tmp_path)
    found = blocks(tmp_path)
    assert any(isinstance(block, Table) for block in found)
    assert not re.search(r"\bnan\b", " ".join(map(str, found)))


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (rounded(0.01234), "0.0123"),
        (memory(3 * 2**30), "3.00 GiB"),
        (operations(2.5e12), "2.5 TFLOP"),
        (operations(3.3e18), "3.3 EFLOP"),
        (operations(12.0), "12 FLOP"),
        (percent(math.nan), "–"),
        (times(Interval(-0.001, -0.02, 0.0)), "0.00 (−0.02 to 0.00)"),
    ],
)
def test_units(shown: str, text: str) -> None:
    assert shown == text
