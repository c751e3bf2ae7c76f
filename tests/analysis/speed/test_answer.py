"""The answer on speed: rates on real sentences and growth with length, the faster of the two with attention first."""

from pathlib import Path

from analysis.speed.answer import answer
from analysis.speed.runs import measured
from analysis.store import read_store
from tests.support.fakes import speed as fake


def test_rates_and_growth_are_those_recorded(tmp_path: Path) -> None:
    fake.write_everything(tmp_path)
    store = read_store(tmp_path, "quick")
    found = answer(store, measured(store))
    assert (
        "in 32-bit, on the sentences of the translation task, the Transformer trains 2.31 times as fast" in found.text
    )
    assert "6,000 against 2,600 target tokens/s. Others: LSTM 5,000." in found.text
    assert "From length 16 to 1024" in found.text
    assert found.figure is not None
    assert "LSTM: 49.6 at 16" in found.figure.description


def test_without_sentences_and_lengths_nothing_is_claimed(tmp_path: Path) -> None:
    fake.write_cost(tmp_path, "lstm", 1e6)
    store = read_store(tmp_path, "quick")
    found = answer(store, measured(store))
    assert (found.text, found.figure) == ("No answer: nothing was timed.", None)
