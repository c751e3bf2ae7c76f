"""The answer on speed: rates on real sentences and growth with length, the faster of the two with attention first."""

import json
import shutil
from pathlib import Path

from analysis.page.blocks import figures_of
from analysis.report import build
from analysis.speed.answer import answer
from analysis.speed.claims import all_claims
from analysis.speed.runs import measured, places
from analysis.store import read_store
from tests.support.fakes import speed as fake


def test_rates_and_growth_are_those_recorded(tmp_path: Path) -> None:
    fake.write_everything(tmp_path)
    store = read_store(tmp_path, "quick")
    found = answer(store, [measured(store)])
    assert (
        "in 32-bit, on the sentences of the translation task, the Transformer trains 2.31 times as fast" in found.text
    )
    assert "6,000 against 2,600 target tokens/s. Others: LSTM 5,000." in found.text
    assert "At length 1024 a step on as many tokens takes " in found.text
    (figure,) = found.figures
    assert "LSTM: 49.6 at 16" in figure.description


def test_without_sentences_and_lengths_nothing_is_claimed(tmp_path: Path) -> None:
    fake.write_cost(tmp_path, "lstm", 1e6)
    store = read_store(tmp_path, "quick")
    found = answer(store, [measured(store)])
    assert (found.text, found.figures) == ("No answer: nothing was timed.", [])


def test_a_gpu_and_a_cpu_are_shown_side_by_side_and_never_mixed(tmp_path: Path) -> None:
    """The GPU's runs are of another suite; each machine has its own answer, figures, claims, rows and section."""
    fake.write_everything(tmp_path)
    shutil.copytree(tmp_path / "quick", tmp_path / "gpu")
    for path in (tmp_path / "gpu").rglob("result.json"):
        record = json.loads(path.read_text()) | {"suite": "gpu"}
        record["machine"]["gpus"] = ["NVIDIA H100"]
        path.write_text(json.dumps(record))
    store, other = read_store(tmp_path, "quick"), read_store(tmp_path, "gpu")
    gpu, cpu = places([store, other])
    assert [speed.store.suite for speed in (gpu, cpu)] == ["gpu", "quick"]
    page = build(store, [other])
    assert "On NVIDIA H100" in page.summary
    assert "On a CPU, at length 1024 a step" in page.summary
    names = [figure.name for figure in figures_of(page.sections)]
    assert len(names) == len(set(names))
    assert {"answer-step-time", "answer-step-time-gpu", "speed-gpu-step-seconds-length"} <= set(names)
    assert {"speed", "speed-gpu"} <= {section.identifier for section in page.sections}
    claims = [claim.text for claim in all_claims([gpu, cpu], [])]
    assert claims[0].endswith("in parallel, on a GPU")
    timed = [claim for claim in claims if "operations" not in claim and "faster to the same" not in claim]
    assert {claim.rpartition(", ")[2] for claim in timed} == {"on a GPU", "on a CPU"}
    assert "The LSTM does fewer operations than the Transformer when length exceeds width" in claims
    assert len(claims) == len(set(claims))
    board = next(section for section in page.screens if section.identifier == "scoreboard")
    assert "Training step in ms, length 16, on a GPU" in str(board.blocks)


def test_one_machine_alone_is_not_named_at_every_claim(tmp_path: Path) -> None:
    fake.write_everything(tmp_path)
    (speed,) = places([read_store(tmp_path, "quick")])
    assert (speed.place, speed.name) == ("", "speed")
